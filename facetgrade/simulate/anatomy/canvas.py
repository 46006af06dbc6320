"""Solids joined on the grid of a template."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.primitives import Axes, Field, smooth_min
from facetgrade.simulate.anatomy.template import FAR_MM, open_axes

_FILLET_MM = 4.0


class Canvas:
    """Solids joined one by one on a template grid, each within its own box."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        self.geometry = geometry
        self._axes = open_axes(geometry)
        self._joined = np.full(geometry.shape, FAR_MM, np.float32)
        self._nearest = np.full(geometry.shape, FAR_MM, np.float32)
        self._parts = np.full(geometry.shape, Structure.LAMINA, np.uint8)

    def add(
        self,
        part: Structure,
        solid: Callable[[Axes], Field],
        corners_mm: NDArray[np.float64] | None,
        *,
        fillet_mm: float = _FILLET_MM,
    ) -> None:
        """Join a solid that lies within the box around `corners_mm`."""
        box, axes = self._box(corners_mm)
        values = np.minimum(solid(axes), FAR_MM)
        values = np.broadcast_to(values, self._joined[box].shape)
        closer = values < self._nearest[box]
        self._parts[box][closer] = part
        np.minimum(self._nearest[box], values, out=self._nearest[box])
        self._joined[box] = smooth_min(self._joined[box], values, fillet_mm)

    def finish(self) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the signed distance and the part labels."""
        return np.clip(self._joined, -FAR_MM, FAR_MM), self._parts

    def _box(
        self, corners_mm: NDArray[np.float64] | None
    ) -> tuple[tuple[slice, slice, slice], Axes]:
        """Return the slices of a box and the axes within it."""
        if corners_mm is None:
            whole = slice(None)
            return (whole, whole, whole), self._axes
        index = self.geometry.to_index(corners_mm)
        low = np.maximum(np.floor(index.min(axis=0)).astype(int), 0)
        high = np.ceil(index.max(axis=0)).astype(int) + 1
        k, j, i = (
            slice(int(a), int(max(b, a + 1))) for a, b in zip(low, high, strict=True)
        )
        x, y, z = self._axes
        return (k, j, i), (x[:, :, i], y[:, j], z[k])


def around(*points_mm: object, margin_mm: float) -> NDArray[np.float64]:
    """Return the corners of the box around points."""
    points = np.array(points_mm, dtype=np.float64)
    return np.stack([points.min(axis=0) - margin_mm, points.max(axis=0) + margin_mm])
