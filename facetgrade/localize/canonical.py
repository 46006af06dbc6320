"""Bring any stack onto the localizer's grid: patient axes, 4 x 2 x 2 mm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import Volume, VolumeGeometry, block_mean, covered, resample

# Slices to the left, rows to the feet, columns to the back: upright sagittal pictures.
AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
SPACING_MM = (4.0, 2.0, 2.0)
CROP_SHAPE = (24, 128, 96)
LARGEST_SHAPE = (32, 320, 128)
CLIP = 5.0


def canonical_geometry(
    volumes: Iterable[VolumeGeometry], *, largest: tuple[int, int, int] = LARGEST_SHAPE
) -> VolumeGeometry:
    """Return the localizer grid that covers all volumes, cut to a largest size.

    It is never smaller than the grid of training.

    A side longer than `largest` is cut around the median of the volume centers, since
    the spine lies near the middle of every lumbar protocol.
    """
    corners = []
    centers = []
    for geometry in volumes:
        ends = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in geometry.shape]))
        corners.append(geometry.to_lps(ends.reshape(3, -1).T))
        centers.append(geometry.center_lps_mm)
    along = np.concatenate(corners) @ AXES.T
    low, high = along.min(axis=0), along.max(axis=0)
    wanted = np.ceil((high - low) / SPACING_MM).astype(int)
    shape = np.clip(wanted, np.minimum(CROP_SHAPE, largest), largest)
    middle = np.where(
        wanted > shape, np.median(centers, axis=0) @ AXES.T, (low + high) / 2
    )
    return VolumeGeometry.centered(
        center_lps_mm=middle @ AXES,
        axes=AXES,
        spacing_mm=SPACING_MM,
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
    )


def crop_geometry(center_lps_mm: NDArray[np.float64]) -> VolumeGeometry:
    """Return the localizer's training grid around a point."""
    return VolumeGeometry.centered(
        center_lps_mm=center_lps_mm,
        axes=AXES,
        spacing_mm=SPACING_MM,
        shape=CROP_SHAPE,
    )


def to_canonical(
    volumes: Sequence[Volume], grid: VolumeGeometry
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Resample the stacks of one series onto the localizer grid.

    Parameters
    ----------
    volumes : sequence of Volume
        Stacks of one contrast; where they overlap the mean is taken.
    grid : VolumeGeometry
        From `canonical_geometry` or `crop_geometry`.

    Returns
    -------
    (X, Z, Y) float32 ndarray, (X, Z, Y) bool ndarray
        Raw values (0 outside) and where any stack covers the grid.
    """
    total = np.zeros(grid.shape, np.float32)
    count = np.zeros(grid.shape, np.float32)
    for volume in volumes:
        coarse = _block_mean(volume)
        total += resample(coarse.voxels, coarse.geometry, grid)
        count += covered(coarse.geometry, grid)
    total /= np.maximum(count, np.float32(1.0))
    return total, count > 0


def normalize(
    image: NDArray[np.float32], coverage: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Scale an image by the median and spread of its own tissue, outside set to 0.

    Returns
    -------
    float32 ndarray
        (image - median) / (95th - 5th percentile), clipped to +-`CLIP`.
    """
    values = image[coverage]
    if values.size:
        values = values[values > np.percentile(values, 99) * 0.02]
    if values.size < 2:
        return np.zeros_like(image)
    low, middle, high = np.percentile(values, [5, 50, 95])
    scaled = (image - middle) / max(float(high - low), 1e-6)
    return np.where(coverage, np.clip(scaled, -CLIP, CLIP), 0.0).astype(np.float32)


def _block_mean(volume: Volume) -> Volume:
    """Average blocks of voxels so that linear sampling at the grid does not alias."""
    geometry = volume.geometry
    along = np.abs(geometry.axes @ AXES.T)
    target_mm = np.array(SPACING_MM)[along.argmax(axis=1)]
    factors = np.maximum(1, np.floor(target_mm / geometry.spacing_mm + 0.3)).astype(int)
    factors = np.minimum(factors, geometry.shape)
    if (factors == 1).all():
        return volume
    voxels = block_mean(volume.voxels, factors)
    return Volume(
        geometry=VolumeGeometry.from_axes(
            origin_lps_mm=geometry.to_lps((factors - 1) / 2),
            axes=geometry.axes,
            spacing_mm=geometry.spacing_mm * factors,
            shape=(voxels.shape[0], voxels.shape[1], voxels.shape[2]),
        ),
        voxels=voxels,
    )
