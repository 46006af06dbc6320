"""Tests for paired ordinal grades whose joints are clustered in patients.

Under the null hypothesis the two time points of a patient could be exchanged, all
joints together. Flipping whole patients keeps what the joints of one patient share.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Floats = NDArray[np.float64]

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class TableTest:
    """Test of a square table of grades.

    Attributes
    ----------
    statistic : float
        Chi-squared; NaN where no grade changed.
    degrees : int
        Degrees of freedom.
    p_value : float
        As if joints were independent, which they are not: a description, no test.
    """

    statistic: float
    degrees: int
    p_value: float


def patient_flips(
    patients: int, *, permutations: int, seed: int
) -> tuple[Floats, bool]:
    """Return the flips of whole patients: all of them, or random ones.

    Parameters
    ----------
    patients : int
        Number of patients.
    permutations : int
        Largest number of flips; beyond it they are drawn, the unflipped one first.
    seed : int
        Of the draws.

    Returns
    -------
    (B, patients) float64 ndarray of 1 and -1, and whether these are all flips
    """
    if 2.0**patients <= permutations:
        all_flips = list(itertools.product((1.0, -1.0), repeat=patients))
        return np.array(all_flips).reshape(-1, patients), True
    rng = np.random.default_rng(seed)
    drawn = rng.choice((1.0, -1.0), size=(permutations, patients))
    return np.concatenate([np.ones((1, patients)), drawn]), False


def flip_p_value(patient_sums: ArrayLike, flips: Floats) -> float:
    """Return the two-sided p-value of a sum whose patients are flipped.

    Parameters
    ----------
    patient_sums : (patients,) array
        Sum of the changes (or signed ranks) of each patient's joints.
    flips : (B, patients) float64 ndarray
        From `patient_flips`; its first row flips nobody.

    Returns
    -------
    float
        Share of flips whose sum is at least as far from 0.
    """
    sums = np.asarray(patient_sums, np.float64)
    totals = np.abs(flips @ sums)
    return _share_at_least(totals)


def pratt_signed_ranks(changes: ArrayLike) -> Floats:
    """Rank changes by size, zeros included, and give each rank its sign.

    Zeros take the lowest ranks and then drop out, so that many unchanged joints weaken
    the evidence, as they should.

    References
    ----------
    .. [1] Pratt JW. J Am Stat Assoc 1959;54:655-667,
       doi 10.1080/01621459.1959.10501526.
    """
    values = np.asarray(changes, np.float64)
    ranks: Floats = stats.rankdata(np.abs(values))
    return ranks * np.sign(values)


def stuart_maxwell(table: ArrayLike) -> TableTest:
    """Test whether grades are equally frequent at both time points.

    Parameters
    ----------
    table : (q, q) array
        Joints by grade at baseline (rows) and follow-up (columns).

    References
    ----------
    .. [1] Stuart A. Biometrika 1955;42:412-416, doi 10.2307/2333387.
    .. [2] Maxwell AE. Br J Psychiatry 1970;116:651-655, doi 10.1192/bjp.116.535.651.
    """
    counts = np.asarray(table, np.float64)
    statistic = float(stuart_maxwell_statistics(counts[None])[0])
    degrees = int(np.linalg.matrix_rank(_covariances(counts[None])[0]))
    if not degrees:
        return TableTest(math.nan, 0, math.nan)
    return TableTest(statistic, degrees, float(stats.chi2.sf(statistic, degrees)))


def stuart_maxwell_statistics(tables: Floats) -> Floats:
    """Return the statistic of each of (B, q, q) tables; 0 where no grade changed."""
    apart = tables.sum(axis=2) - tables.sum(axis=1)
    inverse = np.linalg.pinv(_covariances(tables), hermitian=True)
    values: Floats = np.einsum("bi,bij,bj->b", apart, inverse, apart)
    return values


def mcnemar_bowker(table: ArrayLike, *, exact_tables: int, seed: int) -> TableTest:
    """Test whether changes from i to j are as frequent as those from j to i.

    The p-value is exact, given the number of joints in each pair of cells: it sums the
    probability of every table with a statistic at least as large. Where these are more
    than `exact_tables`, as many are drawn.

    Parameters
    ----------
    table : (q, q) array
        Joints by grade at baseline (rows) and follow-up (columns).
    exact_tables : int
        Tables that may be enumerated.
    seed : int
        Of the draws.

    References
    ----------
    .. [1] Bowker AH. J Am Stat Assoc 1948;43:572-574,
       doi 10.1080/01621459.1948.10483284.
    """
    counts = np.asarray(table, np.int64)
    upper = np.triu_indices(len(counts), 1)
    totals = (counts + counts.T)[upper]
    chosen = totals > 0
    totals, above = totals[chosen], counts[upper][chosen]
    if not totals.size:
        return TableTest(math.nan, 0, math.nan)
    observed = float(((2 * above - totals) ** 2 / totals).sum())
    if math.prod(int(n) + 1 for n in totals) <= exact_tables:
        p_value = _enumerated(totals, observed)
    else:
        p_value = _drawn(totals, observed, exact_tables, seed)
    return TableTest(observed, int(totals.size), p_value)


def bowker_statistics(tables: Floats) -> Floats:
    """Return Bowker's statistic of each of (B, q, q) tables."""
    flipped = tables.transpose(0, 2, 1)
    total = tables + flipped
    parts = np.divide(
        (tables - flipped) ** 2, total, out=np.zeros_like(total), where=total > 0
    )
    values: Floats = parts.sum(axis=(1, 2)) / 2.0
    return values


def flip_table_p_value(
    patient_tables: Floats, flips: Floats, statistics: Callable[[Floats], Floats]
) -> float:
    """Return the p-value of a table statistic whose patients are flipped.

    Parameters
    ----------
    patient_tables : (patients, q, q) float64 ndarray
        Table of each patient.
    flips : (B, patients) float64 ndarray
        From `patient_flips`.
    statistics : callable
        Maps (B, q, q) tables to (B,) values, large where they are unequal.
    """
    even = patient_tables + patient_tables.transpose(0, 2, 1)
    odd = patient_tables - patient_tables.transpose(0, 2, 1)
    tables = (even.sum(axis=0) + np.tensordot(flips, odd, axes=1)) / 2.0
    return _share_at_least(statistics(tables))


def _share_at_least(values: Floats) -> float:
    """Return the share of values that reach the first one."""
    limit = values[0] - _TOLERANCE * max(1.0, abs(float(values[0])))
    return float((values >= limit).mean())


def _covariances(tables: Floats) -> Floats:
    """Return the covariance of the marginal differences of each table."""
    covariances = -(tables + tables.transpose(0, 2, 1))
    size = tables.shape[1]
    diagonal = np.arange(size)
    margins = tables.sum(axis=1) + tables.sum(axis=2)
    covariances[:, diagonal, diagonal] += margins
    return covariances


def _enumerated(totals: NDArray[np.int64], observed: float) -> float:
    """Sum the probability of all tables at least as unequal."""
    values, weights = np.zeros(1), np.ones(1)
    for total in totals.tolist():
        above = np.arange(total + 1)
        part = (2.0 * above - total) ** 2 / total
        chance = stats.binom.pmf(above, total, 0.5)
        values = (values[:, None] + part[None]).ravel()
        weights = (weights[:, None] * chance[None]).ravel()
    reached = values >= observed - _TOLERANCE * max(1.0, observed)
    return min(1.0, float(weights[reached].sum()))


def _drawn(totals: NDArray[np.int64], observed: float, draws: int, seed: int) -> float:
    """Estimate the probability of tables at least as unequal."""
    rng = np.random.default_rng(seed)
    above = rng.binomial(totals, 0.5, size=(draws, totals.size))
    values = ((2.0 * above - totals) ** 2 / totals).sum(axis=1)
    return _share_at_least(np.concatenate([[observed], values]))
