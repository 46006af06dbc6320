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
from facetgrade.evaluate.change import ChangePairs, change_statistics
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
) -> Section:
    """Summarize the direction of change over pairs of rows."""
    actual, graded = np.asarray(truth, np.int64), np.asarray(predicted, np.int64)
    first, second = pairs.first, pairs.second
    known = (actual[first] != UNGRADABLE) & (actual[second] != UNGRADABLE)
    first, second = first[known], second[known]
    return {
        "counts": {
            "pairs": int(first.size),
            "changed": int((actual[first] != actual[second]).sum()),
        },
        "change": bootstrap.estimate(
            [patients[row] for row in first.tolist()],
            lambda draw: change_statistics(
                actual[first[draw]],
                actual[second[draw]],
                graded[first[draw]],
                graded[second[draw]],
            ),
        ),
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
