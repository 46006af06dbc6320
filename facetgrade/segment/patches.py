"""Bring the stacks around a joint onto its grid: what the segmenter reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.findings import JointFrame
from facetgrade.geometry import Volume, VolumeGeometry, covered, resample
from facetgrade.study import Sequence as Contrast

CONTRASTS = tuple(Contrast)
GRID_SPACING_MM = (1.5, 0.7, 0.7)
GRID_SHAPE = (30, 68, 68)
CLIP = 4.0
MARGIN_MM = 6.0


def joint_grid(frame: JointFrame) -> VolumeGeometry:
    """Return the segmenter's grid around a joint."""
    return frame.grid(spacing_mm=GRID_SPACING_MM, shape=GRID_SHAPE)


def contrast_index(contrast: Contrast) -> int:
    """Return the index of a contrast class in the network's embedding."""
    return CONTRASTS.index(contrast)


def sample_series(
    volumes: Sequence[Volume], grid: VolumeGeometry
) -> NDArray[np.float32] | None:
    """Sample the stacks of one series on a joint grid.

    Where blocks of a series overlap, the voxel comes from the slice that is nearest.

    Parameters
    ----------
    volumes : sequence of Volume
        Stacks of one series.
    grid : VolumeGeometry
        From `joint_grid`.

    Returns
    -------
    (3, H, R, C) float32 ndarray or None
        Image scaled by the median and spread of the region, resolution of the stack
        (0 where it does not reach, 1 for slices of 1.5 mm or less), and closeness to
        the nearest slice center 0-1. None where no stack reaches the grid.
    """
    best = np.zeros((3, *grid.shape), np.float32)
    for volume in volumes:
        near = _crop_near(volume, grid)
        if near is None:
            continue
        inside = covered(near.geometry, grid)
        closeness = _closeness(near.geometry, grid)
        closer = inside & ((best[1] == 0) | (closeness > best[2]))
        resolution = np.clip(1.5 / near.geometry.spacing_mm[0], 0.2, 1.0)
        best[0][closer] = resample(near.voxels, near.geometry, grid)[closer]
        best[1][closer] = resolution
        best[2][closer] = closeness[closer]
    reached = best[1] > 0
    if not reached.any():
        return None
    best[0] = _normalize(best[0], reached)
    return best


def _crop_near(volume: Volume, grid: VolumeGeometry) -> Volume | None:
    """Cut the part of a stack around the grid; None when they do not meet."""
    ends = [(-0.5, n - 0.5) for n in grid.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    index = volume.geometry.to_index(grid.to_lps(corners))
    margin = MARGIN_MM / volume.geometry.spacing_mm
    low = np.floor(index.min(axis=0) - margin).astype(int)
    high = np.ceil(index.max(axis=0) + margin).astype(int) + 1
    low = np.clip(low, 0, volume.geometry.shape)
    high = np.clip(high, 0, volume.geometry.shape)
    if (high <= low).any():
        return None
    block = volume.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    start = (int(low[0]), int(low[1]), int(low[2]))
    shape = (block.shape[0], block.shape[1], block.shape[2])
    return Volume(
        geometry=volume.geometry.crop(start, shape),
        voxels=np.ascontiguousarray(block, np.float32),
    )


def _closeness(source: VolumeGeometry, grid: VolumeGeometry) -> NDArray[np.float32]:
    """Return 1 at slice centers and 0 halfway between, on the grid."""
    affine = np.linalg.inv(source.index_to_lps) @ grid.index_to_lps
    steps = np.ogrid[tuple(slice(n) for n in grid.shape)]
    index = sum(affine[0, k] * steps[k] for k in range(3)) + affine[0, 3]
    return np.asarray(1.0 - 2.0 * np.abs(index - np.rint(index)), np.float32)


def _normalize(
    image: NDArray[np.float32], reached: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Scale by the region's own tissues; 0 where nothing was seen."""
    low, middle, high = np.percentile(image[reached], [5, 50, 95])
    scaled = (image - middle) / max(float(high - low), 1e-6)
    return np.where(reached, np.clip(scaled, -CLIP, CLIP), 0.0).astype(np.float32)
