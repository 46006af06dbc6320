"""Rounded regions with wavy edges, the same on every grid of the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import VolumeGeometry

Field = NDArray[np.float32]
Window = tuple[slice, slice, slice]
_WAVES = 10


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Blob:
    """Ellipsoid in the patient whose edge waves.

    Attributes
    ----------
    center_lps_mm : (3,) float64 ndarray
        Middle.
    axes : (3, 3) float64 ndarray
        Orthonormal directions, one per row.
    radii_mm : (3,) float64 ndarray
        Half lengths along the axes.
    roughness : float
        Amplitude of the waves relative to the radius.
    wave_per_mm : (N, 3) float64 ndarray
        Wave vectors along the axes, in radians per mm.
    phase : (N,) float64 ndarray
        Phase of each wave.
    """

    center_lps_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    radii_mm: NDArray[np.float64]
    roughness: float
    wave_per_mm: NDArray[np.float64]
    phase: NDArray[np.float64]


def draw_blob(
    rng: np.random.Generator,
    center_lps_mm: NDArray[np.float64],
    axes: NDArray[np.float64],
    radii_mm: tuple[float, float, float],
    roughness: float,
) -> Blob:
    """Draw the waves of a blob with given middle and size.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    center_lps_mm : (3,) float64 ndarray
        Middle.
    axes : (3, 3) float64 ndarray
        Orthonormal directions, one per row.
    radii_mm : tuple of float
        Half lengths along the axes.
    roughness : float
        Amplitude of the waves relative to the radius.

    Returns
    -------
    Blob
        Wavelengths of about one to three radii.
    """
    radii = np.asarray(radii_mm, float)
    direction = rng.standard_normal((_WAVES, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = 2.0 * np.pi / rng.uniform(0.8, 3.0, (_WAVES, 1))
    return Blob(
        center_lps_mm=np.asarray(center_lps_mm, float),
        axes=np.asarray(axes, float),
        radii_mm=radii,
        roughness=roughness,
        wave_per_mm=direction * length / radii,
        phase=rng.uniform(0.0, 2.0 * np.pi, _WAVES),
    )


def blob_window(blob: Blob, geometry: VolumeGeometry) -> Window | None:
    """Bound the blob on a grid; None where the grid does not hold any of it."""
    # The waves have a standard deviation of `roughness`; three of them are allowed for.
    radii = blob.radii_mm * (1.0 + 3.0 * blob.roughness)
    reach_mm = np.linalg.norm((geometry.axes @ blob.axes.T) * radii, axis=1)
    middle = geometry.to_index(blob.center_lps_mm)
    half = reach_mm / geometry.spacing_mm
    start = np.clip(np.floor(middle - half), 0, geometry.shape).astype(int)
    stop = np.clip(np.ceil(middle + half) + 1, 0, geometry.shape).astype(int)
    if (stop <= start).any():
        return None
    bounds = [slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)]
    return bounds[0], bounds[1], bounds[2]


def blob_depth(blob: Blob, geometry: VolumeGeometry, window: Window) -> Field:
    """Measure how deep voxels lie in a blob.

    Parameters
    ----------
    blob : Blob
        The region.
    geometry : VolumeGeometry
        Grid.
    window : tuple of slice
        Block of the grid, from `blob_window`.

    Returns
    -------
    (S, R, C) float32 ndarray
        1 in the middle, 0 at the wavy edge, negative outside.
    """
    steps = np.meshgrid(*[np.arange(s.start, s.stop) for s in window], indexing="ij")
    offset = geometry.to_lps(np.stack(steps, axis=-1)) - blob.center_lps_mm
    along = (offset @ blob.axes.T).astype(np.float32)
    depth = 1.0 - np.linalg.norm(along / blob.radii_mm.astype(np.float32), axis=-1)
    amplitude = np.float32(blob.roughness * np.sqrt(2.0 / len(blob.phase)))
    for wave, phase in zip(blob.wave_per_mm, blob.phase, strict=True):
        depth += amplitude * np.cos(along @ wave.astype(np.float32) + np.float32(phase))
    return np.asarray(depth, np.float32)
