"""Agreement of two ordinal grades: confusion, weighted kappa, Gwet's AC2."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

GRADES = 5
UNGRADABLE = -1


def confusion_matrix(
    truth: ArrayLike, predicted: ArrayLike, *, categories: int = GRADES
) -> NDArray[np.float64]:
    """Count pairs of grades; pairs with an ungradable member are left out.

    Parameters
    ----------
    truth, predicted : (N,) int array
        Grades 0 ... categories - 1, or `UNGRADABLE`.
    categories : int
        Number of grades.

    Returns
    -------
    (categories, categories) float64 ndarray
        Rows are the true grade, columns the predicted one.

    Raises
    ------
    ValueError
        If the arrays differ in length or a grade is out of range.
    """
    rows, columns = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape:
        raise ValueError(
            f"truth and predicted must be equally long, got {rows.shape} "
            f"and {columns.shape}"
        )
    both = np.concatenate([rows, columns])
    if both.size and (both.min() < UNGRADABLE or both.max() >= categories):
        raise ValueError(
            f"grades must be 0-{categories - 1} or {UNGRADABLE}, "
            f"got {both.min()}-{both.max()}"
        )
    graded = (rows >= 0) & (columns >= 0)
    cells = np.bincount(
        rows[graded] * categories + columns[graded], minlength=categories**2
    )
    return cells.reshape(categories, categories).astype(np.float64)


def identity_weights(categories: int = GRADES) -> NDArray[np.float64]:
    """Credit only exact agreement, shape (categories, categories)."""
    return np.eye(categories)


def linear_weights(categories: int = GRADES) -> NDArray[np.float64]:
    """Credit 1 - |i - j| / (q - 1), shape (categories, categories)."""
    return 1.0 - _steps(categories) / (categories - 1.0)


def quadratic_weights(categories: int = GRADES) -> NDArray[np.float64]:
    """Credit 1 - (i - j)^2 / (q - 1)^2, shape (categories, categories)."""
    return 1.0 - (_steps(categories) / (categories - 1.0)) ** 2


def ordinal_weights(categories: int = GRADES) -> NDArray[np.float64]:
    """Credit 1 - M_ij / M_max with M_ij the pairs of grades from i to j.

    References
    ----------
    .. [1] Gwet KL. Handbook of Inter-Rater Reliability, 4th ed. 2014, section 3.5:
       M_ij = C(|i - j| + 1, 2).
    """
    pairs = (_steps(categories) + 1.0) * _steps(categories) / 2.0
    most_pairs = categories * (categories - 1.0) / 2.0
    return 1.0 - pairs / most_pairs


def observed_agreement(
    confusion: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Return the mean credit of the pairs; NaN without pairs."""
    total = confusion.sum()
    return float((confusion * weights).sum() / total) if total else float("nan")


def weighted_kappa(
    confusion: NDArray[np.float64], weights: NDArray[np.float64]
) -> float:
    """Return Cohen's kappa with agreement weights.

    Parameters
    ----------
    confusion : (q, q) float64 ndarray
        Counts or proportions of pairs of grades.
    weights : (q, q) float64 ndarray
        Credit of each pair, 1 on the diagonal.

    Returns
    -------
    float
        1 perfect, 0 chance; NaN where chance alone would agree perfectly.

    References
    ----------
    .. [1] Cohen J. Psychol Bull 1968;70:213-220, doi:10.1037/h0026256.
    .. [2] Fleiss JL, Cohen J. Educ Psychol Meas 1973;33:613-619 (quadratic weights).
    """
    total = confusion.sum()
    if not total:
        return float("nan")
    shares = confusion / total
    chance = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    return _beyond_chance((shares * weights).sum(), (chance * weights).sum())


def gwet_ac2(confusion: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return Gwet's AC2, which stays meaningful where one grade prevails.

    Parameters
    ----------
    confusion : (q, q) float64 ndarray
        Counts or proportions of pairs of grades.
    weights : (q, q) float64 ndarray
        Credit of each pair; with `identity_weights` the result is AC1.

    Returns
    -------
    float
        1 perfect, 0 chance; NaN without pairs.

    References
    ----------
    .. [1] Gwet KL. Br J Math Stat Psychol 2008;61:29-48,
       doi:10.1348/000711006X126600 (AC1).
    .. [2] Gwet KL. Handbook of Inter-Rater Reliability, 4th ed. 2014, chapter 4 (AC2):
       chance is T_w / (q (q - 1)) * sum pi_k (1 - pi_k), T_w the sum of the weights.
    """
    total = confusion.sum()
    if not total:
        return float("nan")
    shares = confusion / total
    categories = len(shares)
    prevalence = (shares.sum(axis=0) + shares.sum(axis=1)) / 2.0
    spread = float((prevalence * (1.0 - prevalence)).sum())
    chance = weights.sum() / (categories * (categories - 1.0)) * spread
    return _beyond_chance((shares * weights).sum(), chance)


def agreement_statistics(truth: ArrayLike, predicted: ArrayLike) -> dict[str, float]:
    """Compare grades, with the ungradable joints kept in sight.

    A joint without a true grade is left out. `exact` and `within_one` count an
    ungradable prediction as wrong. Kappa and AC2 have no place for a missing grade:
    they are over the graded joints, and `graded_share` says how many those are;
    `kappa_quadratic_missing` takes a missing grade for the one farthest from the truth.

    Parameters
    ----------
    truth, predicted : (N,) int array
        Grades 0-4, or `UNGRADABLE`.

    Returns
    -------
    dict of str to float
        exact, within_one, exact_graded, within_one_graded, kappa_linear,
        kappa_quadratic, kappa_quadratic_missing, ac2_ordinal, graded_share; NaN
        where undefined.
    """
    true_grades, grades = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    gradable = true_grades >= 0
    confusion = confusion_matrix(true_grades[gradable], grades[gradable])
    actual, found = true_grades[gradable], grades[gradable]
    farthest = np.where(actual >= GRADES // 2, 0, GRADES - 1)
    filled = confusion_matrix(actual, np.where(found >= 0, found, farthest))
    joints = int(gradable.sum())
    graded_share = confusion.sum() / joints if joints else float("nan")
    exact = observed_agreement(confusion, identity_weights())
    near = observed_agreement(confusion, (_steps(GRADES) <= 1).astype(np.float64))
    none_graded = joints > 0 and not confusion.sum()
    return {
        "exact": 0.0 if none_graded else exact * graded_share,
        "within_one": 0.0 if none_graded else near * graded_share,
        "exact_graded": exact,
        "within_one_graded": near,
        "kappa_linear": weighted_kappa(confusion, linear_weights()),
        "kappa_quadratic": weighted_kappa(confusion, quadratic_weights()),
        "kappa_quadratic_missing": weighted_kappa(filled, quadratic_weights()),
        "ac2_ordinal": gwet_ac2(confusion, ordinal_weights()),
        "graded_share": float(graded_share),
    }


def prevalence(grades: ArrayLike) -> Mapping[int, float]:
    """Return the share of each grade among the graded joints."""
    values = np.asarray(grades, np.int64)
    values = values[values >= 0]
    if not values.size:
        return dict.fromkeys(range(GRADES), float("nan"))
    shares = np.bincount(values, minlength=GRADES) / values.size
    return {grade: float(share) for grade, share in enumerate(shares)}


def _steps(categories: int) -> NDArray[np.float64]:
    """Return |i - j| of every pair of grades."""
    grades = np.arange(categories, dtype=np.float64)
    return np.abs(grades[:, None] - grades[None, :])


def _beyond_chance(observed: float, chance: float) -> float:
    """Scale agreement so that chance is 0 and perfection 1."""
    if chance >= 1.0 - 1e-12:
        return float("nan")
    return float((observed - chance) / (1.0 - chance))
