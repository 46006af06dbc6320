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
    exact: NDArray[np.bool_],
    *,
    chance: float,
    lowest: float,
) -> float:
    """Return the typicality below which grades are no better than chance.

    Simulated joints are all rather typical: where grades beat chance down to the least
    typical of them, nothing is known of what lies below, and `lowest` stays.

    Parameters
    ----------
    typicality : (N,) float64 ndarray
        Of joints that can be graded.
    exact : (N,) bool ndarray
        Whether the grade of each is the true one.
    chance : float
        Share of exact grades that is no better than guessing.
    lowest : float
        Smallest value that is returned.
    """
    order = np.argsort(typicality, kind="stable")
    ranked = typicality[order]
    shares = np.cumsum(exact[order]) / np.arange(1, len(order) + 1)
    useless = np.flatnonzero(shares[_FEWEST_JOINTS - 1 : -1] <= chance)
    if not useless.size:
        return lowest
    return max(lowest, _rounded_down(float(ranked[_FEWEST_JOINTS + useless[-1]])))


def _rounded_down(value: float) -> float:
    """Keep three decimals, so that the joint that set the limit stays above it."""
    return math.floor(value * 1000.0) / 1000.0
