"""Smooth random fields fixed in the patient, the same on every grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from facetgrade.geometry import VolumeGeometry

Field = NDArray[np.float32]

_POINTS = 56
_POINTS_PER_GRAIN = 2.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Texture:
    """Random values on a lattice of the patient, repeated periodically.

    Attributes
    ----------
    values : (A, B, C) float32 ndarray
        Values of unit variance at the lattice points, along (z, y, x).
    pitch_mm : tuple of float
        Lattice distances along (z, y, x).
    """

    values: Field
    pitch_mm: tuple[float, float, float]

    def on(self, grid: VolumeGeometry) -> Field:
        """Interpolate the field on a grid with the LPS axes as its own."""
        result = self.values
        for axis, world in enumerate((2, 1, 0)):
            steps = np.arange(grid.shape[axis]) * grid.spacing_mm[axis]
            place = (grid.index_to_lps[world, 3] + steps) / self.pitch_mm[axis]
            low = np.floor(place).astype(int)
            count = self.values.shape[axis]
            share = (place - low).astype(np.float32)
            shape = [1, 1, 1]
            shape[axis] = -1
            share = share.reshape(shape)
            result = (
                np.take(result, low % count, axis) * (1 - share)
                + np.take(result, (low + 1) % count, axis) * share
            )
        return result


def draw_texture(
    rng: np.random.Generator, grain_mm: tuple[float, float, float]
) -> Texture:
    """Draw a smooth random field with the given grain along (z, y, x)."""
    values = rng.standard_normal((_POINTS,) * 3, np.float32)
    values = gaussian_filter(values, 1.0, mode="wrap")
    z, y, x = (grain / _POINTS_PER_GRAIN for grain in grain_mm)
    return Texture(values=values / values.std(), pitch_mm=(z, y, x))
