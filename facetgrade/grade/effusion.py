"""Width of the fluid between the articular surfaces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Structure
from facetgrade.findings import Interval
from facetgrade.grade.perimeter import distance_in_plane_mm
from facetgrade.grade.settings import MeasureSettings
from facetgrade.grade.thresholds import shift_threshold
from facetgrade.grade.window import window_around

_STEP_MM = 0.1
_SMOOTHING_MM = 0.8
_SEED_PROBABILITY = 0.25
_OPPOSED = -0.5
_EVERY_NEIGHBOR = np.ones((3, 3, 3), bool)
# A film's share of a voxel that is mostly bone still belongs to its width.
_BETWEEN = (
    Structure.JOINT_SPACE,
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
)


def effusion_width_mm(
    structures: NDArray[np.uint8],
    effusion: NDArray[np.float32],
    spacing_mm: NDArray[np.float64],
    settings: MeasureSettings,
) -> Interval:
    """Measure the greatest width of the effusion across the joint space.

    At every voxel of the joint space between opposing articular surfaces the
    probability of fluid is integrated along the in-plane perpendicular of the surfaces.
    A voxel that is partly fluid adds its share, so widths below a voxel are resolved.
    Fluid in the recesses under the capsule has volume but no width, nor have voxels
    beside them, which hold some of it.

    Parameters
    ----------
    structures : (H, R, C) uint8 ndarray
        `Structure` labels on the joint-aligned grid.
    effusion : (H, R, C) float32 ndarray
        Probability of intra-capsular fluid of this joint, 0 elsewhere.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.
    settings : MeasureSettings
        Percentile, thresholds and the largest gap of the surfaces.

    Returns
    -------
    Interval
        mm; the limits shift the probabilities to the two thresholds.

    References
    ----------
    .. [1] J Clin Med Res, article 6572, Fig. 2: greatest distance between the edges of
       the fluid, perpendicular to the joint, on axial T2.
    """
    window = window_around(
        (effusion > 0.0) & (structures == Structure.JOINT_SPACE),
        spacing_mm,
        settings.maximum_gap_mm,
    )
    structures = structures[window]
    between = np.isin(structures, _BETWEEN)
    fluid = np.where(between, effusion[window], np.float32(0.0))
    seeds, normals = _opposed_surfaces(structures, fluid, spacing_mm, settings)
    if len(seeds) == 0:
        return Interval(0.0, 0.0, 0.0)
    half_mm = settings.maximum_gap_mm
    offsets_mm = np.arange(-half_mm + _STEP_MM / 2.0, half_mm, _STEP_MM)
    steps = normals[:, None, :] * offsets_mm[None, :, None] / spacing_mm
    samples = (seeds[:, None, :] + steps).transpose(2, 0, 1)
    profile = ndimage.map_coordinates(fluid, samples, order=1, output=np.float32)
    profile[profile < settings.volume_floor] = 0.0
    profile = _middle_run(profile)
    value, low, high = (
        float(np.percentile(wet.sum(axis=1) * _STEP_MM, settings.width_percentile))
        for wet in (
            profile,
            shift_threshold(profile, settings.low_threshold),
            shift_threshold(profile, settings.high_threshold),
        )
    )
    return Interval(value, low, high)


def _opposed_surfaces(
    structures: NDArray[np.uint8],
    fluid: NDArray[np.float32],
    spacing_mm: NDArray[np.float64],
    settings: MeasureSettings,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Find fluid voxels between opposing surfaces and the normals there."""
    superior, inferior = (
        distance_in_plane_mm(structures == process, spacing_mm)
        for process in (
            Structure.SUPERIOR_ARTICULAR_PROCESS,
            Structure.INFERIOR_ARTICULAR_PROCESS,
        )
    )
    between = (structures == Structure.JOINT_SPACE) & (fluid >= _SEED_PROBABILITY)
    between &= superior + inferior <= settings.maximum_gap_mm
    recess = ndimage.binary_dilation(~np.isin(structures, _BETWEEN), _EVERY_NEIGHBOR)
    seeds = np.argwhere(between & ~recess)
    if len(seeds) == 0:
        seeds = np.argwhere(between)
    if len(seeds) == 0:
        return seeds, np.zeros((0, 3))
    away_superior = _in_plane_direction(superior, seeds, spacing_mm)
    away_inferior = _in_plane_direction(inferior, seeds, spacing_mm)
    opposed = (away_superior * away_inferior).sum(axis=1) <= _OPPOSED
    normals = away_superior - away_inferior
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return seeds[opposed], normals[opposed] / lengths[opposed]


def _in_plane_direction(
    distance_mm: NDArray[np.float32],
    seeds: NDArray[np.intp],
    spacing_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the in-plane unit gradient of a distance at the seeds, shape (N, 3)."""
    finite = np.where(np.isfinite(distance_mm), distance_mm, 0.0)
    sigma = np.array([0.0, *(_SMOOTHING_MM / spacing_mm[1:])])
    smooth = ndimage.gaussian_filter(finite, sigma, mode="nearest")
    direction = np.zeros((len(seeds), 3))
    at = tuple(seeds.T)
    for axis in (1, 2):
        direction[:, axis] = np.gradient(smooth, spacing_mm[axis], axis=axis)[at]
    length = np.linalg.norm(direction, axis=1, keepdims=True)
    unit: NDArray[np.float64] = direction / np.maximum(length, 1e-6)
    return unit


def _middle_run(profile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Keep the fluid that is continuous with the middle sample of each profile."""
    middle = profile.shape[1] // 2
    wet = profile > 0.0
    right = np.logical_and.accumulate(wet[:, middle:], axis=1)
    left = np.logical_and.accumulate(wet[:, middle - 1 :: -1], axis=1)[:, ::-1]
    return np.where(np.concatenate([left, right], axis=1), profile, np.float32(0.0))
