"""Smooth fields on large grids, interpolated from a few knots by matrix products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import VolumeGeometry


def upsample(
    knots: NDArray[np.float32], shape: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Interpolate a coarse lattice linearly; its corners are those of the grid.

    Parameters
    ----------
    knots : (A, B, C) float32 ndarray
        Values on the lattice, each axis at least 1 long.
    shape : tuple of int
        Number of voxels of the result.

    Returns
    -------
    (slice, row, column) float32 ndarray
        Values on the grid.
    """
    field = knots
    for axis, count in enumerate(shape):
        weights = _linear_weights(count, field.shape[axis])
        field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field, dtype=np.float32)


def smooth_noise(
    geometry: VolumeGeometry, *, knot_distance_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw a smooth random field of about unit variance.

    Parameters
    ----------
    geometry : VolumeGeometry
        Grid of the result.
    knot_distance_mm : float
        Distance over which values are independent.
    rng : Generator
        Source of the values.
    """
    noise = SlabNoise.draw(geometry, knot_distance_mm=knot_distance_mm, rng=rng)
    return noise.slab(slice(0, geometry.shape[0]))


@dataclass(frozen=True, eq=False, slots=True)
class SlabNoise:
    """Smooth random field of about unit variance, interpolated slab by slab.

    Attributes
    ----------
    knots : (A, row, column) float32 ndarray
        Interpolated in the plane, not yet along the first axis.
    weights : (slice, A) float32 ndarray
        Interpolation along the first axis.
    """

    knots: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def draw(
        cls,
        geometry: VolumeGeometry,
        *,
        knot_distance_mm: float,
        rng: np.random.Generator,
    ) -> SlabNoise:
        """Draw the knots.

        Parameters
        ----------
        geometry : VolumeGeometry
            Grid of the field.
        knot_distance_mm : float
            Distance over which values are independent.
        rng : Generator
            Source of the values.
        """
        counts = _lattice_shape(geometry, knot_distance_mm)
        # Linear interpolation keeps 2/3 of the variance along each axis.
        knots = rng.standard_normal(counts, np.float32) * np.float32(1.5**1.5)
        plane = upsample(knots, (counts[0], *geometry.shape[1:]))
        return cls(plane, _linear_weights(geometry.shape[0], counts[0]))

    def slab(self, slices: slice) -> NDArray[np.float32]:
        """Interpolate some slices, (slice, row, column) float32."""
        weights = self.weights[slices]
        used = np.flatnonzero(weights.any(axis=0))
        lines = slice(used[0], used[-1] + 1)
        return np.tensordot(weights[:, lines], self.knots[lines], axes=1)


def lattice_lps_mm(
    geometry: VolumeGeometry, knot_distance_mm: float
) -> NDArray[np.float64]:
    """Return the positions of a coarse lattice that spans a grid.

    Parameters
    ----------
    geometry : VolumeGeometry
        Grid whose corner voxels are the corners of the lattice.
    knot_distance_mm : float
        Largest distance of neighboring knots.

    Returns
    -------
    (A, B, C, 3) float64 ndarray
        LPS mm; values computed there go to `upsample`.
    """
    counts = _lattice_shape(geometry, knot_distance_mm)
    positions = [
        np.linspace(0.0, voxels - 1.0, count)
        for voxels, count in zip(geometry.shape, counts, strict=True)
    ]
    return geometry.to_lps(np.stack(np.meshgrid(*positions, indexing="ij"), axis=-1))


def _lattice_shape(
    geometry: VolumeGeometry, knot_distance_mm: float
) -> tuple[int, int, int]:
    """Count the knots per axis; a single voxel needs one knot."""
    extent_mm = (np.array(geometry.shape) - 1) * geometry.spacing_mm
    counts = np.ceil(extent_mm / knot_distance_mm).astype(int) + 1
    counts = np.minimum(counts, geometry.shape)
    return (int(counts[0]), int(counts[1]), int(counts[2]))


def _linear_weights(count: int, knots: int) -> NDArray[np.float32]:
    """Build the (count, knots) matrix of linear interpolation."""
    position = np.linspace(0.0, knots - 1.0, count)
    lower = np.minimum(position.astype(int), max(knots - 2, 0))
    upper = np.minimum(lower + 1, knots - 1)
    weights = np.zeros((count, knots), np.float32)
    fraction = position - lower
    np.add.at(weights, (np.arange(count), lower), 1.0 - fraction)
    np.add.at(weights, (np.arange(count), upper), fraction)
    return weights
