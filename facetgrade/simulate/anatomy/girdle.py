"""Bones beside the spine that tell its level: ribs and iliac bones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.primitives import (
    Axes,
    Field,
    limb,
    plate,
    smooth_min,
)
from facetgrade.simulate.anatomy.space import Box, SpineSpace
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]
# Course of a rib behind and beside its vertebra: x from the side of the body, y from
# its back wall, z from its middle, in mm of an adult; the lowest rib ends early.
_RIB = np.array(
    [[0.0, -3.0, 4.0], [24.0, 20.0, -3.0], [50.0, 12.0, -20.0], [74.0, -24.0, -44.0]]
)
_LOWEST_RIB_POINTS = 3
# Iliac bone in the axial plane of S1, from the posterior spine along the sacroiliac
# joint to the front of the wing: x from the edge of the sacrum, y and z from S1.
_ILIUM = np.array([[-9.0, 46.0, -14.0], [5.0, 8.0, -8.0], [58.0, -46.0, -18.0]])
_ILIUM_HALF_HEIGHT = (27.0, 47.0, 46.0)
_JOINT_MM = 2.5


def paint_ribs(tissue: Labels, space: SpineSpace, person: Person) -> None:
    """Paint the ribs of all vertebrae that carry some."""
    ribbed = person.variant.ribbed
    for name in ribbed:
        size, pose = person.sizes[name], person.poses[name]
        for side in Side:
            points = _RIB * person.scale
            if name == ribbed[-1]:
                points = points[:_LOWEST_RIB_POINTS]
            root = np.array([size.width_lower / 2.0, size.depth / 2.0, 0.0])
            course = points + root
            course[:, 0] *= side.sign
            lps = pose.to_lps(course)

            def rib(axes: Axes, lps: NDArray[np.float64] = lps) -> Field:
                return _bar(axes, lps)

            _paint_bone(tissue, space, lps, rib, margin_mm=9.0)


def _bar(axes: Axes, points: NDArray[np.float64]) -> Field:
    """Round bar through points."""
    parts = [
        limb(axes, a, b, radii_mm=(3.8, 3.8), stretch=1.4) for a, b in pairwise(points)
    ]
    total = parts[0]
    for part in parts[1:]:
        total = np.minimum(total, part)
    return total


def paint_iliac_bones(
    tissue: Labels,
    space: SpineSpace,
    person: Person,
    spine_mm: NDArray[np.float32],
) -> None:
    """Paint both iliac bones and the muscles on them.

    Parameters
    ----------
    tissue : (S, R, C) uint8 ndarray
        Painted in place.
    space : SpineSpace
        Coordinates of the grid.
    person : Person
        Whose bones.
    spine_mm : (S, R, C) float32 ndarray
        Signed distance to the spine; the iliac bone keeps off it.
    """
    center = person.poses["S1"].center_lps_mm
    for side in Side:
        points = _ILIUM * person.scale
        points[:, 0] += person.wing_half_mm
        points[:, 0] *= side.sign
        lps = points + center
        box, axes = _box(space, lps, margin_mm=62.0 * person.scale)
        if tissue[box].size == 0:
            continue
        bone = _blade(axes, lps, person.scale)
        block = tissue[box]
        soft = (block == Tissue.ABDOMINAL_FAT) | (block == Tissue.BOWEL)
        block[(bone < 16.0) & soft] = Tissue.MUSCLE
        bone = np.maximum(bone, _JOINT_MM - spine_mm[box])
        covered = (block != Tissue.SUBCUTANEOUS_FAT) & (block != Tissue.AIR)
        _fill_bone(block, np.where(covered, bone, 1.0))


def _blade(axes: Axes, points: NDArray[np.float64], scale: float) -> Field:
    """Two plates from the posterior spine to the front of the iliac wing."""
    heights = [h * scale for h in _ILIUM_HALF_HEIGHT]
    rear = plate(
        axes,
        points[0],
        points[1],
        half_thickness_mm=6.5 * scale,
        half_heights_mm=(heights[0], heights[1]),
    )
    front = plate(
        axes,
        points[1],
        points[2],
        half_thickness_mm=4.5 * scale,
        half_heights_mm=(heights[1], heights[2]),
    )
    return smooth_min(rear, front, 6.0)


def _box(
    space: SpineSpace, points_lps_mm: NDArray[np.float64], *, margin_mm: float
) -> tuple[Box, Axes]:
    """Return the block around points and the LPS axes within it."""
    low = points_lps_mm.min(axis=0) - margin_mm
    high = points_lps_mm.max(axis=0) + margin_mm
    index = space.grid.to_index(np.stack([low, high]))
    shape = np.array(space.grid.shape)
    start = np.clip(np.floor(index.min(axis=0)), 0, shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, start, shape).astype(int)
    k, j, i = (slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    return (k, j, i), (space.x[:, :, i], space.y[:, j], space.z[k])


def _paint_bone(
    tissue: Labels,
    space: SpineSpace,
    points: NDArray[np.float64],
    solid: Callable[[Axes], Field],
    *,
    margin_mm: float,
) -> None:
    """Paint one bone around points."""
    box, axes = _box(space, points, margin_mm=margin_mm)
    if tissue[box].size:
        _fill_bone(tissue[box], solid(axes))


def _fill_bone(block: Labels, distance_mm: NDArray[np.float32]) -> None:
    """Paint the shell and the marrow of a bone."""
    block[distance_mm < 0.0] = Tissue.CORTICAL_BONE
    block[distance_mm < -1.3] = Tissue.MARROW
