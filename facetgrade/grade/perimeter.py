"""Outline of the joint and the share of its perimeter that edema surrounds.

All geometry is in the planes of a joint-aligned grid: axis 0 grows cranially, axis 1
posteriorly, axis 2 laterally. Angles start posteriorly and grow laterally.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from facetgrade.anatomy import Structure
from facetgrade.grade.settings import PerimeterSettings
from facetgrade.grade.window import block_around

SECTORS = 72
SOFT_STRUCTURES = (
    Structure.SOFT_TISSUE,
    Structure.LIGAMENTUM_FLAVUM,
    Structure.FORAMEN,
)

_ARTICULAR = (
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
)
_CENTER_WEIGHT_MM = 10.0
_LENGTH_TOLERANCE_MM = 1e-6
_EVERY_NEIGHBOR = np.ones((3, 3, 3), bool)


def joint_outline(
    structures: NDArray[np.uint8],
    spacing_mm: NDArray[np.float64],
    settings: PerimeterSettings,
) -> NDArray[np.bool_]:
    """Outline the joint in every plane across its cranio-caudal axis.

    The region encloses the joint space, the capsule with its recesses and the cortex
    of both articular processes beside the joint. It has one piece without holes in
    every plane. Planes with hardly any joint space are outside the joint's height and
    empty.

    Parameters
    ----------
    structures : (H, R, C) uint8 ndarray
        `Structure` labels on the joint-aligned grid, whose middle lies in the joint.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.
    settings : PerimeterSettings
        Depth of cortex and width of gaps.

    Returns
    -------
    (H, R, C) bool ndarray
        The outline, filled.
    """
    joint_space = _own_joint_space(structures, spacing_mm, settings)
    outline = np.zeros(structures.shape, bool)
    area_mm2 = joint_space.sum(axis=(1, 2)) * spacing_mm[1] * spacing_mm[2]
    for plane in np.flatnonzero(area_mm2 >= settings.minimum_joint_space_mm2):
        outline[plane] = _outline_of_plane(
            structures[plane], joint_space[plane], spacing_mm[1:], settings
        )
    return outline


def distance_in_plane_mm(
    region: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Measure the distance of every voxel to the edge of a region of its plane.

    Parameters
    ----------
    region : (H, R, C) bool ndarray
        For example a joint outline.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.

    Returns
    -------
    (H, R, C) float32 ndarray
        mm from the voxel center to the edge of the region, 0 inside, infinite in planes
        that have no region.
    """
    distance_mm = np.full(region.shape, np.inf, np.float32)
    for plane in np.flatnonzero(region.any(axis=(1, 2))):
        distance_mm[plane] = _distance_mm(region[plane], spacing_mm[1:])
    return distance_mm


def plane_centers(outline: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the (row, column) centroid of every plane's outline, NaN where empty."""
    area = outline.sum(axis=(1, 2)).astype(float)
    rows = outline.sum(axis=2) @ np.arange(outline.shape[1], dtype=float)
    columns = outline.sum(axis=1) @ np.arange(outline.shape[2], dtype=float)
    area[area == 0.0] = np.nan
    centers: NDArray[np.float64] = np.stack([rows, columns], axis=1) / area[:, None]
    return centers


def sector_of_voxels(
    outline: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> NDArray[np.int16]:
    """Tell in which sector of 5 degrees around the joint each voxel center lies.

    Parameters
    ----------
    outline : (H, R, C) bool ndarray
        From `joint_outline`.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.

    Returns
    -------
    (H, R, C) int16 ndarray
        0-71 from posterior over lateral and anterior to medial, -1 in planes outside
        the joint's height.
    """
    centers = plane_centers(outline)
    posterior_mm = (np.arange(outline.shape[1]) - centers[:, :1]) * spacing_mm[1]
    lateral_mm = (np.arange(outline.shape[2]) - centers[:, 1:]) * spacing_mm[2]
    degrees = np.degrees(np.arctan2(lateral_mm[:, None, :], posterior_mm[:, :, None]))
    sector = np.floor(np.nan_to_num(degrees % 360.0) * SECTORS / 360.0) % SECTORS
    sector[np.isnan(centers[:, 0])] = -1
    return np.asarray(sector, np.int16)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SectorThickness:
    """Radial thickness of tissue within reach of the outline, per plane and sector.

    Attributes
    ----------
    planes : (P,) intp ndarray
        Grid planes of the joint's height, from the bottom.
    available_mm : (P, 72) float64 ndarray
        Soft tissue in view.
    abnormal_mm : (T, P, 72) float64 ndarray
        Edematous soft tissue, one map per probability threshold.
    """

    planes: NDArray[np.intp]
    available_mm: NDArray[np.float64]
    abnormal_mm: NDArray[np.float64]


def measure_sectors(
    outline: NDArray[np.bool_],
    soft_tissue: NDArray[np.bool_],
    edema: NDArray[np.float32],
    spacing_mm: NDArray[np.float64],
    *,
    thresholds: tuple[float, ...],
    settings: PerimeterSettings,
) -> SectorThickness:
    """Measure the soft tissue and the edema that each sector has outside the outline.

    Rays leave the centroid of each plane's outline. The thickness of a ray is the
    length of its samples outside the outline, within `reach_mm` of it; that of a sector
    is the median over its rays, so that half of them decide and the voxel grid does
    not show.

    Parameters
    ----------
    outline : (H, R, C) bool ndarray
        From `joint_outline`.
    soft_tissue : (H, R, C) bool ndarray
        Where edema of soft tissue could be seen: neither bone, canal nor disc.
    edema : (H, R, C) float32 ndarray
        Probability of soft-tissue edema.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.
    thresholds : tuple of float
        Probabilities from which on a sample is abnormal.
    settings : PerimeterSettings
        Reach and sampling.

    Returns
    -------
    SectorThickness
        Thickness in mm per plane of the joint's height and sector.
    """
    planes = np.flatnonzero(outline.any(axis=(1, 2)))
    outside_mm = distance_in_plane_mm(outline[planes], spacing_mm)
    in_reach, samples = _samples_in_reach(
        soft_tissue[planes] & (outside_mm > 0.0),
        outside_mm,
        _ray_points(outline[planes], spacing_mm[1:], settings),
        settings.reach_mm,
    )
    probability = np.full(in_reach.shape, -1.0, np.float32)
    probability[in_reach] = _interpolate(edema[planes], samples) if edema.any() else 0.0
    return SectorThickness(
        planes=planes,
        available_mm=_sector_thickness_mm(in_reach, settings),
        abnormal_mm=np.stack(
            [_sector_thickness_mm(probability >= p, settings) for p in thresholds]
        ),
    )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PerimeterShare:
    """How much of the perimeter is abnormal at one probability threshold.

    Attributes
    ----------
    sector_map : (P, 72) int8 ndarray
        1 abnormal, 0 normal, -1 no soft tissue; rows from the bottom of the joint.
    height_30, worst_plane : float
        Abnormal share of the available sectors by either way to combine planes.
    height_30_all_sectors, worst_plane_all_sectors : float
        The same over all 72 sectors.
    """

    sector_map: NDArray[np.int8]
    height_30: float
    worst_plane: float
    height_30_all_sectors: float
    worst_plane_all_sectors: float


def perimeter_share(
    thickness: SectorThickness, threshold_index: int, settings: PerimeterSettings
) -> PerimeterShare:
    """Combine sectors and planes into shares of the perimeter.

    ``height_30``: numerator are the sectors abnormal over at least `height_share` of
    the planes of the joint's height, denominator the sectors with soft tissue over at
    least the same share. ``worst_plane``: the largest share of abnormal among
    available sectors in one plane, of the planes where enough sectors are available.

    Parameters
    ----------
    thickness : SectorThickness
        From `measure_sectors`.
    threshold_index : int
        Which map of `thickness.abnormal_mm`.
    settings : PerimeterSettings
        Minimum thickness and shares.

    Returns
    -------
    PerimeterShare
        Shares by both ways, 0 without a joint.
    """
    minimum_mm = settings.minimum_thickness_mm - _LENGTH_TOLERANCE_MM
    available = thickness.available_mm >= minimum_mm
    abnormal = available & (thickness.abnormal_mm[threshold_index] >= minimum_mm)
    sector_map = np.where(available, abnormal.astype(np.int8), np.int8(-1))
    planes_needed = max(1.0, settings.height_share * len(thickness.planes) - 1e-6)
    high_available = available.sum(axis=0) >= planes_needed
    high_abnormal = abnormal.sum(axis=0) >= planes_needed
    per_plane = abnormal.sum(axis=1)
    enough = available.sum(axis=1) >= max(
        1.0, settings.worst_plane_minimum_available * SECTORS
    )
    shares = per_plane[enough] / available.sum(axis=1)[enough]
    return PerimeterShare(
        sector_map=sector_map,
        height_30=float(high_abnormal.sum() / max(1, high_available.sum())),
        worst_plane=float(shares.max(initial=0.0)),
        height_30_all_sectors=float(high_abnormal.sum() / SECTORS),
        worst_plane_all_sectors=float(per_plane[enough].max(initial=0) / SECTORS),
    )


def _own_joint_space(
    structures: NDArray[np.uint8],
    spacing_mm: NDArray[np.float64],
    settings: PerimeterSettings,
) -> NDArray[np.bool_]:
    """Keep the joint space in the middle of the grid, without neighboring joints."""
    joint_space = np.asarray(structures == Structure.JOINT_SPACE)
    labels, count = ndimage.label(joint_space, _EVERY_NEIGHBOR)
    if count <= 1:
        return joint_space
    index = np.argwhere(joint_space)
    label = labels[joint_space]
    position_mm = (index - (np.asarray(labels.shape) - 1.0) / 2.0) * spacing_mm
    weight = np.exp(-(position_mm**2).sum(axis=1) / _CENTER_WEIGHT_MM**2)
    main = position_mm[label == np.bincount(label, weight).argmax()]
    gap_mm, _ = cKDTree(main).query(
        position_mm, distance_upper_bound=settings.joint_space_gap_mm
    )
    own = np.unique(label[np.isfinite(gap_mm)])
    return np.asarray(np.isin(labels, own))


def _outline_of_plane(
    structures: NDArray[np.uint8],
    joint_space: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
    settings: PerimeterSettings,
) -> NDArray[np.bool_]:
    """Outline the joint in one plane, within the block that can hold it."""
    margin_mm = settings.process_depth_mm + settings.closing_mm + 2.0 * spacing_mm.max()
    block = block_around(
        joint_space | (structures == Structure.CAPSULE), spacing_mm, margin_mm
    )
    outline = np.zeros(joint_space.shape, bool)
    structures, joint_space = structures[block], joint_space[block]
    beside = _distance_mm(joint_space, spacing_mm) <= settings.process_depth_mm
    region = joint_space | (structures == Structure.CAPSULE)
    region = region | (beside & np.isin(structures, _ARTICULAR))
    if settings.closing_mm > 0.0:
        radius_mm = settings.closing_mm / 2.0
        grown = _distance_mm(region, spacing_mm) <= radius_mm
        region = region | (_distance_mm(~grown, spacing_mm) > radius_mm)
    labels, _ = ndimage.label(region)
    own = np.bincount(labels[joint_space]).argmax()
    outline[block] = ndimage.binary_fill_holes(labels == own)
    return outline


def _distance_mm(
    region: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of voxel centers to the edge of a region, half a voxel before it."""
    to_center = ndimage.distance_transform_edt(~region, sampling=spacing_mm)
    distance: NDArray[np.float64] = np.maximum(to_center - spacing_mm.mean() / 2.0, 0.0)
    return distance


def _ray_points(
    outline: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
    settings: PerimeterSettings,
) -> NDArray[np.float64]:
    """Place samples on the rays of every plane, (2, plane, ray, sample) indices."""
    centers = plane_centers(outline)
    plane, row, column = np.nonzero(outline)
    offsets_mm = (np.stack([row, column], axis=1) - centers[plane]) * spacing_mm
    farthest_mm = np.hypot(*offsets_mm.T).max(initial=0.0)
    radii_mm = np.arange(
        settings.ray_step_mm / 2.0,
        farthest_mm + settings.reach_mm + spacing_mm.max(),
        settings.ray_step_mm,
    )
    rays = SECTORS * settings.rays_per_sector
    angles = (np.arange(rays) + 0.5) * 2.0 * np.pi / rays
    directions = np.stack([np.cos(angles), np.sin(angles)]) / spacing_mm[:, None]
    points: NDArray[np.float64] = (
        centers.T[:, :, None, None]
        + directions[:, None, :, None] * radii_mm[None, None, None, :]
    )
    return points


def _samples_in_reach(
    candidates: NDArray[np.bool_],
    outside_mm: NDArray[np.float32],
    points: NDArray[np.float64],
    reach_mm: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Find the ray samples in candidate voxels within reach, with their indices."""
    # A rim of false voxels stands for everything beyond the grid.
    rimmed = np.pad(candidates, ((0, 0), (1, 1), (1, 1)))
    rows, columns = (
        np.clip(np.rint(at) + 1.0, 0.0, count - 1.0).astype(np.int32)
        for at, count in zip(points, rimmed.shape[1:], strict=True)
    )
    plane = np.arange(len(rimmed), dtype=np.int32)[:, None, None]
    flat = (plane * np.int32(rimmed.shape[1]) + rows) * np.int32(rimmed.shape[2])
    in_reach = rimmed.ravel()[flat + columns]
    samples = np.stack([np.nonzero(in_reach)[0], *points[:, in_reach]])
    near = _interpolate(outside_mm, samples) <= reach_mm
    in_reach[in_reach] = near
    return in_reach, samples[:, near]


def _interpolate(
    values: NDArray[np.float32], samples: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate linearly at (3, N) indices."""
    result: NDArray[np.float32] = ndimage.map_coordinates(
        values, samples, order=1, mode="nearest", output=np.float32
    )
    return result


def _sector_thickness_mm(
    counts: NDArray[np.bool_], settings: PerimeterSettings
) -> NDArray[np.float64]:
    """Sum samples along (plane, ray, sample) rays; median of each sector's rays."""
    thickness_mm = counts.sum(axis=2) * settings.ray_step_mm
    per_sector = thickness_mm.reshape(-1, SECTORS, settings.rays_per_sector)
    median: NDArray[np.float64] = np.median(per_sector, axis=2)
    return median
