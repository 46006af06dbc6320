"""Confidence intervals that know the joints of one patient belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Statistics = Callable[[Rows], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """Statistic with its confidence limits.

    Attributes
    ----------
    value : float
        On all rows; NaN where undefined.
    low, high : float
        Percentile limits; NaN with fewer than two clusters, or where the statistic
        is undefined in more than half of the resamples.
    rows, clusters : int
        Joints (or pairs) and patients behind it.
    """

    value: float
    low: float
    high: float
    rows: int
    clusters: int


def cluster_bootstrap(
    clusters: Sequence[str],
    statistics: Statistics,
    *,
    seed: int,
    resamples: int = 2000,
    coverage: float = 0.95,
) -> dict[str, Estimate]:
    """Estimate statistics with percentile intervals, resampling whole patients.

    Four to ten joints of one patient share anatomy, scanner and reader. Resampling
    joints one by one would treat them as independent and make every interval too
    narrow; resampling patients keeps what they share.

    Parameters
    ----------
    clusters : (N,) sequence of str
        Patient of each row.
    statistics : callable
        Maps an int64 array of row indices, repeats included, to named values.
    seed : int
        Seed of the resampling.
    resamples : int
        Number of bootstrap samples.
    coverage : float
        Nominal coverage of the intervals, 0-1.

    Returns
    -------
    dict of str to Estimate
        One for each name that `statistics` returns.

    Raises
    ------
    ValueError
        If there are no rows.

    References
    ----------
    .. [1] Efron B, Tibshirani RJ. An Introduction to the Bootstrap, 1993, chapter 13.
    .. [2] Field CA, Welsh AH. J R Stat Soc B 2007;69:369-390 (clustered data).
    """
    if not len(clusters):
        raise ValueError("clusters must have at least one row, got none")
    members = _members(clusters)
    values = statistics(np.arange(len(clusters)))
    samples = _sample(members, statistics, seed=seed, resamples=resamples)
    draws = {name: np.array([s[name] for s in samples]) for name in values}
    return {
        name: Estimate(
            float(value),
            *_limits(draws[name], coverage=coverage),
            rows=len(clusters),
            clusters=len(members),
        )
        for name, value in values.items()
    }


def _members(clusters: Sequence[str]) -> list[Rows]:
    """Return the row indices of each cluster, in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(row)
    return [np.array(indices, dtype=np.int64) for indices in rows.values()]


def _sample(
    members: list[Rows], statistics: Statistics, *, seed: int, resamples: int
) -> list[Mapping[str, float]]:
    """Compute the statistics on each resample of the clusters."""
    if len(members) < 2:
        return []
    return [statistics(rows) for rows in _resample(members, seed, resamples)]


def _resample(members: list[Rows], seed: int, resamples: int) -> Iterator[Rows]:
    """Draw clusters with replacement and yield their rows."""
    draws = np.random.default_rng(seed).integers(
        0, len(members), size=(resamples, len(members))
    )
    for draw in draws:
        yield np.concatenate([members[cluster] for cluster in draw])


def _limits(draws: NDArray[np.float64], *, coverage: float) -> tuple[float, float]:
    """Return the percentile limits, or NaN where too few draws are defined."""
    defined = draws[np.isfinite(draws)]
    if not defined.size or 2 * defined.size < draws.size:
        return float("nan"), float("nan")
    tail = (1.0 - coverage) / 2.0
    low, high = np.quantile(defined, [tail, 1.0 - tail])
    return float(low), float(high)
