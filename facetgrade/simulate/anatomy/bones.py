"""Bones of one person sampled on a grid of the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import VERTEBRAE
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.posture import Pose
from facetgrade.simulate.anatomy.template import FAR_MM, VertebraTemplate

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PosedBone:
    """Template of a vertebra placed in the patient.

    Attributes
    ----------
    template : VertebraTemplate
        Shape in its own frame.
    pose : Pose
        Place of that frame.
    segments : (K, J, I) uint8 ndarray or None
        For the sacrum, 0 for S1 and so on downward, on the template's grid.
    """

    template: VertebraTemplate
    pose: Pose
    segments: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SampledBone:
    """One bone within its box of a grid of the patient.

    Attributes
    ----------
    bone : PosedBone
        What was sampled.
    box : tuple of slice
        Block of the grid; arrays have its shape.
    distance_mm : float32 ndarray
        Signed distance, changed in place where joints are formed.
    parts, codes : uint8 ndarray
        `Structure` and vertebra code (see `SceneGrid`) of the nearest bone.
    """

    bone: PosedBone
    box: Box
    distance_mm: NDArray[np.float32]
    parts: NDArray[np.uint8]
    codes: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Skeleton:
    """All bones of a grid.

    Attributes
    ----------
    distance_mm : float32 ndarray
        Signed distance to the nearest vertebra.
    parts, codes : uint8 ndarray
        `Structure` and vertebra code of the nearest bone.
    """

    distance_mm: NDArray[np.float32]
    parts: NDArray[np.uint8]
    codes: NDArray[np.uint8]


def vertebra_code(name: str) -> int:
    """Return the code of a vertebra in `SceneGrid.vertebra`; 0 below S2."""
    return VERTEBRAE.index(name) + 1 if name in VERTEBRAE else 0


def sample_bone(bone: PosedBone, grid: VolumeGeometry) -> SampledBone | None:
    """Sample one bone on the block of `grid` that holds it; None if it misses."""
    template = bone.template
    box = _box_of(bone, grid)
    if box is None:
        return None
    matrix = (
        np.linalg.inv(template.geometry.index_to_lps)
        @ np.linalg.inv(bone.pose.local_to_lps)
        @ grid.index_to_lps
    )
    start = np.array([s.start for s in box], float)
    shape = tuple(s.stop - s.start for s in box)
    offset = matrix[:3, :3] @ start + matrix[:3, 3]

    def take(values: NDArray[Any], order: int, outside: float) -> NDArray[Any]:
        sampled: NDArray[Any] = ndimage.affine_transform(
            values,
            matrix[:3, :3],
            offset=offset,
            output_shape=shape,
            order=order,
            cval=outside,
            output=values.dtype,
        )
        return sampled

    code = vertebra_code(template.name)
    if bone.segments is None:
        codes = np.full(shape, code, np.uint8)
    else:
        segments = take(bone.segments, 0, 4)
        codes = np.array([code, vertebra_code("S2"), 0, 0, 0, 0], np.uint8)[segments]
    return SampledBone(
        bone=bone,
        box=box,
        distance_mm=take(template.distance_mm, 1, FAR_MM),
        parts=take(template.parts, 0, 0),
        codes=codes,
    )


def _box_of(bone: PosedBone, grid: VolumeGeometry) -> Box | None:
    """Return the block of the grid that the template's grid covers."""
    last = np.array(bone.template.geometry.shape) - 1.0
    corners = np.array(np.meshgrid(*zip((0, 0, 0), last, strict=True))).reshape(3, -1).T
    local = bone.template.geometry.to_lps(corners)
    index = grid.to_index(bone.pose.to_lps(local))
    low = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, grid.shape)
    if np.any(high <= low):
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def join_bones(bones: list[SampledBone], grid: VolumeGeometry) -> Skeleton:
    """Let the nearest bone win every voxel."""
    distance = np.full(grid.shape, FAR_MM, np.float32)
    parts = np.zeros(grid.shape, np.uint8)
    codes = np.zeros(grid.shape, np.uint8)
    for bone in bones:
        closer = bone.distance_mm < distance[bone.box]
        np.copyto(distance[bone.box], bone.distance_mm, where=closer)
        np.copyto(parts[bone.box], bone.parts, where=closer)
        np.copyto(codes[bone.box], bone.codes, where=closer)
    return Skeleton(distance_mm=distance, parts=parts, codes=codes)


def overlap(a: Box, b: Box) -> Box | None:
    """Return the block that two blocks share, None if they share nothing."""
    shared = tuple(
        slice(max(p.start, q.start), min(p.stop, q.stop))
        for p, q in zip(a, b, strict=True)
    )
    if any(s.stop <= s.start for s in shared):
        return None
    return shared[0], shared[1], shared[2]


def within(box: Box, block: Box) -> Box:
    """Express a block of the grid relative to the box that contains it."""
    k, j, i = (
        slice(b.start - a.start, b.stop - a.start)
        for a, b in zip(box, block, strict=True)
    )
    return k, j, i
