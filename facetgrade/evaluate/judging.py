"""Say how well fitted settings are calibrated, also on patients they never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.fitting import (
    FittedSettings,
    NumberingSettings,
    accepted_joints,
    fit_joint_confidence,
    fit_numbering,
    with_confidence,
)
from facetgrade.evaluate.numbering import best_probabilities, true_probabilities
from facetgrade.evaluate.observations import (
    ObservedJoint,
    ObservedNumbering,
    ObservedStudy,
)
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.summary import Section, calibration_section, json_number
from facetgrade.grade.confidence import Probabilities, grade_probabilities, grade_set
from facetgrade.grade.correction import correct_extents
from facetgrade.grade.margins import interval_coverage, widen_intervals
from facetgrade.grade.settings import ConfidenceSettings, GradeSettings

FOLDS = 5
# Fewer patients are too few to fit on what remains.
FEWEST_HELD_OUT = 10
Item = TypeVar("Item")


def calibration_result(
    studies: Sequence[ObservedStudy],
    fitted: FittedSettings,
    settings: CalibrateSettings,
    rules: GradeSettings,
) -> Section:
    """Say how well settings are calibrated: at the start, fitted, and held out.

    Held out means: fitted without the patient, five times with a fifth of the patients
    left out. These are the numbers to expect of new studies.

    Returns
    -------
    dict
        counts, fitted, numbering, typicality, confidence, intervals.
    """
    joints = accepted_joints(studies, fitted)
    every = [joint for study in studies for joint in study.joints]
    patients = {study.patient for study in studies}
    return {
        "counts": {
            "studies": len(studies),
            "patients": len(patients),
            "joints": len(every),
            "gradable": sum(j.row.truth_grade != UNGRADABLE for j in every),
            "accepted": len(joints),
        },
        "fitted": fitted_json(fitted),
        "numbering": _numbering_section(studies, fitted, settings),
        "typicality": _typicality_section(every, fitted),
        **_confidence_sections(joints, fitted, settings, rules),
    }


def fitted_json(fitted: FittedSettings) -> Section:
    """Return the fitted settings as JSON values."""
    return {
        **asdict(fitted.numbering),
        "minimum_typicality": fitted.minimum_typicality,
        "flagged_typicality": fitted.flagged_typicality,
        "confidence": fitted.confidence.model_dump(mode="json"),
    }


def _numbering_section(
    studies: Sequence[ObservedStudy],
    fitted: FittedSettings,
    settings: CalibrateSettings,
) -> Section:
    """Compare numberings before and after the fit, and held out."""
    found = [study for study in studies if study.numbering]
    start = NumberingSettings(
        vote_temperature=settings.start.vote_temperature,
        min_numbering_probability=settings.start.min_numbering_probability,
        min_sacrum_vote=settings.start.min_sacrum_vote,
    )
    ways: dict[str, Callable[[Sequence[ObservedStudy]], NumberingSettings]] = {
        "start": lambda _: start,
        "fitted": lambda _: fitted.numbering,
    }
    if len({study.patient for study in found}) >= FEWEST_HELD_OUT:
        ways["held_out"] = lambda rest: fit_numbering(rest, settings)
    section: Section = {
        name: _numbering_figures(found, way) for name, way in ways.items()
    }
    section["not_found"] = len(studies) - len(found)
    section["wrong"] = [
        _wrong_numbering(study.name, study.numbering, fitted.numbering)
        for study in found
        if study.numbering and not study.numbering.right
    ]
    return section


def _numbering_figures(
    studies: Sequence[ObservedStudy],
    fit: Callable[[Sequence[ObservedStudy]], NumberingSettings],
) -> Section:
    """Judge each fold of patients by settings that the others gave."""
    losses: list[float] = []
    counts = dict.fromkeys(("right", "decided", "right_of_decided", "decided_cut"), 0)
    for rest, fold in _folds(studies, lambda study: study.patient):
        chosen = fit(rest)
        numberings = [study.numbering for study in fold if study.numbering]
        likelihood = true_probabilities(numberings, chosen.vote_temperature)
        losses += (-np.log(likelihood)).tolist()
        for one in numberings:
            decided = chosen.decides(one)
            counts["right"] += one.right
            counts["decided"] += decided
            counts["right_of_decided"] += decided and one.right
        cut = [study.cut for study in fold if study.cut]
        counts["decided_cut"] += sum(chosen.decides(one) for one in cut)
    return {
        "log_loss": json_number(float(np.mean(losses)) if losses else math.nan),
        "studies": len(studies),
        **counts,
    }


def _wrong_numbering(
    name: str, numbering: ObservedNumbering, fitted: NumberingSettings
) -> Section:
    """Describe a study whose levels are wrong."""
    probability = best_probabilities([numbering], fitted.vote_temperature)[0]
    return {
        "study": name,
        "probability": json_number(probability),
        "decided": fitted.decides(numbering),
    }


def _typicality_section(
    joints: Sequence[ObservedJoint], fitted: FittedSettings
) -> Section:
    """Say what the thresholds let through."""
    graded = [joint for joint in joints if joint.extents is not None]
    values = np.array([joint.typicality for joint in graded])
    shares = (0.0, 0.02, 0.1, 0.5, 0.9, 1.0)
    groups = {
        "refused": values < fitted.minimum_typicality,
        "flagged": (values >= fitted.minimum_typicality)
        & (values < fitted.flagged_typicality),
        "usual": values >= fitted.flagged_typicality,
    }
    quantiles = np.quantile(values, shares) if len(values) else []
    return {
        "quantiles": {
            f"{s:g}": json_number(q) for s, q in zip(shares, quantiles, strict=False)
        },
        **{name: _exact_share(graded, chosen) for name, chosen in groups.items()},
    }


def _exact_share(joints: Sequence[ObservedJoint], chosen: NDArray[np.bool_]) -> Section:
    """Count joints, and how many are located right and graded exactly."""
    rows = [joints[i].row for i in np.flatnonzero(chosen).tolist()]
    return {
        "joints": len(rows),
        "right": sum(row.right for row in rows),
        "exact": sum(row.grade == row.truth_grade for row in rows),
    }


def _confidence_sections(
    joints: Sequence[ObservedJoint],
    fitted: FittedSettings,
    settings: CalibrateSettings,
    rules: GradeSettings,
) -> Section:
    """Judge probabilities, sets and intervals of the accepted joints."""
    start = settings.start.confidence
    ways: dict[str, Callable[[Sequence[ObservedJoint]], ConfidenceSettings]] = {
        "start": lambda _: start,
        "fitted": lambda _: fitted.confidence,
    }
    if len({joint.row.patient for joint in joints}) >= FEWEST_HELD_OUT:
        ways["held_out"] = lambda rest: fit_joint_confidence(rest, start, rules)
    sections: Section = {"confidence": {}, "intervals": {}}
    for name, way in ways.items():
        judged: list[tuple[ObservedJoint, ConfidenceSettings]] = []
        for rest, fold in _folds(joints, lambda joint: joint.row.patient):
            confidence = way(rest)
            judged += [(joint, confidence) for joint in fold]
        sections["confidence"][name] = _probability_section(judged, settings, rules)
        sections["intervals"][name] = _interval_section(judged)
    return sections


def _probability_section(
    judged: Sequence[tuple[ObservedJoint, ConfidenceSettings]],
    settings: CalibrateSettings,
    rules: GradeSettings,
) -> Section:
    """Summarize grade probabilities and sets, each joint by its own settings."""
    probabilities: list[Probabilities] = []
    for joint, confidence in judged:
        if joint.extents is None:
            raise ValueError(f"{joint.row.name} has no extents")
        extents = correct_extents(joint.extents, confidence.correction)
        graded = with_confidence(rules, confidence)
        probabilities.append(grade_probabilities(extents, graded))
    return calibration_section(
        [joint.row.truth_grade for joint, _ in judged],
        probabilities,
        [
            grade_set(p, confidence.set_probability)
            for p, (_, confidence) in zip(probabilities, judged, strict=True)
        ],
        [joint.row.patient for joint, _ in judged],
        settings.intervals.bootstrap,
    )


def _interval_section(
    judged: Sequence[tuple[ObservedJoint, ConfidenceSettings]],
) -> Section:
    """Return how often the intervals hold the truth."""
    widened = [
        widen_intervals(
            correct_extents(joint.extents, confidence.correction), confidence.margins
        )
        for joint, confidence in judged
        if joint.extents
    ]
    truth = [joint.row.truth for joint, _ in judged]
    return {
        name: {"coverage": json_number(share), "joints": count}
        for name, (share, count) in interval_coverage(widened, truth).items()
    }


def _folds(
    items: Sequence[Item], patient: Callable[[Item], str]
) -> list[tuple[list[Item], list[Item]]]:
    """Split by patient: what remains, and what is held out, five times."""
    names = sorted({patient(item) for item in items})
    fold = {name: number % FOLDS for number, name in enumerate(names)}
    return [
        (
            [item for item in items if fold[patient(item)] != number],
            [item for item in items if fold[patient(item)] == number],
        )
        for number in range(min(FOLDS, len(names)))
    ]
