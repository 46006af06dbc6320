"""The block of a grid around a place, so that work stays near it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice, slice]


def window_around(
    place: NDArray[np.bool_], spacing_mm: NDArray[np.float64], margin_mm: float
) -> Window:
    """Bound a place with a margin.

    Parameters
    ----------
    place : (H, R, C) bool ndarray
        Any region.
    spacing_mm : (3,) float64 ndarray
        Voxel distances along the axes of the grid.
    margin_mm : float
        Added on every side, rounded up to whole voxels.

    Returns
    -------
    tuple of slice
        The block, cut at the edge of the grid; empty for an empty place.
    """
    if not place.any():
        return slice(0, 0), slice(0, 0), slice(0, 0)
    block = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        block.append(
            _span(np.asarray(place.any(axis=others)), margin_mm / spacing_mm[axis])
        )
    return block[0], block[1], block[2]


def block_around(
    place: NDArray[np.bool_], spacing_mm: NDArray[np.float64], margin_mm: float
) -> tuple[slice, slice]:
    """Bound a place of one plane with a margin.

    Parameters
    ----------
    place : (R, C) bool ndarray
        Any region that is not empty.
    spacing_mm : (2,) float64 ndarray
        Voxel distances along the axes of the plane.
    margin_mm : float
        Added on every side, rounded up to whole voxels.
    """
    rows, columns = (
        _span(np.asarray(place.any(axis=1 - axis)), margin_mm / spacing_mm[axis])
        for axis in range(2)
    )
    return rows, columns


def _span(reached: NDArray[np.bool_], margin: float) -> slice:
    """Return the range of the true values with a margin, cut at the lower end."""
    index = np.flatnonzero(reached)
    steps = int(np.ceil(margin))
    return slice(max(int(index[0]) - steps, 0), int(index[-1]) + steps + 1)
