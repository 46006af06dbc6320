"""Spurs, thicker processes and lips joined to the sampled bones of one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.bones import (
    Box,
    PosedBone,
    SampledBone,
    overlap,
    vertebra_code,
    within,
)
from facetgrade.simulate.anatomy.osteophytes import JointWear, Osteophytes, Spur
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.primitives import Axes, Field, limb, smooth_min
from facetgrade.simulate.anatomy.template import FAR_MM, FacetSite

_ROOT_MM = 2.2  # radius of a spur where it leaves the bone
_FILLET_MM = 1.5
_MARGIN_MM = 2.0  # of a box around a spur
_STEP_MM = 0.25
_CANAL_MM = 2.0  # how far spurs may grow into the canal
_FLAVUM_MM = 3.0  # processes thicken no nearer to the canal than its flavum


def grow_processes(
    bones: tuple[SampledBone, SampledBone],
    box: Box,
    site: FacetSite,
    grid: VolumeGeometry,
    *,
    gap_mm: float,
    canal_mm: Field,
    wear: JointWear,
) -> None:
    """Grow spurs and thicker processes around a formed joint.

    New bone comes no nearer to the other bone than the joint is wide. Spurs enter the
    spinal canal by at most 2 mm; thicker processes leave the flavum where it is.
    Distances and parts of `bones` are changed in place.

    Parameters
    ----------
    bones : tuple of SampledBone
        Upper and lower vertebra, shaped around the joint.
    box : tuple of slice
        Block of the grid around the joint.
    site : FacetSite
        The joint in LPS mm.
    grid : VolumeGeometry
        The grid, along the LPS axes.
    gap_mm : float
        Width of the gap.
    canal_mm : float32 ndarray
        Signed distance to the wall of the canal on the block, negative inside.
    wear : JointWear
        What to grow.
    """
    blocks = [bone.distance_mm[within(bone.box, box)] for bone in bones]
    axes = _lps_axes(grid, box)
    names = (
        Structure.INFERIOR_ARTICULAR_PROCESS,
        Structure.SUPERIOR_ARTICULAR_PROCESS,
    )
    # The superior process comes first: its spurs are the larger ones.
    for k, sign in ((1, 1.0), (0, -1.0)):
        room = np.float32(gap_mm) - blocks[1 - k]
        limit = np.maximum(room, -canal_mm - np.float32(_CANAL_MM))
        before = blocks[k].copy()
        if wear.hypertrophy_mm[k] > 0.0:
            swollen = before - _swelling(axes, site, wear.hypertrophy_mm[k])
            in_front = np.float32(_FLAVUM_MM) - canal_mm
            blocks[k][...] = np.minimum(before, np.maximum(swollen, in_front))
        roots = _spur_roots(before, axes, site, wear.spurs[k], sign, gap_mm)
        for start, end, spur in roots:
            radii = (_root_mm(spur), spur.tip_mm)
            near = _box_around(start, end, radii[0], axes)
            solid = limb(_cut(axes, near), start, end, radii_mm=radii)
            blocks[k][near] = smooth_min(blocks[k][near], solid, _FILLET_MM)
        grown = np.minimum(before, np.maximum(blocks[k], limit))
        loose = _loose(grown < 0.0, before < 0.0)
        np.copyto(grown, np.maximum(before, np.float32(0.1)), where=loose)
        parts = bones[k].parts[within(bones[k].box, box)]
        np.copyto(parts, np.uint8(names[k]), where=(grown < 0.0) & (before >= 0.0))
        np.copyto(blocks[k], grown)


def _loose(bone: NDArray[np.bool_], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find pieces that the gap or the canal has cut off from the bone that was."""
    pieces, count = ndimage.label(bone)
    kept = np.zeros(count + 1, bool)
    kept[np.unique(pieces[before & bone])] = True
    kept[0] = True
    loose: NDArray[np.bool_] = ~kept[pieces]
    return loose


def _swelling(axes: Axes, site: FacetSite, amount_mm: float) -> Field:
    """How much bone grows around a joint, fading out beyond the processes."""
    x, y, z = (a - np.float32(c) for a, c in zip(axes, site.center_mm, strict=True))
    depth, across, height = (
        (x * np.float32(a[0]) + y * np.float32(a[1]) + z * np.float32(a[2]))
        for a in site.axes
    )
    extents = ((depth, 8.0), (across, site.width_mm / 2), (height, site.height_mm / 2))
    beyond = np.zeros((), np.float32)
    for values, extent in extents:
        beyond = beyond + np.maximum(np.abs(values) - np.float32(extent), 0.0) ** 2
    swelling: Field = np.float32(amount_mm) * np.exp(beyond / np.float32(-18.0))
    return swelling


def _spur_roots(
    distance_mm: Field,
    axes: Axes,
    site: FacetSite,
    spurs: tuple[Spur, ...],
    sign: float,
    gap_mm: float,
) -> list[tuple[NDArray[np.float64], NDArray[np.float64], Spur]]:
    """Find where the spurs of one process start and end, in LPS mm."""
    found = []
    deep = sign * site.normal
    for spur in spurs:
        angle = np.radians(spur.angle_deg)
        out = np.cos(angle) * site.across + np.sin(angle) * site.cranial
        rim = 1.0 / np.hypot(
            np.cos(angle) / (site.width_mm / 2.0),
            np.sin(angle) / (site.height_mm / 2.0),
        )
        # The root is level with the articular surface.
        base = site.center_mm + deep * (gap_mm / 2.0 + _root_mm(spur) - 0.3)
        ways = np.arange(0.5 * rim, 1.5 * rim, _STEP_MM)
        inside = _nearest(distance_mm, axes, base + ways[:, None] * out) < 0.0
        edge = float(ways[np.flatnonzero(inside)[-1]]) if inside.any() else rim
        way = max(spur.length_mm - spur.tip_mm, 0.3)
        start = base + (edge - 1.5) * out
        end = base + (edge + way) * out - deep * (spur.hook * way)
        found.append((start, end, spur))
    return found


def _root_mm(spur: Spur) -> float:
    """Return the radius of a facet's spur where it leaves the bone."""
    return _ROOT_MM + 0.2 * spur.length_mm


def grow_lips(
    bones: Mapping[str, SampledBone],
    person: Person,
    osteophytes: Osteophytes,
    grid: VolumeGeometry,
) -> dict[str, SampledBone]:
    """Return the bones of a grid with lips at the endplates of worn discs.

    Parameters
    ----------
    bones : mapping of str to SampledBone
        Vertebrae on the grid; their distances are changed in place.
    person : Person
        Sizes and discs.
    osteophytes : Osteophytes
        Lips by upper vertebra.
    grid : VolumeGeometry
        The grid, along the LPS axes.
    """
    grown = dict(bones)
    for item in person.interspaces:
        sides = osteophytes.lips.get(item.upper, ((), ()))
        for name, spurs, sign in zip(
            (item.upper, item.lower), sides, (-1.0, 1.0), strict=True
        ):
            if name not in grown:
                continue
            room = 0.3 * item.height_mm
            rim = sign * (person.sizes[name].height / 2.0 - _ROOT_MM)
            for spur in spurs:
                ends = _lip_ends(grown[name].bone, spur, rim, room * sign)
                grown[name] = _with_lip(grown[name], ends, spur.tip_mm, grid)
    return grown


def _lip_ends(
    bone: PosedBone, spur: Spur, rim_mm: float, room_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find start and end of a lip's spur in LPS mm from the shape of the bone."""
    angle = np.radians(spur.angle_deg)
    out = np.array([np.sin(angle), -np.cos(angle), 0.0])
    ways = np.arange(8.0, 40.0, _STEP_MM)
    points = np.array([0.0, 0.0, rim_mm]) + ways[:, None] * out
    at = bone.template.geometry.to_index(points).T
    distance = ndimage.map_coordinates(
        bone.template.distance_mm, at, order=1, cval=FAR_MM
    )
    outside = np.flatnonzero(distance > 0.0)
    edge = ways[outside[0]] if outside.size else ways[-1]
    way = max(spur.length_mm - spur.tip_mm, 0.3)
    bend = np.sign(room_mm) * min(spur.hook * way, abs(room_mm))
    start = np.array([0.0, 0.0, rim_mm]) + (edge - 2.0) * out
    end = np.array([0.0, 0.0, rim_mm + bend]) + (edge + way) * out
    return bone.pose.to_lps(start), bone.pose.to_lps(end)


def _with_lip(
    bone: SampledBone,
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    tip_mm: float,
    grid: VolumeGeometry,
) -> SampledBone:
    """Join one spur to a body, on a larger block of the grid if need be."""
    whole = (slice(0, grid.shape[0]), slice(0, grid.shape[1]), slice(0, grid.shape[2]))
    near = _box_around(*ends, _ROOT_MM, _lps_axes(grid, whole))
    if any(s.stop <= s.start for s in near):
        return bone
    bone = _enlarged(bone, near)
    block = within(bone.box, near)
    radii = (_ROOT_MM, tip_mm)
    solid = limb(_lps_axes(grid, near), *ends, radii_mm=radii)
    before = bone.distance_mm[block].copy()
    bone.distance_mm[block] = smooth_min(before, solid, _FILLET_MM)
    fresh = (bone.distance_mm[block] < 0.0) & (before >= 0.0)
    bone.parts[block][fresh] = Structure.VERTEBRAL_BODY
    bone.codes[block][fresh] = vertebra_code(bone.bone.template.name)
    return bone


def _enlarged(bone: SampledBone, near: Box) -> SampledBone:
    """Return a sampled bone whose block also holds another block."""
    if overlap(bone.box, near) == near:
        return bone
    pads = [
        (max(a.start - b.start, 0), max(b.stop - a.stop, 0))
        for a, b in zip(bone.box, near, strict=True)
    ]
    k, j, i = (
        slice(a.start - low, a.stop + high)
        for a, (low, high) in zip(bone.box, pads, strict=True)
    )
    return replace(
        bone,
        box=(k, j, i),
        distance_mm=np.pad(bone.distance_mm, pads, constant_values=FAR_MM),
        parts=np.pad(bone.parts, pads),
        codes=np.pad(bone.codes, pads),
    )


def _lps_axes(grid: VolumeGeometry, box: Box) -> Axes:
    """Return x, y, z in mm of a block of a grid along the LPS axes."""
    origin, spacing = grid.index_to_lps[:3, 3], grid.spacing_mm
    z, y, x = (
        (origin[axis] + spacing[k] * np.arange(box[k].start, box[k].stop)).astype(
            np.float32
        )
        for k, axis in enumerate((2, 1, 0))
    )
    return x[None, None, :], y[None, :, None], z[:, None, None]


def _box_around(
    start: NDArray[np.float64], end: NDArray[np.float64], radius_mm: float, axes: Axes
) -> Box:
    """Return the block of some axes that holds a spur."""
    reach = radius_mm + _MARGIN_MM
    spans = []
    for axis, values in zip((2, 1, 0), axes[::-1], strict=True):
        low, high = sorted((start[axis], end[axis]))
        first, last = np.searchsorted(values.ravel(), [low - reach, high + reach])
        spans.append(slice(int(first), int(last)))
    return spans[0], spans[1], spans[2]


def _cut(axes: Axes, box: Box) -> Axes:
    """Return the axes of a block."""
    x, y, z = axes
    return x[:, :, box[2]], y[:, box[1]], z[box[0]]


def _nearest(values: Field, axes: Axes, points: NDArray[np.float64]) -> Field:
    """Take values at the nearest voxels; far away beyond the block."""
    index = []
    inside = np.ones(len(points), bool)
    for axis, line in zip((2, 1, 0), axes[::-1], strict=True):
        ticks = line.ravel()
        at = np.round((points[:, axis] - ticks[0]) / (ticks[1] - ticks[0])).astype(int)
        inside &= (at >= 0) & (at < len(ticks))
        index.append(np.clip(at, 0, len(ticks) - 1))
    taken: Field = np.where(inside, values[tuple(index)], np.float32(FAR_MM))
    return taken
