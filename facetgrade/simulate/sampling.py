"""Where slices meet a grid of the scene, and its signal integrated over them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry

Block = tuple[slice, slice, slice]
Limits = tuple[NDArray[np.int64], NDArray[np.int64]]


def integrate_slices(
    signal: NDArray[np.float32],
    grid: VolumeGeometry,
    start: NDArray[np.int64],
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    *,
    grain_mm: float,
) -> NDArray[np.float32]:
    """Integrate signal over the profile of slices.

    Parameters
    ----------
    signal : (A, B, C) float32 ndarray
        Block of a grid; what lies beyond repeats its border.
    grid : VolumeGeometry
        The whole grid.
    start : (3,) int64 ndarray
        Index in the grid of the first voxel of the block.
    geometry : VolumeGeometry
        Slices.
    slice_thickness_mm : float
        Width of the profile at half height.
    grain_mm : float
        Size of the details that count, usually the spacing of the grid.

    Returns
    -------
    (slice, row, column) float32 ndarray
        Mean signal of every pixel.
    """
    count = int(np.clip(np.ceil(1.2 * slice_thickness_mm / (1.6 * grain_mm)), 1, 6))
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * 1.2  # in thicknesses
    weights = 1.0 / (1.0 + (2.0 * np.abs(offsets)) ** 10)
    matrix = np.linalg.inv(grid.index_to_lps) @ geometry.index_to_lps
    slices = slice_thickness_mm / geometry.spacing_mm[0]
    image = np.zeros(geometry.shape, np.float32)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        origin = matrix[:3, 3] + matrix[:3, 0] * offset * slices - start
        image += np.float32(weight) * ndimage.affine_transform(
            signal,
            matrix[:3, :3],
            offset=origin,
            output_shape=geometry.shape,
            order=1,
            mode="nearest",
            output=np.float32,
        )
    return image


def crop_limits(
    grid: VolumeGeometry, geometry: VolumeGeometry, slice_thickness_mm: float
) -> Limits:
    """Find the block of indices that a stack touches; it may leave the grid.

    Parameters
    ----------
    grid : VolumeGeometry
        Grid of the scene.
    geometry : VolumeGeometry
        Slices.
    slice_thickness_mm : float
        Width of the profile at half height.

    Returns
    -------
    start, stop : (3,) int64 ndarray
        Indices in the grid.
    """
    index = grid.to_index(_corners_lps_mm(geometry))
    margin = (0.6 * slice_thickness_mm + 3.0) / grid.spacing_mm
    start = np.floor(index.min(axis=0) - margin).astype(np.int64)
    stop = np.ceil(index.max(axis=0) + margin).astype(np.int64) + 1
    return start, stop


def overlap(
    other: VolumeGeometry, geometry: VolumeGeometry
) -> tuple[VolumeGeometry | None, Block]:
    """Find the block of a stack that lies over another grid.

    Parameters
    ----------
    other : VolumeGeometry
        The other grid.
    geometry : VolumeGeometry
        Slices.

    Returns
    -------
    VolumeGeometry or None
        Grid of the block, None where they do not meet.
    tuple of slice
        The block.
    """
    index = geometry.to_index(_corners_lps_mm(other))
    last = np.array(geometry.shape) - 1
    start = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)), None, last).astype(int) + 1
    block = (
        slice(start[0], stop[0]),
        slice(start[1], stop[1]),
        slice(start[2], stop[2]),
    )
    if (stop <= start).any():
        return None, block
    size = tuple(int(n) for n in stop - start)
    corner = (int(start[0]), int(start[1]), int(start[2]))
    return geometry.crop(corner, (size[0], size[1], size[2])), block


def _corners_lps_mm(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Return the eight corner voxel centers of a grid."""
    ends = [(0, count - 1) for count in geometry.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    return geometry.to_lps(corners)
