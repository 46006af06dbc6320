"""Many pairs together: transitions, paired changes with intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.compare.changes import Change, Extent, JointChange
from facetgrade.compare.pairing import Pair
from facetgrade.compare.settings import StatisticsSettings
from facetgrade.compare.statistics import (
    TableTest,
    bowker_statistics,
    flip_p_value,
    flip_table_p_value,
    mcnemar_bowker,
    patient_flips,
    pratt_signed_ranks,
    stuart_maxwell,
    stuart_maxwell_statistics,
)
from facetgrade.evaluate.intervals import Estimate, cluster_bootstrap

Section = dict[str, Any]

GRADES = 5
GRADE = "grade"
MEASURES = (
    GRADE,
    Extent.PERIMETER_FRACTION.value,
    Extent.EFFUSION_MM3.value,
    Extent.EFFUSION_WIDTH_MM.value,
    Extent.EDEMA_MM3.value,
)
_SHARES = (Change.IMPROVED, Change.UNCHANGED, Change.WITHIN_ERROR, Change.WORSE)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CohortJoint:
    """One joint of one pair, without its images.

    Attributes
    ----------
    patient : str
        Subject, or the pair where the subject is unknown.
    level, side : str
        Which joint.
    change : Change
        Its course.
    before, after : int or None
        Grades, None where not comparable.
    changes : mapping of str to float
        Change of each of `MEASURES`; empty where not comparable.
    """

    patient: str
    level: str
    side: str
    change: Change
    before: int | None
    after: int | None
    changes: Mapping[str, float]


def cohort_joints(pair: Pair, joints: Iterable[JointChange]) -> list[CohortJoint]:
    """Keep of each joint what the cohort needs."""
    return [_cohort_joint(pair, joint) for joint in joints]


def summarize_cohort(
    joints: Sequence[CohortJoint], settings: StatisticsSettings
) -> Section:
    """Describe a cohort.

    Parameters
    ----------
    joints : sequence of CohortJoint
        All joints of all pairs.
    settings : StatisticsSettings
        Resamples, permutations, seed.

    Returns
    -------
    dict
        ``counts``, ``transitions`` (5 x 5), ``shares`` and ``paired`` (estimates with
        intervals), ``groups`` (the same by level, side and grade at baseline) and
        ``tests``, which is empty with fewer than two patients.
    """
    comparable = [joint for joint in joints if joint.change in _SHARES]
    return {
        "counts": _counts(joints),
        "transitions": transition_table(comparable).astype(int).tolist(),
        "shares": _shares(comparable, settings),
        "paired": _paired(comparable, settings),
        "groups": [
            {"factor": factor, "label": label, "paired": _paired(chosen, settings)}
            for factor, label, chosen in _groups(comparable)
        ],
        "tests": _tests(comparable, settings),
    }


def transition_table(joints: Sequence[CohortJoint]) -> NDArray[np.float64]:
    """Count joints by grade at baseline (rows) and at follow-up (columns)."""
    table = np.zeros((GRADES, GRADES))
    for joint in joints:
        if joint.before is not None and joint.after is not None:
            table[joint.before, joint.after] += 1
    return table


def _cohort_joint(pair: Pair, joint: JointChange) -> CohortJoint:
    before, after = joint.grade_baseline, joint.grade_followup
    changes: dict[str, float] = {}
    if joint.comparable and before is not None and after is not None:
        changes[GRADE] = float(after - before)
        for extent, difference in joint.differences.items():
            changes[extent.value] = difference.change
    return CohortJoint(
        patient=pair.subject or f"pair {pair.name}",
        level=joint.joint.level.value,
        side=joint.joint.side.value,
        change=joint.change,
        before=before,
        after=after,
        changes=changes,
    )


def _counts(joints: Sequence[CohortJoint]) -> Section:
    """Count patients, joints and courses, in all and by level."""
    levels = sorted({joint.level for joint in joints})
    return {
        "patients": len({joint.patient for joint in joints}),
        "joints": len(joints),
        "changes": _courses(joints),
        "by_level": {
            level: _courses([j for j in joints if j.level == level]) for level in levels
        },
    }


def _courses(joints: Sequence[CohortJoint]) -> dict[str, int]:
    return {c.value: sum(joint.change is c for joint in joints) for c in Change}


def _shares(joints: Sequence[CohortJoint], settings: StatisticsSettings) -> Section:
    """Estimate the share of each course among the comparable joints."""
    if not joints:
        return {}
    courses = np.array([list(_SHARES).index(joint.change) for joint in joints])

    def statistics(rows: NDArray[np.int64]) -> dict[str, float]:
        return {
            change.value: float((courses[rows] == number).mean())
            for number, change in enumerate(_SHARES)
        }

    return _estimates([joint.patient for joint in joints], statistics, settings)


def _paired(joints: Sequence[CohortJoint], settings: StatisticsSettings) -> Section:
    """Estimate the mean change of each measure."""
    if not joints:
        return {}
    table = np.array([[joint.changes[m] for m in MEASURES] for joint in joints])

    def statistics(rows: NDArray[np.int64]) -> dict[str, float]:
        means = table[rows].mean(axis=0)
        return dict(zip(MEASURES, means.tolist(), strict=True))

    return _estimates([joint.patient for joint in joints], statistics, settings)


def _estimates(
    patients: Sequence[str], statistics: Any, settings: StatisticsSettings
) -> Section:
    """Estimate with patient-cluster bootstrap intervals."""
    found = cluster_bootstrap(
        patients,
        statistics,
        seed=settings.seed,
        resamples=settings.resamples,
        coverage=settings.coverage,
    )
    return {name: _estimate(value) for name, value in found.items()}


def _groups(
    joints: Sequence[CohortJoint],
) -> list[tuple[str, str, list[CohortJoint]]]:
    """Split by level, side and grade at baseline."""
    groups = []
    for factor, key in (
        ("level", lambda j: j.level),
        ("side", lambda j: j.side),
        ("grade at baseline", lambda j: str(j.before)),
    ):
        for label in sorted({key(joint) for joint in joints}):
            groups.append((factor, label, [j for j in joints if key(j) == label]))
    return groups


def _tests(joints: Sequence[CohortJoint], settings: StatisticsSettings) -> Section:
    """Test the changes by flipping whole patients; nothing for a single patient."""
    names = sorted({joint.patient for joint in joints})
    if len(names) < 2:
        return {}
    flips, every = patient_flips(
        len(names), permutations=settings.permutations, seed=settings.seed
    )
    rows = np.array([names.index(joint.patient) for joint in joints])
    changes = {m: np.array([joint.changes[m] for joint in joints]) for m in MEASURES}
    return {
        "flips": len(flips),
        "all_flips": every,
        "mean_change": {
            measure: flip_p_value(_by_patient(rows, values, len(names)), flips)
            for measure, values in changes.items()
        },
        "per_patient": {
            measure: _per_patient(rows, values, len(names), flips)
            for measure, values in changes.items()
        },
        "on_joints": _on_joints(joints, rows, changes[GRADE], names, flips, settings),
    }


def _per_patient(
    rows: NDArray[np.int64],
    values: NDArray[np.float64],
    patients: int,
    flips: NDArray[np.float64],
) -> Section:
    """Test one value per patient, the mean of the joints, by signed ranks."""
    means = _by_patient(rows, values, patients) / np.bincount(rows, minlength=patients)
    ranks = pratt_signed_ranks(np.round(means, 9))
    return {
        "rank_sum_up": float(ranks[ranks > 0].sum()),
        "rank_sum_down": float(-ranks[ranks < 0].sum()),
        "up": int((means > 0).sum()),
        "down": int((means < 0).sum()),
        "p_value": flip_p_value(ranks, flips),
    }


def _on_joints(
    joints: Sequence[CohortJoint],
    rows: NDArray[np.int64],
    changes: NDArray[np.float64],
    names: Sequence[str],
    flips: NDArray[np.float64],
    settings: StatisticsSettings,
) -> Section:
    """Describe the joints by the usual tests, with p-values that know the patients."""
    ranks = pratt_signed_ranks(changes)
    patient_tables = np.stack(
        [transition_table([j for j in joints if j.patient == name]) for name in names]
    )
    table = patient_tables.sum(axis=0)
    symmetry = mcnemar_bowker(
        table, exact_tables=settings.exact_tables, seed=settings.seed
    )
    return {
        "wilcoxon_pratt": {
            "rank_sum_up": float(ranks[ranks > 0].sum()),
            "rank_sum_down": float(-ranks[ranks < 0].sum()),
            "unchanged": int((changes == 0).sum()),
            "p_flip": flip_p_value(_by_patient(rows, ranks, len(names)), flips),
        },
        "stuart_maxwell": {
            **_table_test(stuart_maxwell(table)),
            "p_flip": flip_table_p_value(
                patient_tables, flips, stuart_maxwell_statistics
            ),
        },
        "mcnemar_bowker_exact": {
            **_table_test(symmetry),
            "p_flip": flip_table_p_value(patient_tables, flips, bowker_statistics),
        },
    }


def _by_patient(
    rows: NDArray[np.int64], values: NDArray[np.float64], patients: int
) -> NDArray[np.float64]:
    return np.asarray(np.bincount(rows, values, minlength=patients), np.float64)


def _table_test(test: TableTest) -> Section:
    return {
        "statistic": _known(test.statistic),
        "degrees": test.degrees,
        "p_joints": _known(test.p_value),
    }


def _estimate(estimate: Estimate) -> Section:
    return {
        "value": _known(estimate.value),
        "low": _known(estimate.low),
        "high": _known(estimate.high),
        "joints": estimate.rows,
        "patients": estimate.clusters,
    }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
