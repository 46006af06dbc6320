"""Sections of a result: grades with their intervals, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetgrade.evaluate.agreement import (
    UNGRADABLE,
    agreement_statistics,
    confusion_matrix,
    prevalence,
)
from facetgrade.evaluate.calibration import (
    calibration_errors,
    every_grade,
    probability_scores,
    reliability,
    set_statistics,
    top_label,
)
from facetgrade.evaluate.change import (
    ChangePairs,
    change_statistics,
    mean_grade_statistics,
)
from facetgrade.evaluate.intervals import Estimate, Statistics, cluster_bootstrap

Section = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals are made.

    Attributes
    ----------
    resamples, seed : int
        Number of resamples of the patients and the seed that draws them.
    coverage : float
        Nominal coverage of the intervals, 0-1.
    """

    resamples: int
    seed: int
    coverage: float

    def estimate(
        self, patients: Sequence[str], statistics: Statistics
    ) -> dict[str, Section]:
        """Return the JSON form of each statistic; empty without rows."""
        if not len(patients):
            return {}
        estimates = cluster_bootstrap(
            patients,
            statistics,
            seed=self.seed,
            resamples=self.resamples,
            coverage=self.coverage,
        )
        return {name: estimate_json(value) for name, value in estimates.items()}


def grade_section(
    truth: ArrayLike,
    predicted: ArrayLike,
    patients: Sequence[str],
    bootstrap: Bootstrap,
) -> Section:
    """Summarize the agreement of two columns of grades.

    Parameters
    ----------
    truth, predicted : (N,) int array
        Grades 0-4, or `UNGRADABLE`.
    patients : (N,) sequence of str
        Patient of each row.
    bootstrap : Bootstrap
        How intervals are made.

    Returns
    -------
    dict
        counts, agreement (with intervals), confusion, prevalence of both columns.
    """
    actual, graded = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    gradable = actual != UNGRADABLE
    rows = np.flatnonzero(gradable)
    true_rows, grades = actual[rows], graded[rows]
    return {
        "counts": {
            "joints": int(actual.size),
            "patients": len(set(patients)),
            "truth_gradable": int(gradable.sum()),
            "ungradable_where_truth_gradable": int((grades == UNGRADABLE).sum()),
            "graded_where_truth_ungradable": int((graded[~gradable] >= 0).sum()),
        },
        "agreement": bootstrap.estimate(
            [patients[row] for row in rows.tolist()],
            lambda draw: agreement_statistics(true_rows[draw], grades[draw]),
        ),
        "confusion": confusion_matrix(actual, graded).astype(int).tolist(),
        "prevalence": {
            "truth": _json_shares(actual),
            "predicted": _json_shares(graded),
        },
    }


def change_section(
    truth: ArrayLike,
    predicted: ArrayLike,
    patients: Sequence[str],
    pairs: ChangePairs,
    bootstrap: Bootstrap,
    *,
    mean_grades: ArrayLike | None = None,
) -> Section:
    """Summarize the direction of change over pairs of rows.

    With `mean_grades`, (N,) floats and NaN where there is no grade, also that of the
    mean of the grade probabilities.
    """
    actual, graded = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    first, second = pairs.first, pairs.second
    known = (actual[first] != UNGRADABLE) & (actual[second] != UNGRADABLE)
    first, second = first[known], second[known]
    means = None if mean_grades is None else np.asarray(mean_grades, np.float64)

    def statistics(draw: NDArray[np.int64]) -> dict[str, float]:
        one, other = first[draw], second[draw]
        true = actual[one], actual[other]
        found = change_statistics(*true, graded[one], graded[other])
        if means is None:
            return found
        return found | mean_grade_statistics(*true, means[one], means[other])

    return {
        "counts": {
            "pairs": int(first.size),
            "changed": int((actual[first] != actual[second]).sum()),
        },
        "change": bootstrap.estimate(
            [patients[row] for row in first.tolist()], statistics
        ),
    }


def calibration_section(
    truth: ArrayLike,
    probabilities: Sequence[Sequence[float]],
    sets: Sequence[Sequence[int]],
    patients: Sequence[str],
    bootstrap: Bootstrap,
) -> Section:
    """Summarize grade probabilities and grade sets of the graded joints.

    Parameters
    ----------
    truth : (N,) int array
        True grades, or `UNGRADABLE`.
    probabilities : (N,) sequence of sequences of float
        Probability of each grade; empty for an ungradable joint.
    sets : (N,) sequence of sequences of int
        Grades in each set; empty for an ungradable joint.
    patients : (N,) sequence of str
        Patient of each row.
    bootstrap : Bootstrap
        How intervals are made.

    Returns
    -------
    dict
        counts, calibration (of the most probable grade: ece, ece_corrected,
        rms_corrected; of all grades: the same with prefix every_; proper scores; set
        statistics; with intervals), reliability (bins).
    """
    actual = np.asarray(truth, np.int64)
    rows = [
        row
        for row in range(len(actual))
        if actual[row] != UNGRADABLE and len(probabilities[row]) and len(sets[row])
    ]
    true_rows = actual[rows]
    table = np.array([probabilities[row] for row in rows], np.float64)
    allowed = [tuple(sets[row]) for row in rows]
    if not rows:
        return {"counts": {"joints": 0}, "calibration": {}, "reliability": []}

    def statistics(draw: NDArray[np.int64]) -> dict[str, float]:
        grades, shares = true_rows[draw], table[draw]
        every = calibration_errors(*every_grade(grades, shares))
        return {
            **calibration_errors(*top_label(grades, shares)),
            **{f"every_{name}": value for name, value in every.items()},
            **probability_scores(grades, shares),
            **set_statistics(grades, [allowed[row] for row in draw]),
        }

    bins = reliability(*top_label(true_rows, table))
    return {
        "counts": {"joints": len(rows)},
        "calibration": bootstrap.estimate([patients[r] for r in rows], statistics),
        "reliability": [[b.confidence, b.share_right, b.joints] for b in bins],
    }


def estimate_json(estimate: Estimate) -> Section:
    """Return an estimate with None for what is undefined."""
    return {
        "value": json_number(estimate.value),
        "low": json_number(estimate.low),
        "high": json_number(estimate.high),
        "rows": estimate.rows,
        "patients": estimate.clusters,
    }


def json_number(value: float) -> float | None:
    """Round to six digits after the point; None for NaN and infinity."""
    return round(float(value), 6) if math.isfinite(value) else None


def _json_shares(grades: NDArray[np.int64]) -> list[float | None]:
    """Return the prevalence of grades 0-4."""
    return [json_number(share) for share in prevalence(grades).values()]
