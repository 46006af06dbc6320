"""How sure a numbering of vertebrae is, fitted to studies whose levels are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from facetgrade.evaluate.observations import ObservedNumbering

# Standard deviation of log temperature around its start: a weak prior, without which a
# set of studies that are all right would ask for no temperature at all.
_PRIOR_WIDTH = 0.7
_LOG_RANGE = (np.log(0.2), np.log(100.0))
_LEAST_LIKELIHOOD = 1e-12


def fit_temperature(observed: Sequence[ObservedNumbering], start: float) -> float:
    """Find the temperature of the votes that makes the true numberings most likely.

    Parameters
    ----------
    observed : sequence of ObservedNumbering
        One per study; those whose true numbering is not among the possible ones say
        nothing and are left out.
    start : float
        Temperature near which a weak prior holds the fit.

    Returns
    -------
    float
        `start` without a usable study.

    References
    ----------
    .. [1] Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural
       networks. ICML 2017, arXiv:1706.04599 (temperature scaling).
    """

    def loss(log_temperature: float) -> float:
        prior = ((log_temperature - np.log(start)) / _PRIOR_WIDTH) ** 2 / 2.0
        likelihood = true_probabilities(observed, float(np.exp(log_temperature)))
        return float(prior - np.log(likelihood).sum())

    fitted = optimize.minimize_scalar(loss, bounds=_LOG_RANGE, method="bounded")
    return float(np.exp(fitted.x))


def true_probabilities(
    observed: Sequence[ObservedNumbering], temperature: float
) -> NDArray[np.float64]:
    """Return the probability of the true numbering of each study that has one."""
    found = []
    for one in observed:
        if one.true_lowest in one.totals:
            names = list(one.totals)
            shares = _shares(one, temperature)
            found.append(shares[names.index(one.true_lowest)])
    return np.maximum(np.array(found, np.float64), _LEAST_LIKELIHOOD)


def best_probabilities(
    observed: Sequence[ObservedNumbering], temperature: float
) -> NDArray[np.float64]:
    """Return the probability of the chosen numbering of each study."""
    return np.array([_shares(one, temperature).max() for one in observed], np.float64)


def choose_minimum(
    probabilities: NDArray[np.float64],
    right: NDArray[np.bool_],
    *,
    right_share: float,
    lowest: float,
) -> float:
    """Find the least probability of a numbering that counts as decided.

    Parameters
    ----------
    probabilities : (N,) float64 ndarray
        Of the chosen numberings that could be decided.
    right : (N,) bool ndarray
        Whether each is the true one.
    right_share : float
        Share of the decided ones that must be right.
    lowest : float
        Smallest value that is considered.

    Returns
    -------
    float
        Halfway between the least probable study that is decided and the most probable
        one that is not; as many studies as possible are decided. 1 if none can be.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], right[order]
    shares = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    last = np.append(ranked[1:] < ranked[:-1], True)
    allowed = np.flatnonzero((shares >= right_share) & last & (ranked >= lowest))
    if not allowed.size:
        return lowest if not len(ranked) else 1.0
    decided = int(allowed[-1])
    below = ranked[decided + 1] if decided + 1 < len(ranked) else lowest
    return float(max((ranked[decided] + below) / 2.0, lowest))


def choose_sacrum_vote(
    in_view: NDArray[np.float64], cut: NDArray[np.float64], *, claimed: float
) -> float:
    """Find the vote that tells a sacrum in view from none.

    Parameters
    ----------
    in_view : (N,) float64 ndarray
        Votes of studies that show the sacrum.
    cut : (M,) float64 ndarray
        Votes of studies that do not.
    claimed : float
        Share of the latter that may reach the vote.

    Returns
    -------
    float
        Halfway between the votes of both kinds that are nearest to the limit.
    """
    limit = float(np.quantile(cut, 1.0 - claimed, method="higher")) if cut.size else 0.0
    above = in_view[in_view > limit]
    return (limit + float(above.min() if above.size else 1.0)) / 2.0


def _shares(one: ObservedNumbering, temperature: float) -> NDArray[np.float64]:
    """Turn the votes of one study into probabilities."""
    totals = np.array(list(one.totals.values()), np.float64)
    shares: NDArray[np.float64] = special.softmax(totals / temperature)
    return shares
