"""Fit every tuned setting of the pipeline to observed studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.numbering import (
    best_probabilities,
    choose_minimum,
    fit_temperature,
)
from facetgrade.evaluate.observations import (
    ObservedJoint,
    ObservedNumbering,
    ObservedStudy,
)
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.typicality import flagged_typicality, minimum_typicality
from facetgrade.grade.confidence import (
    CalibrationRecord,
    fit_confidence,
)
from facetgrade.grade.margins import fit_margins
from facetgrade.grade.settings import ConfidenceSettings, GradeSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedSettings:
    """What calibration puts into the settings of the pipeline.

    Attributes
    ----------
    vote_temperature, min_numbering_probability : float
        Of ``[localize]``.
    minimum_typicality, flagged_typicality : float
        Of ``[acceptance]``.
    confidence : ConfidenceSettings
        The whole of ``[confidence]``.
    studies : int
        How many it was fitted to.
    """

    vote_temperature: float
    min_numbering_probability: float
    minimum_typicality: float
    flagged_typicality: float
    confidence: ConfidenceSettings
    studies: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Rules:
    """What is given and not fitted.

    Attributes
    ----------
    grade : GradeSettings
        Rules that turn extents into grades.
    min_sacrum_vote : float
        Vote for the sacrum below which no numbering is decided.
    """

    grade: GradeSettings
    min_sacrum_vote: float


def fit_settings(
    studies: Sequence[ObservedStudy], settings: CalibrateSettings, rules: Rules
) -> FittedSettings:
    """Fit numbering, typicality, margins and confidence, in this order.

    Margins and confidence are fitted to the joints that the fitted thresholds let
    through, wrong levels among them, as these are the joints that get a grade.

    Raises
    ------
    ValueError
        If there are no joints with a grade, or fewer than 5 patients.
    """
    temperature, minimum = fit_numbering(studies, settings, rules)
    graded = [joint for study in studies for joint in study.joints if joint.extents]
    if not graded:
        raise ValueError("studies must hold graded joints, got none")
    typicality = np.array([joint.typicality for joint in graded])
    right = np.array([joint.row.right for joint in graded])
    exact = np.array([joint.row.grade == joint.row.truth_grade for joint in graded])
    choices = settings.choices
    lowest = minimum_typicality(typicality, right, exact, chance=choices.chance)
    usual = typicality[right] if right.any() else typicality
    start = FittedSettings(
        vote_temperature=temperature,
        min_numbering_probability=minimum,
        minimum_typicality=lowest,
        flagged_typicality=max(
            lowest, flagged_typicality(usual, choices.flagged_joints)
        ),
        confidence=settings.start.confidence,
        studies=len(studies),
    )
    joints = accepted_joints(studies, start, rules)
    return replace(
        start, confidence=fit_joint_confidence(joints, start.confidence, rules)
    )


def accepted_joints(
    studies: Sequence[ObservedStudy], fitted: FittedSettings, rules: Rules
) -> list[ObservedJoint]:
    """Return the joints that get a grade and have a true one."""
    decided = [is_decided(study.numbering, fitted, rules) for study in studies]
    return [
        joint
        for study, sure in zip(studies, decided, strict=True)
        for joint in study.joints
        if sure
        and joint.extents is not None
        and joint.typicality >= fitted.minimum_typicality
        and joint.row.truth_grade != UNGRADABLE
    ]


def fit_numbering(
    studies: Sequence[ObservedStudy], settings: CalibrateSettings, rules: Rules
) -> tuple[float, float]:
    """Fit the temperature, then the least probability that is decided."""
    found = [study.numbering for study in studies if study.numbering]
    temperature = fit_temperature(found, settings.start.vote_temperature)
    seen = [one for one in found if one.sacrum_vote >= rules.min_sacrum_vote]
    minimum = choose_minimum(
        best_probabilities(seen, temperature),
        np.array([one.right for one in seen], bool),
        right_share=settings.choices.right_numberings,
        lowest=settings.choices.least_numbering_probability,
    )
    return temperature, minimum


def is_decided(
    numbering: ObservedNumbering | None, fitted: FittedSettings, rules: Rules
) -> bool:
    """Tell whether a numbering counts as decided."""
    if numbering is None or numbering.sacrum_vote < rules.min_sacrum_vote:
        return False
    probability = best_probabilities([numbering], fitted.vote_temperature)[0]
    return bool(probability >= fitted.min_numbering_probability)


def fit_joint_confidence(
    joints: Sequence[ObservedJoint], start: ConfidenceSettings, rules: Rules
) -> ConfidenceSettings:
    """Fit margins, decisions and prediction set."""
    settings = with_confidence(rules, start)
    records = [
        CalibrationRecord(
            extents=joint.extents,
            true_grade=joint.row.truth_grade,
            patient=joint.row.patient,
        )
        for joint in joints
        if joint.extents
    ]
    margins = fit_margins(
        [record.extents for record in records],
        [joint.row.truth for joint in joints],
        coverage=start.coverage,
    )
    fitted = fit_confidence(records, settings)
    return fitted.model_copy(update={"margins": margins})


def with_confidence(rules: Rules, confidence: ConfidenceSettings) -> GradeSettings:
    """Return the grade settings with another confidence section."""
    return rules.grade.model_copy(update={"confidence": confidence})
