"""Curve through the bodies, and coordinates along, behind and beside it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, map_coordinates

_STEP_MM = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SpineCurve:
    """Curve from cranial to caudal, straight beyond its ends.

    Attributes
    ----------
    points : (N, 3) float64 ndarray
        Points one step apart in mm; for LPS or a local upright frame.
    normals : (N, 2) float64 ndarray
        Unit (posterior, cranial) directions backward in the sagittal projection.
    along : (N,) float64 ndarray
        Distance in mm from the first station, growing caudally.
    stations : (M,) float64 ndarray
        `along` of the points given to `curve_through`.
    """

    points: NDArray[np.float64]
    normals: NDArray[np.float64]
    along: NDArray[np.float64]
    stations: NDArray[np.float64]

    def locate(
        self, y_mm: ArrayLike, z_mm: ArrayLike
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return curve coordinates of a sagittal raster.

        Parameters
        ----------
        y_mm, z_mm : (R,) and (S,) array
            Posterior and cranial positions of the raster.

        Returns
        -------
        along, back : (S, R) float32 ndarray
            Distance along the curve from its first station and behind it, in mm.
        """
        y, z = np.asarray(y_mm, float), np.asarray(z_mm, float)
        coarse_y = np.arange(y.min() - 4.0, y.max() + 8.0, 3.0)
        coarse_z = np.arange(z.min() - 4.0, z.max() + 8.0, 3.0)
        along, back = self._locate_coarse(coarse_y, coarse_z)
        row = (y - coarse_y[0]) / 3.0
        column = (z - coarse_z[0]) / 3.0
        at = np.stack(np.meshgrid(column, row, indexing="ij"))
        fine = [
            np.asarray(map_coordinates(f, at, order=1, mode="nearest"), np.float32)
            for f in (along, back)
        ]
        return fine[0], fine[1]

    def _locate_coarse(
        self, y: NDArray[np.float64], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return curve coordinates on a 3 mm raster."""
        # The foot of the perpendicular is where this product changes sign.
        dy = y[None, :, None] - self.points[None, None, :, 1]
        dz = z[:, None, None] - self.points[None, None, :, 2]
        distance = dy * dy + dz * dz
        nearest = distance.argmin(axis=2)
        normal = self.normals[nearest]
        dy = y[None, :] - self.points[nearest, 1]
        dz = z[:, None] - self.points[nearest, 2]
        back = dy * normal[..., 0] + dz * normal[..., 1]
        # Beyond the nearest point: the remainder along the tangent.
        extra = dy * normal[..., 1] - dz * normal[..., 0]
        return self.along[nearest] + np.clip(extra, -_STEP_MM, _STEP_MM), back

    def at(self, along_mm: ArrayLike, column: int) -> NDArray[np.float64]:
        """Interpolate coordinate `column` of the points at distances along."""
        return np.asarray(
            np.interp(np.asarray(along_mm), self.along, self.points[:, column])
        )


def curve_through(
    points_mm: ArrayLike, *, smooth_mm: float, reach_mm: float = 90.0
) -> SpineCurve:
    """Draw a smooth curve through points from cranial to caudal.

    Parameters
    ----------
    points_mm : (M, 3) array
        Points from the top.
    smooth_mm : float
        Width of the smoothing of the tangents.
    reach_mm : float
        Length of the straight continuation at both ends.
    """
    given = np.asarray(points_mm, float)
    chord = np.concatenate(
        [[0.0], np.cumsum(np.linalg.norm(np.diff(given, axis=0), axis=1))]
    )
    spline = CubicSpline(chord, given, bc_type="natural")
    inner = np.arange(0.0, chord[-1], _STEP_MM)
    first, last = spline(0.0, 1), spline(chord[-1], 1)
    before = np.arange(-reach_mm, 0.0, _STEP_MM)
    after = np.arange(chord[-1], chord[-1] + reach_mm, _STEP_MM)
    points = np.concatenate(
        [
            given[0] + before[:, None] * first / np.linalg.norm(first),
            spline(inner),
            given[-1] + (after - chord[-1])[:, None] * last / np.linalg.norm(last),
        ]
    )
    along = np.concatenate([before, inner, after])
    tangent = np.gradient(points[:, 1:], along, axis=0)
    tangent = gaussian_filter1d(tangent, smooth_mm / _STEP_MM, axis=0, mode="nearest")
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    # Caudal tangent (0, -1) must give the backward normal (1, 0).
    normals = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return SpineCurve(points=points, normals=normals, along=along, stations=chord)
