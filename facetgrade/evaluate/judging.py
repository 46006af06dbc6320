"""Say how well fitted settings are calibrated, also on patients they never saw."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.fitting import (
    FittedSettings,
    Rules,
    accepted_joints,
    fit_joint_confidence,
    fit_numbering,
    is_decided,
    with_confidence,
)
from facetgrade.evaluate.numbering import best_probabilities, true_probabilities
from facetgrade.evaluate.observations import ObservedJoint, ObservedStudy
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.summary import Section, calibration_section, json_number
from facetgrade.grade.confidence import Probabilities, grade_probabilities, grade_set
from facetgrade.grade.margins import interval_coverage, widen_intervals
from facetgrade.grade.settings import ConfidenceSettings

FOLDS = 5
# Fewer patients are too few to fit on what remains.
FEWEST_HELD_OUT = 10
Item = TypeVar("Item")


def calibration_result(
    studies: Sequence[ObservedStudy],
    fitted: FittedSettings,
    settings: CalibrateSettings,
    rules: Rules,
) -> Section:
    """Say how well settings are calibrated: at the start, fitted, and held out.

    Held out means: fitted without the patient, five times with a fifth of the patients
    left out. These are the numbers to expect of new studies.

    Returns
    -------
    dict
        counts, fitted, numbering, typicality, confidence, intervals.
    """
    joints = accepted_joints(studies, fitted, rules)
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
        "numbering": _numbering_section(studies, fitted, settings, rules),
        "typicality": _typicality_section(every, fitted),
        **_confidence_sections(joints, fitted, settings, rules),
    }


def fitted_json(fitted: FittedSettings) -> Section:
    """Return the fitted settings as JSON values."""
    return {
        "vote_temperature": fitted.vote_temperature,
        "min_numbering_probability": fitted.min_numbering_probability,
        "minimum_typicality": fitted.minimum_typicality,
        "flagged_typicality": fitted.flagged_typicality,
        "confidence": fitted.confidence.model_dump(mode="json"),
    }


def _numbering_section(
    studies: Sequence[ObservedStudy],
    fitted: FittedSettings,
    settings: CalibrateSettings,
    rules: Rules,
) -> Section:
    """Compare numberings before and after the fit, and held out."""
    found = [study for study in studies if study.numbering]

    def held_out(rest: Sequence[ObservedStudy]) -> tuple[float, float]:
        return fit_numbering(rest, settings, rules)

    whole = fitted.vote_temperature, fitted.min_numbering_probability
    start = settings.start.vote_temperature, settings.start.min_numbering_probability
    ways: dict[str, Callable[[Sequence[ObservedStudy]], tuple[float, float]]] = {
        "start": lambda _: start,
        "fitted": lambda _: whole,
    }
    if len({study.patient for study in found}) >= FEWEST_HELD_OUT:
        ways["held_out"] = held_out
    section: Section = {
        name: _numbering_figures(found, way, rules) for name, way in ways.items()
    }
    section["not_found"] = len(studies) - len(found)
    section["wrong"] = [
        {
            "study": study.name,
            "probability": json_number(
                best_probabilities([study.numbering], fitted.vote_temperature)[0]
            ),
            "decided": is_decided(study.numbering, fitted, rules),
        }
        for study in found
        if study.numbering and not study.numbering.right
    ]
    return section


def _numbering_figures(
    studies: Sequence[ObservedStudy],
    fit: Callable[[Sequence[ObservedStudy]], tuple[float, float]],
    rules: Rules,
) -> Section:
    """Judge each fold of patients by settings that the others gave."""
    losses: list[float] = []
    decided, right_decided, right = 0, 0, 0
    for rest, fold in _folds(studies, lambda study: study.patient):
        temperature, minimum = fit(rest)
        numberings = [study.numbering for study in fold if study.numbering]
        losses += (-np.log(true_probabilities(numberings, temperature))).tolist()
        sure = best_probabilities(numberings, temperature) >= minimum
        for one, is_sure in zip(numberings, sure.tolist(), strict=True):
            is_sure &= one.sacrum_vote >= rules.min_sacrum_vote
            decided += is_sure
            right_decided += is_sure and one.right
            right += one.right
    return {
        "log_loss": json_number(float(np.mean(losses)) if losses else math.nan),
        "studies": len(studies),
        "right": right,
        "decided": decided,
        "right_of_decided": right_decided,
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
    rules: Rules,
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
    rules: Rules,
) -> Section:
    """Summarize grade probabilities and sets, each joint by its own settings."""
    probabilities: list[Probabilities] = []
    for joint, confidence in judged:
        if joint.extents is None:
            raise ValueError(f"{joint.row.name} has no extents")
        graded = with_confidence(rules, confidence)
        probabilities.append(grade_probabilities(joint.extents, graded))
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
        widen_intervals(joint.extents, confidence.margins)
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
