"""What lies in front of the spine: bowel, organs, great vessels, fat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.simulate.anatomy.space import SpineSpace
from facetgrade.simulate.anatomy.texture import Texture, draw_texture
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]
_LUMEN, _WALL = 0.75, 0.5  # of the field of bowel loops
_GAS = 0.7  # of the field of their content
_FREE_MM = 26.0  # fat before the bodies without bowel


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AbdomenStyle:
    """One person's abdomen.

    Attributes
    ----------
    vessel_shift_mm : (4,) float64 ndarray
        Displacement of aorta and vena cava to the left and backward.
    loops, content, mesentery : Texture
        Random fields of bowel loops, of what fills them, and of the vessels between.
    """

    vessel_shift_mm: NDArray[np.float64]
    loops: Texture
    content: Texture
    mesentery: Texture


def draw_abdomen_style(rng: np.random.Generator) -> AbdomenStyle:
    """Draw one person's abdomen."""
    return AbdomenStyle(
        vessel_shift_mm=rng.normal(0.0, 2.5, 4),
        loops=draw_texture(rng, (34.0, 30.0, 30.0)),
        content=draw_texture(rng, (60.0, 50.0, 50.0)),
        mesentery=draw_texture(rng, (16.0, 9.0, 9.0)),
    )


def paint_abdomen(tissue: Labels, space: SpineSpace, style: AbdomenStyle) -> None:
    """Paint bowel, organs and the great vessels in front of the spine.

    Parameters
    ----------
    tissue : (S, R, C) uint8 ndarray
        `Tissue`, fat of the abdomen before; changed in place.
    space : SpineSpace
        Coordinates of the grid.
    style : AbdomenStyle
        The person's abdomen.
    """
    wall = space.size(space.table.half_depth)
    front = space.back + wall
    before = front < -_FREE_MM
    if before.any():
        _paint_bowel(tissue, space, style, before)
    level = space.between({"T10": 1.0, "L2": 0.6, "L4": 0.0, "S5": 0.0})
    liver = (
        (front < -28.0) & (space.left < -8.0 - 60.0 * (1.0 - level)) & (level > 0.55)
    )
    tissue[liver] = Tissue.ORGAN
    height = space.between({"T11": -1.4, "T12": -0.9, "L3": 0.95, "L4": 1.5})
    for side in (1.0, -1.0):
        kidney = (
            ((side * space.left - 66.0) / 25.0) ** 2
            + ((space.back - 4.0) / 19.0) ** 2
            + (height + 0.12 * side) ** 2
        )
        tissue[kidney < 1.0] = Tissue.ORGAN
    _paint_vessels(tissue, space, style)


def _paint_bowel(
    tissue: Labels, space: SpineSpace, style: AbdomenStyle, before: NDArray[np.bool_]
) -> None:
    """Paint loops with a wall around gas or chyme, and vessels between them."""
    loops = style.loops.on(space.grid)
    gas = style.content.on(space.grid) > _GAS
    vessels = np.abs(style.mesentery.on(space.grid)) < 0.04
    tissue[before & vessels & (loops < 0.2)] = Tissue.VESSEL
    tissue[before & (loops > _WALL)] = Tissue.MUSCLE
    tissue[before & (loops > _LUMEN)] = Tissue.BOWEL
    tissue[before & (loops > _LUMEN) & gas] = Tissue.AIR


def _paint_vessels(tissue: Labels, space: SpineSpace, style: AbdomenStyle) -> None:
    """Paint aorta, vena cava and the iliac vessels."""
    box, space = space.window(85.0, (-55.0, 0.0))
    tissue = tissue[box]
    wall = space.size(space.table.half_depth)
    shift = style.vessel_shift_mm
    fork = space.between({"L4": 0.0, "L5": 1.0, "S2": 2.3})
    above = space.between({"L4": 1.0, "L5": 0.0}) > 0.3
    for middle, radius, k in ((11.0, 9.5, 0), (-15.0, 11.0, 2)):
        depth = space.back + wall + 10.5 + shift[k + 1]
        trunk = ((space.left - middle - shift[k]) / radius) ** 2 + (depth / 9.0) ** 2
        tissue[(trunk < 1.0) & above] = Tissue.VESSEL
        for side in (1.0, -1.0):
            beside = space.left - middle * (1.0 - 0.4 * fork) - side * 26.0 * fork
            branch = beside**2 + (depth + 2.0) ** 2
            tissue[(branch < 36.0) & ~above & (fork < 2.2)] = Tissue.VESSEL
