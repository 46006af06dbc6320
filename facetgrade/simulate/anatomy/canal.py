"""The spinal canal: its wall, ligaments, sac and roots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from facetgrade.anatomy import Side, Structure
from facetgrade.simulate.anatomy.column import ColumnStyle, Labels
from facetgrade.simulate.anatomy.space import Field, SpineSpace
from facetgrade.simulate.scene import Tissue

_FLAVUM_BELOW_MM = 2.0  # its thickest part below the middle of the disc


def canal_coordinates(space: SpineSpace) -> tuple[Field, Field]:
    """Measure where voxels lie relative to the spinal canal.

    Returns
    -------
    depth_mm : float32 ndarray
        Signed distance to the wall, negative inside.
    behind : float32 ndarray
        Distance behind the middle of the canal, 1 at its back wall.
    """
    table = space.table
    half_width = space.size(table.canal_half_width)
    half_depth = space.size(table.canal_half_depth)
    behind = (space.back - space.size(table.canal_middle)) / half_depth
    narrow = 1.0 - 0.3 * np.clip(behind, 0.0, 1.2)
    radius = np.sqrt((space.left / (half_width * narrow)) ** 2 + behind**2)
    return (radius - 1.0) * half_depth, behind


def paint_canal(
    tissue: Labels,
    structure: Labels,
    space: SpineSpace,
    style: ColumnStyle,
    thickening_mm: Mapping[tuple[str, Side], float],
) -> None:
    """Paint ligaments around the bodies, the canal, the sac and the roots.

    `thickening_mm` says how far the flavum stands into the canal below a vertebra.
    """
    table = space.table
    box, space = space.window(34.0, (-28.0, 62.0))
    tissue, structure = tissue[box], structure[box]
    depth_mm, behind = canal_coordinates(space)
    _paint_long_ligaments(tissue, space)
    flavum = (depth_mm < style.flavum_mm) & (behind > 0.05)
    flavum &= space.along < table.bodies["S1"]
    tissue[flavum] = Tissue.LIGAMENTUM_FLAVUM
    structure[flavum] = Structure.LIGAMENTUM_FLAVUM
    canal = depth_mm < 0.0
    tissue[canal] = Tissue.EPIDURAL_FAT
    structure[canal] = Structure.CANAL
    _paint_sac(tissue, space, style)
    if any(thickening_mm.values()):
        inward = _thickening(space, behind, thickening_mm)
        thick = canal & (depth_mm > -inward)
        tissue[thick] = Tissue.LIGAMENTUM_FLAVUM
        structure[thick] = Structure.LIGAMENTUM_FLAVUM


def _thickening(
    space: SpineSpace, behind: Field, amounts_mm: Mapping[tuple[str, Side], float]
) -> Field:
    """Return how far the flavum stands into the canal, most beside worn joints."""
    names = list(space.table.bodies)
    by_side = {side: np.zeros_like(space.along) for side in Side}
    for (upper, side), amount in amounts_mm.items():
        lower = names[names.index(upper) + 1]
        disc = (space.table.bodies[upper] + space.table.bodies[lower]) / 2.0
        near = np.exp(-(((space.along - disc - _FLAVUM_BELOW_MM) / 8.0) ** 2))
        by_side[side] = by_side[side] + np.float32(amount) * near
    to_left = np.clip(0.5 + space.left / 8.0, 0.0, 1.0)
    both = by_side[Side.LEFT] * to_left + by_side[Side.RIGHT] * (1.0 - to_left)
    inward: Field = both * np.clip((behind - 0.05) / 0.35, 0.0, 1.0)
    return inward


def _paint_long_ligaments(tissue: Labels, space: SpineSpace) -> None:
    """Paint the anterior and posterior longitudinal ligaments."""
    depth = space.size(space.table.half_depth)
    width = space.size(space.table.half_width)
    layer = max(1.2, float(space.grid.spacing_mm[0]))
    radius = np.sqrt((space.left / width) ** 2 + (space.back / depth) ** 2)
    outside = (radius - 1.0) * depth
    near = (outside > -3.0) & (outside < layer)
    front = near & (space.back < -0.5 * depth)
    back = near & (space.back > 0.8 * depth)
    tissue[front | back] = Tissue.LIGAMENT


def _paint_sac(tissue: Labels, space: SpineSpace, style: ColumnStyle) -> None:
    """Paint the thecal sac with cord and roots, and the roots below it."""
    box, space = space.window(17.0, (8.0, 55.0))
    tissue = tissue[box]
    half_width = space.size(space.table.canal_half_width)
    half_depth = space.size(space.table.canal_half_depth)
    behind = (space.back - space.size(space.table.canal_middle)) / half_depth
    bodies = space.table.bodies
    end = bodies["S1"] + style.sac_end * (bodies["S3"] - bodies["S1"])
    taper = np.clip((end - space.along) / (1.3 * (end - bodies["L4"])), 0.0, 1.0) ** 0.6
    width = half_width * style.sac_width * np.maximum(taper, 0.05)
    depth = half_depth * style.sac_depth * np.maximum(taper, 0.05)
    # The sac lies on the front wall down to L5 and leaves it at the sacrum.
    lift = np.clip((space.along - bodies["L5"]) / (end - bodies["L5"]), 0.0, 1.0)
    front = -half_depth + 1.0 + depth + lift * (half_depth - depth)
    u, v = space.left / width, (behind * half_depth - front) / depth
    sac = (u**2 + v**2 < 1.0) & (taper > 0.0)
    tissue[sac] = Tissue.CSF
    conus = bodies["T12"] + style.conus * (bodies["L2"] - bodies["T12"])
    cord_mm = 4.6 * np.clip((conus - space.along) / 25.0, 0.0, 1.0) ** 0.7
    cord = space.left**2 / 1.3 + (v * depth - 0.5) ** 2 < cord_mm**2
    tissue[cord & sac] = Tissue.NERVE
    below = space.along > conus - 15.0
    thick = max(0.75, 0.45 * float(space.grid.spacing_mm[0]))
    hold = np.nonzero(sac & below)
    left, wide, back, deep = (
        np.broadcast_to(values, sac.shape)[hold]
        for values in (space.left, width, v, depth)
    )
    roots = np.zeros(len(left), bool)
    for place in style.roots:
        near = (left - place[0] * wide) ** 2 + ((back - place[1]) * deep) ** 2
        roots |= near < thick**2
    tissue[tuple(axis[roots] for axis in hold)] = Tissue.NERVE
    for side in (1.0, -1.0):
        sacral = (space.left - side * 0.55 * half_width) ** 2 + (
            behind * half_depth
        ) ** 2
        tissue[(sacral < 2.4**2) & (space.along > bodies["S1"])] = Tissue.NERVE
