"""Muscles of the back and beside the spine, with fascicles and fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.space import Field, SpineSpace
from facetgrade.simulate.anatomy.texture import Texture, draw_texture
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]
_REACH_MM = 110.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MuscleStyle:
    """One person's muscles.

    Attributes
    ----------
    fat_fraction : float
        Share of fat in the multifidus.
    scale : float
        Size of the muscles.
    streaks, patches, fascicles : Texture
        Random fields of fat between ligaments, of fatty patches, and of the layers of
        fat between fascicles, which run along the spine.
    """

    fat_fraction: float
    scale: float
    streaks: Texture
    patches: Texture
    fascicles: Texture


def draw_muscle_style(
    rng: np.random.Generator, settings: AnatomySettings
) -> MuscleStyle:
    """Draw one person's muscles."""
    return MuscleStyle(
        fat_fraction=settings.muscle_fat_fraction.draw(rng),
        scale=float(rng.uniform(0.8, 1.15)),
        streaks=draw_texture(rng, (14.0, 5.0, 3.5)),
        patches=draw_texture(rng, (24.0, 9.0, 7.0)),
        fascicles=draw_texture(rng, (50.0, 9.0, 8.0)),
    )


def paint_muscles(
    tissue: Labels, space: SpineSpace, style: MuscleStyle, fascia: Field
) -> None:
    """Paint psoas, multifidus, erector spinae and quadratus lumborum with their fat.

    Parameters
    ----------
    tissue : (S, R, C) uint8 ndarray
        `Tissue`, changed in place.
    space : SpineSpace
        Coordinates of the grid.
    style : MuscleStyle
        The person's muscles.
    fascia : (S, 1, C) float32 ndarray
        y of the back of the muscles.
    """
    box, near = space.window(_REACH_MM, (-60.0, 120.0))
    textures = (style.patches.on(near.grid), np.abs(style.fascicles.on(near.grid)))
    _paint_psoas(tissue[box], near, style, textures)
    back = fascia[box[0], :, box[2]]
    _paint_back_muscles(tissue[box], near, style, (back, *textures))


def _paint_back_muscles(
    tissue: Labels,
    space: SpineSpace,
    style: MuscleStyle,
    fields: tuple[Field, Field, Field],
) -> None:
    """Paint multifidus, erector spinae and quadratus lumborum with their fat."""
    fascia, patches, layers = fields
    beside = np.abs(space.left)
    wall = space.size(space.table.half_depth)
    split = style.scale * space.between(
        {
            "T10": 9,
            "L1": 13,
            "L3": 19,
            "L4": 25,
            "L5": 31,
            "S1": 36,
            "S3": 30,
            "S5": 12,
        }
    )
    outer = style.scale * space.between(
        {"T10": 58, "L1": 68, "L3": 74, "L4": 68, "L5": 52, "S1": 44, "S2": 40}
    )
    split = split + 2.0 * patches
    floor = wall + 10.0 + 0.004 * np.maximum(beside - 30.0, 0.0) ** 2
    rounded = 14.0 * np.clip((beside - outer) / 18.0 + 1.0, 0.0, 1.0) ** 2
    muscle = (space.back > floor) & (beside < outer) & (space.y < fascia - rounded)
    around = (beside, split, outer, space.back - floor, patches, layers)
    _paint_back_fat(tissue, space, style, np.nonzero(muscle), around)
    quadratus = (
        ((beside - 60.0 * style.scale) / 17.0) ** 2
        + ((space.back - wall - 9.0) / 8.0) ** 2
    ) < 1.0
    region = space.between({"T11": 0.0, "T12": 1.0, "L4": 1.0, "L5": 0.0}) > 0.5
    tissue[quadratus & region] = Tissue.MUSCLE


def _paint_back_fat(
    tissue: Labels,
    space: SpineSpace,
    style: MuscleStyle,
    within: tuple[NDArray[np.intp], ...],
    fields: tuple[NDArray[np.floating], ...],
) -> None:
    """Paint the muscles and their fat, with what is slow taken within them only."""
    # Fat gathers in the medial and deep multifidus and toward the sacrum.
    low = space.between({"T10": -0.5, "L3": 0.0, "L5": 0.35, "S2": 0.7})
    beside, split, outer, behind, patches, layers, low = (
        np.broadcast_to(values, tissue.shape)[within] for values in (*fields, low)
    )
    edge = outer - 10.0 * np.exp(-np.maximum(behind, 0.0) / 8.0)
    deep = np.clip(behind / 30.0, 0.0, 1.0)
    load = np.float32(ndtri(style.fat_fraction)) + low + 0.4 - 0.8 * deep
    load = load - 0.6 * (beside > split)
    fat = (patches < load - 0.3) | (layers < 0.04 + 0.3 * ndtr(load))
    fat |= np.abs(beside - split) < 0.8 + 2.5 * style.fat_fraction
    found = np.where(fat, np.uint8(Tissue.INTRAMUSCULAR_FAT), np.uint8(Tissue.MUSCLE))
    tissue[within] = np.where(beside < edge, found, tissue[within])


def _paint_psoas(
    tissue: Labels,
    space: SpineSpace,
    style: MuscleStyle,
    fields: tuple[Field, Field],
) -> None:
    """Paint the psoas muscles, which hold little fat."""
    patches, layers = fields
    beside = np.abs(space.left)
    radius = style.scale * space.between(
        {"T12": 0.5, "L1": 6, "L2": 11, "L3": 15, "L4": 19, "L5": 20, "S2": 19}
    )
    middle = space.size(space.table.half_width) + radius * space.between(
        {"L4": 0.8, "L5": 1.0, "S1": 1.9, "S2": 2.4}
    )
    forward = space.between({"L1": 3, "L3": 1, "L4": -3, "L5": -10, "S1": -28})
    shape = ((beside - middle) / radius) ** 2 + (
        (space.back - forward) / (radius * 1.2)
    ) ** 2
    psoas = (shape < 1.0 + 0.15 * patches) & (radius > 1.0)
    tissue[psoas] = Tissue.MUSCLE
    fat = layers < 0.02 + 0.06 * style.fat_fraction
    tissue[psoas & fat] = Tissue.INTRAMUSCULAR_FAT
