"""Below which typicality a joint is flagged, and below which it is not graded."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Fewer joints do not tell chance from skill.
_FEWEST_JOINTS = 10


def flagged_typicality(typicality: NDArray[np.float64], share: float) -> float:
    """Return the typicality that a share of the joints located right falls below.

    Parameters
    ----------
    typicality : (N,) float64 ndarray
        Of joints located right, N >= 1.
    share : float
        Such as 0.02.
    """
    return _rounded_down(float(np.quantile(typicality, share, method="lower")))


def minimum_typicality(
    typicality: NDArray[np.float64],
    right: NDArray[np.bool_],
    exact: NDArray[np.bool_],
    *,
    chance: float,
) -> float:
    """Return the typicality below which grades are no better than chance.

    Grades of joints less typical than all that were seen are unknown, so that the
    least typical joint located right is the lowest limit; higher ones are taken as
    long as the grades below them are right no more often than by chance.

    Parameters
    ----------
    typicality : (N,) float64 ndarray
        Of joints that can be graded, N >= 1.
    right : (N,) bool ndarray
        Whether each was located right.
    exact : (N,) bool ndarray
        Whether its grade is the true one.
    chance : float
        Share of exact grades that is no better than guessing.
    """
    order = np.argsort(typicality, kind="stable")
    ranked = typicality[order]
    shares = np.cumsum(exact[order]) / np.arange(1, len(order) + 1)
    useless = np.flatnonzero(shares[_FEWEST_JOINTS - 1 : -1] <= chance)
    limit = float(typicality[right].min()) if right.any() else float(ranked[0])
    if useless.size:
        limit = max(limit, float(ranked[_FEWEST_JOINTS + useless[-1]]))
    return _rounded_down(limit)


def _rounded_down(value: float) -> float:
    """Keep three decimals, so that the joint that set the limit stays above it."""
    return math.floor(value * 1000.0) / 1000.0
