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
        reached = np.flatnonzero(place.any(axis=others))
        margin = int(np.ceil(margin_mm / spacing_mm[axis]))
        start, stop = int(reached[0]) - margin, int(reached[-1]) + margin + 1
        block.append(slice(max(start, 0), stop))
    return block[0], block[1], block[2]
