"""Facet joints between two bones: gap, cartilage, fluid, capsule and flavum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.bone_growth import grow_processes
from facetgrade.simulate.anatomy.bones import Box, SampledBone, overlap, within
from facetgrade.simulate.anatomy.osteophytes import JointWear
from facetgrade.simulate.anatomy.posture import Interspace
from facetgrade.simulate.anatomy.primitives import smooth_min
from facetgrade.simulate.anatomy.template import FacetSite
from facetgrade.simulate.scene import Tissue

_REACH_MM = 24.0  # half edge of the block around a joint
_CAPSULE_MM = 1.3
_OPEN_MM = 4.5  # bones farther from the middle surface than this stay apart
_CARVE_MM = 5.0  # the gap is cut this far beyond the articular area
_THICKNESS_MM = 6.0  # how far the curved joint reaches from its middle plane


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FormedJoint:
    """One joint on a block of a grid.

    Attributes
    ----------
    upper, lower : str
        Names of the vertebrae.
    side : Side
        Side of the patient.
    box : tuple of slice
        Block of the grid; arrays have its shape.
    space, capsule : bool ndarray
        Joint space between the articular surfaces, and its capsule.
    space_tissue : uint8 ndarray
        `Tissue` of the joint space.
    """

    upper: str
    lower: str
    side: Side
    box: Box
    space: NDArray[np.bool_]
    capsule: NDArray[np.bool_]
    space_tissue: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Place:
    """Coordinates of a block in the frame of a joint, in mm."""

    depth: NDArray[np.float32]
    across: NDArray[np.float32]
    height: NDArray[np.float32]


def form_joint(
    space: Interspace,
    side: Side,
    bones: tuple[SampledBone, SampledBone],
    grid: VolumeGeometry,
    *,
    canal_mm: Callable[[Box], NDArray[np.float32]],
    wear: JointWear | None = None,
) -> FormedJoint | None:
    """Shape both articular processes around a gap and fill it.

    The middle surface is where both bones are equally near. Bone is removed up to
    half a gap from it, and grown to there within the articular area, so that
    overlapping and too distant processes both give the drawn gap. The distances of
    `bones` are changed in place.

    Parameters
    ----------
    space : Interspace
        Level with its joints.
    side : Side
        Which of them.
    bones : tuple of SampledBone
        Upper and lower vertebra on `grid`.
    grid : VolumeGeometry
        The grid.
    canal_mm : callable
        Signed distance to the wall of the spinal canal on a block of the grid.
    wear : JointWear, optional
        What grows beside the finished joint space.

    Returns
    -------
    FormedJoint or None
        None if the joint lies outside the grid.
    """
    site = space.facets[side]
    box = _block_around(site, grid, bones)
    if box is None:
        return None
    upper, lower = (bone.distance_mm[within(bone.box, box)] for bone in bones)
    place = _coordinates(site, box, grid)
    gap = np.float32(space.gap_mm[side])
    middle = (upper - lower) / np.float32(2.0)
    nearness = (upper + lower) / np.float32(2.0)
    area = _articular_area(place, site)
    grow = (area < 0.0) & (nearness < _OPEN_MM)
    near = (nearness < 6.0) & (area < _CARVE_MM)
    for values, inner in ((upper, middle + gap / 2), (lower, gap / 2 - middle)):
        np.copyto(values, np.maximum(values, inner), where=near)
        wanted = smooth_min(values, np.maximum(inner, area), 1.0)
        np.copyto(values, wanted, where=grow)
    _own_parts(bones, box, area)
    inside = _joint_space((upper, lower), area, float(gap))
    if wear is not None:
        grow_processes(
            bones,
            box,
            site,
            grid,
            gap_mm=float(gap),
            canal_mm=canal_mm(box),
            wear=wear,
        )
    longest = wear.longest_mm if wear else 0.0
    return _fill(space, side, box, (upper, lower), (middle, area), inside, longest)


def _joint_space(
    distances: tuple[NDArray[np.float32], NDArray[np.float32]],
    area: NDArray[np.float32],
    gap_mm: float,
) -> NDArray[np.bool_]:
    """Return the room between the articular surfaces."""
    upper, lower = distances
    free = (upper > 0.0) & (lower > 0.0)
    space: NDArray[np.bool_] = free & (upper + lower < gap_mm + 0.8) & (area < 0.5)
    return space


def _fill(
    space: Interspace,
    side: Side,
    box: Box,
    distances: tuple[NDArray[np.float32], NDArray[np.float32]],
    fields: tuple[NDArray[np.float32], NDArray[np.float32]],
    inside: NDArray[np.bool_],
    longest_mm: float,
) -> FormedJoint:
    """Find the tissues of the joint space and its capsule around the spurs."""
    upper, lower = distances
    middle, area = fields
    gap = space.gap_mm[side]
    free = (upper > 0.0) & (lower > 0.0)
    # Physiologic fluid is thinner than 1 mm, and thinnest where the cartilage is thick.
    film = min(0.16 * gap, 0.45) * np.clip(1.2 + 0.08 * np.minimum(area, 0.0), 0.6, 1.0)
    tissue = np.where(
        np.abs(middle) < film, np.uint8(Tissue.JOINT_FLUID), np.uint8(Tissue.CARTILAGE)
    )
    outside = free & ~inside & (area > -1.0)
    rim = (upper < gap + 1.6) & (lower < gap + 1.6)
    capsule = outside & rim & (area < _CAPSULE_MM + 2.0)
    if longest_mm > 0.0:
        lips = (upper + lower < gap + 0.8) & (area < _CAPSULE_MM + longest_mm)
        capsule |= outside & lips
    return FormedJoint(
        upper=space.upper,
        lower=space.lower,
        side=side,
        box=box,
        space=inside,
        capsule=capsule,
        space_tissue=tissue,
    )


def _block_around(
    site: FacetSite, grid: VolumeGeometry, bones: tuple[SampledBone, SampledBone]
) -> Box | None:
    """Return the block around a joint that both bones cover."""
    index = grid.to_index(site.center_mm)
    reach = _REACH_MM / grid.spacing_mm
    low = np.clip(np.floor(index - reach), 0, None).astype(int)
    high = np.minimum(np.ceil(index + reach).astype(int) + 1, grid.shape)
    if np.any(high <= low):
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    shared = overlap(bones[0].box, bones[1].box)
    return None if shared is None else overlap((k, j, i), shared)


def _coordinates(site: FacetSite, box: Box, grid: VolumeGeometry) -> _Place:
    """Return the joint coordinates of a block."""
    rows = []
    steps = grid.index_to_lps[:3, :3]
    start = grid.to_lps([s.start for s in box]) - site.center_mm
    ranges = [np.arange(s.stop - s.start) for s in box]
    for axis in site.axes:
        slope = axis @ steps
        parts = [(r * w).astype(np.float32) for r, w in zip(ranges, slope, strict=True)]
        rows.append(
            parts[0][:, None, None]
            + parts[1][None, :, None]
            + parts[2][None, None, :]
            + np.float32(axis @ start)
        )
    return _Place(depth=rows[0], across=rows[1], height=rows[2])


def _articular_area(place: _Place, site: FacetSite) -> NDArray[np.float32]:
    """Signed distance in mm to the rim of the articular area, along the joint."""
    half = (site.width_mm / 2.0, site.height_mm / 2.0)
    radius = np.sqrt((place.across / half[0]) ** 2 + (place.height / half[1]) ** 2)
    beyond = np.abs(place.depth) - _THICKNESS_MM
    area: NDArray[np.float32] = np.maximum((radius - 1.0) * min(half), beyond).astype(
        np.float32
    )
    return area


def _own_parts(
    bones: tuple[SampledBone, SampledBone], box: Box, area: NDArray[np.float32]
) -> None:
    """Name the bone beside the joint after its articular processes."""
    names = (
        Structure.INFERIOR_ARTICULAR_PROCESS,
        Structure.SUPERIOR_ARTICULAR_PROCESS,
    )
    for bone, name in zip(bones, names, strict=True):
        block = within(bone.box, box)
        shallow = (area < 1.5) & (bone.distance_mm[block] > -4.5)
        body = bone.parts[block] == Structure.VERTEBRAL_BODY
        np.copyto(bone.parts[block], np.uint8(name), where=shallow & ~body)


def joint_frame(
    formed: FormedJoint, site: FacetSite, up: NDArray[np.float64], grid: VolumeGeometry
) -> JointFrame:
    """Measure center and axes of a joint from its joint space.

    Parameters
    ----------
    formed : FormedJoint
        The joint on `grid`.
    site : FacetSite
        Where it was planned, in LPS mm.
    up : (3,) float64 ndarray
        Unit direction of the spine toward the head at this level.
    grid : VolumeGeometry
        The grid.
    """
    index = np.argwhere(formed.space) + [s.start for s in formed.box]
    points = grid.to_lps(index)
    center = points.mean(axis=0)
    spread = np.cov((points - center).T)
    # Long extent, mixed with the spine's direction since joints are nearly as wide.
    towards = spread @ site.cranial
    cranial = towards / np.linalg.norm(towards) + site.cranial + up
    cranial /= np.linalg.norm(cranial)
    lateral = np.array([float(formed.side.sign), 0.0, 0.0])
    lateral -= cranial * (lateral @ cranial)
    lateral /= np.linalg.norm(lateral)
    posterior = np.cross(cranial, lateral) * formed.side.sign
    return JointFrame(
        center_lps_mm=center, cranial=cranial, posterior=posterior, lateral=lateral
    )
