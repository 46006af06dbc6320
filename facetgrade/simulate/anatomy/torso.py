"""Soft tissue around the spine: skin, fat, muscles, vessels, organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from facetgrade.simulate.anatomy.abdomen import (
    AbdomenStyle,
    draw_abdomen_style,
    paint_abdomen,
)
from facetgrade.simulate.anatomy.muscles import (
    MuscleStyle,
    draw_muscle_style,
    paint_muscles,
)
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.space import Field, SpineSpace, SpineTable
from facetgrade.simulate.anatomy.texture import Texture, draw_texture
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]
_SEPTUM = 0.06  # of the field of fat lobules


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TorsoStyle:
    """One person's soft tissue.

    Attributes
    ----------
    subcutaneous_mm : float
        Fat behind the spinous processes.
    half_width_mm, depth_mm : float
        Half width and depth of the trunk.
    flatness : float
        How much the back follows the table rather than the spinous processes.
    lobules : Texture
        Random field of the septa of subcutaneous fat.
    muscles : MuscleStyle
        Muscles and their fat.
    abdomen : AbdomenStyle
        Bowel and vessels.
    """

    subcutaneous_mm: float
    half_width_mm: float
    depth_mm: float
    flatness: float
    lobules: Texture
    muscles: MuscleStyle
    abdomen: AbdomenStyle

    def provenance(self) -> dict[str, str]:
        """Return the drawn parameters worth keeping, as text."""
        return {
            "subcutaneous_mm": f"{self.subcutaneous_mm:.0f}",
            "muscle_fat_fraction": f"{self.muscles.fat_fraction:.2f}",
        }


def draw_torso_style(rng: np.random.Generator, settings: AnatomySettings) -> TorsoStyle:
    """Draw one person's soft tissue."""
    fat = settings.subcutaneous_mm.draw(rng)
    return TorsoStyle(
        subcutaneous_mm=fat,
        half_width_mm=float(rng.uniform(140.0, 165.0) + fat),
        depth_mm=float(rng.uniform(215.0, 265.0) + 1.5 * fat),
        flatness=float(rng.uniform(0.3, 0.9)),
        lobules=draw_texture(rng, (30.0, 13.0, 24.0)),
        muscles=draw_muscle_style(rng, settings),
        abdomen=draw_abdomen_style(rng),
    )


def paint_torso(space: SpineSpace, style: TorsoStyle, person: Person) -> Labels:
    """Return the tissue of every voxel as if there were no spine.

    Parameters
    ----------
    space : SpineSpace
        Coordinates of the grid.
    style : TorsoStyle
        The person's soft tissue.
    person : Person
        The person.
    """
    tissue = np.full(space.grid.shape, Tissue.ABDOMINAL_FAT, np.uint8)
    skin = _back_surface(space, style)
    fascia = _fascia_surface(space, style, person)
    paint_abdomen(tissue, space, style.abdomen)
    paint_muscles(tissue, space, style.muscles, fascia)
    _paint_cover(tissue, space, style, skin, fascia)
    return tissue


def _tips(table: SpineTable, z: Field) -> Field:
    """Return how far back (y) spine and spinous processes reach at each height."""
    curve = table.curve
    reach = np.interp(curve.along, table.along, table.tip)
    y = curve.points[:, 1] + reach * curve.normals[:, 0]
    heights = curve.points[:, 2] + reach * curve.normals[:, 1] - 8.0
    bins = np.arange(z.min() - 20.0, z.max() + 21.0, 2.0)
    nearest = np.abs(heights[:, None] - bins[None]).argmin(axis=0)
    smooth = gaussian_filter1d(y[nearest], 10.0, mode="nearest")
    return np.asarray(np.interp(z, bins, smooth), np.float32)


def _back_surface(space: SpineSpace, style: TorsoStyle) -> Field:
    """Return y of the skin of the back, (S, 1, C)."""
    tips = _tips(space.table, space.z)
    curve = space.table.curve
    flat = float(
        np.percentile(_tips(space.table, curve.points[:, 2].astype(np.float32)), 75)
    )
    level = style.flatness * flat + (1.0 - style.flatness) * tips
    level = np.maximum(level + style.subcutaneous_mm, tips + 6.0)
    beside = np.abs(space.x - space.curve_at_height(0)) / style.half_width_mm
    rounding = np.clip(1.0 - np.minimum(beside, 1.0) ** 3.0, 0.0, 1.0) ** (1 / 3.0)
    surface: Field = (level - style.depth_mm / 2.0 * (1.0 - rounding)).astype(
        np.float32
    )
    return surface


def _fascia_surface(space: SpineSpace, style: TorsoStyle, person: Person) -> Field:
    """Return y of the back of the muscles, (S, 1, C)."""
    tips = _tips(space.table, space.z)
    beside = np.abs(space.x - space.curve_at_height(0))
    bulge = 5.0 * style.muscles.scale * np.exp(-(((beside - 34.0) / 16.0) ** 2))
    fall = 0.0105 * np.maximum(beside - 42.0, 0.0) ** 2
    groove = 2.0 * np.exp(-((beside / 5.0) ** 2))
    surface: Field = (tips - 1.0 * person.scale + bulge - fall - groove).astype(
        np.float32
    )
    return surface


def _paint_cover(
    tissue: Labels, space: SpineSpace, style: TorsoStyle, skin: Field, fascia: Field
) -> None:
    """Paint fat, fascia, skin and the air behind."""
    y = space.y
    limit = np.minimum(fascia, skin - 5.0)
    tissue[np.broadcast_to(y > limit, tissue.shape)] = Tissue.SUBCUTANEOUS_FAT
    thin = max(1.2, float(space.grid.spacing_mm[0]) * 0.75)
    layer = np.abs(y - limit) < thin / 2.0
    tissue[np.broadcast_to(layer, tissue.shape)] = Tissue.FASCIA
    septum = (np.abs(style.lobules.on(space.grid)) < _SEPTUM) & (y > limit + 2.0)
    tissue[septum & (tissue == Tissue.SUBCUTANEOUS_FAT)] = Tissue.FASCIA
    tissue[np.broadcast_to(y > skin - 2.0, tissue.shape)] = Tissue.SKIN
    tissue[np.broadcast_to(y > skin, tissue.shape)] = Tissue.AIR
    belly = 2.0 * skin.max(axis=2, keepdims=True) - style.depth_mm - skin
    tissue[np.broadcast_to(y < belly + 15.0, tissue.shape)] = Tissue.SUBCUTANEOUS_FAT
    tissue[np.broadcast_to(y < belly + 2.0, tissue.shape)] = Tissue.SKIN
    tissue[np.broadcast_to(y < belly, tissue.shape)] = Tissue.AIR
