"""Change between two time points: how often its direction is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.overlap import spearman


@dataclass(frozen=True, eq=False, slots=True)
class ChangePairs:
    """Rows of the same joint of one patient at two time points.

    Attributes
    ----------
    first, second : (P,) int64 ndarray
        Row of the baseline and of the follow-up.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]


def pair_rows(
    patients: Sequence[str], joints: Sequence[str], timepoints: Sequence[str]
) -> ChangePairs:
    """Pair each joint's first time point with its last, by patient and name.

    Parameters
    ----------
    patients, joints, timepoints : (N,) sequence of str
        Keys of each row; time points are ordered as strings (dates or numbers).

    Returns
    -------
    ChangePairs
        One pair for each joint seen at two or more time points.
    """
    rows: dict[tuple[str, str], list[int]] = {}
    for row, key in enumerate(zip(patients, joints, strict=True)):
        rows.setdefault(key, []).append(row)
    ordered = [sorted(r, key=lambda row: timepoints[row]) for r in rows.values()]
    pairs = [(r[0], r[-1]) for r in ordered if timepoints[r[0]] != timepoints[r[-1]]]
    table = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return ChangePairs(table[:, 0], table[:, 1])


def change_statistics(
    truth_first: ArrayLike,
    truth_second: ArrayLike,
    predicted_first: ArrayLike,
    predicted_second: ArrayLike,
) -> dict[str, float]:
    """Compare the direction of predicted changes of grade with the true ones.

    A pair with an ungradable prediction counts as wrong; a pair without both true
    grades is left out.

    Parameters
    ----------
    truth_first, truth_second, predicted_first, predicted_second : (P,) int array
        Grades 0-4 or `UNGRADABLE` of each pair.

    Returns
    -------
    dict of str to float
        direction_right: share of truly changed pairs whose predicted change has the
        same sign. unchanged_right: share of truly unchanged pairs predicted
        unchanged. opposite: share of truly changed pairs with the opposite sign.
        NaN where there is no such pair.
    """
    before, after = np.asarray(truth_first), np.asarray(truth_second)
    known = (before != UNGRADABLE) & (after != UNGRADABLE)
    true_sign = np.sign(after - before)[known]
    first, second = np.asarray(predicted_first), np.asarray(predicted_second)
    graded = ((first != UNGRADABLE) & (second != UNGRADABLE))[known]
    sign = np.sign(second - first)[known]
    changed = true_sign != 0
    return {
        "direction_right": _share(graded & (sign == true_sign), changed),
        "opposite": _share(graded & (sign == -true_sign), changed),
        "unchanged_right": _share(graded & (sign == 0), ~changed),
    }


def mean_grade_statistics(
    truth_first: ArrayLike,
    truth_second: ArrayLike,
    mean_first: ArrayLike,
    mean_second: ArrayLike,
) -> dict[str, float]:
    """Compare changes of the mean grade with the true changes of grade.

    The mean grade of a joint is the mean of the grades by their probabilities. It moves
    with a measurement also where that stays on one side of a threshold.

    Parameters
    ----------
    truth_first, truth_second : (P,) int array
        True grades 0-4 or `UNGRADABLE`; a pair without both is left out.
    mean_first, mean_second : (P,) float array
        Mean grades, NaN where there is none; such a pair counts as wrong.

    Returns
    -------
    dict of str to float
        mean_direction_right: share of truly changed pairs whose mean grade changes the
        same way. mean_spearman: rank correlation of both changes over all pairs.
        NaN where there are no such pairs.
    """
    before, after = np.asarray(truth_first), np.asarray(truth_second)
    known = (before != UNGRADABLE) & (after != UNGRADABLE)
    true_change = (after - before)[known].astype(np.float64)
    change = (np.asarray(mean_second, float) - np.asarray(mean_first, float))[known]
    same = same_direction(true_change, change)
    return {
        "mean_direction_right": _share(same, true_change != 0.0),
        "mean_spearman": spearman(change, true_change),
    }


def same_direction(true_change: ArrayLike, change: ArrayLike) -> NDArray[np.bool_]:
    """Tell where two changes have the same sign; NaN is no change."""
    found = np.nan_to_num(np.asarray(change, np.float64))
    return np.asarray(np.sign(found) == np.sign(true_change), np.bool_)


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float:
    """Return the share of true values where `among` holds; NaN if nowhere."""
    return float(right[among].mean()) if among.any() else float("nan")
