"""Fit every tuned setting of the pipeline to observed studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.numbering import (
    best_probabilities,
    choose_minimum,
    choose_sacrum_vote,
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
from facetgrade.grade.correction import correct_extents, fit_correction
from facetgrade.grade.margins import fit_margins
from facetgrade.grade.settings import ConfidenceSettings, GradeSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberingSettings:
    """Names of the keys are those of the section ``[localize]``.

    Attributes
    ----------
    vote_temperature : float
        Of the votes for a numbering.
    min_numbering_probability, min_sacrum_vote : float
        Below either the numbering is not decided.
    """

    vote_temperature: float
    min_numbering_probability: float
    min_sacrum_vote: float

    def decides(self, one: ObservedNumbering) -> bool:
        """Tell whether a numbering counts as decided."""
        probability = best_probabilities([one], self.vote_temperature)[0]
        return bool(
            one.sacrum_vote >= self.min_sacrum_vote
            and probability >= self.min_numbering_probability
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedSettings:
    """What calibration puts into the settings of the pipeline.

    Attributes
    ----------
    numbering : NumberingSettings
        Of ``[localize]``.
    minimum_typicality, flagged_typicality : float
        Of ``[acceptance]``.
    confidence : ConfidenceSettings
        The whole of ``[confidence]``.
    studies : int
        How many it was fitted to.
    """

    numbering: NumberingSettings
    minimum_typicality: float
    flagged_typicality: float
    confidence: ConfidenceSettings
    studies: int


def fit_settings(
    studies: Sequence[ObservedStudy], settings: CalibrateSettings, rules: GradeSettings
) -> FittedSettings:
    """Fit numbering, typicality, correction, margins and confidence, in this order.

    The last three are fitted to the joints that the fitted thresholds let
    through, wrong levels among them, as these are the joints that get a grade.

    Raises
    ------
    ValueError
        If there are no joints with a grade, or fewer than 5 patients.
    """
    graded = [joint for study in studies for joint in study.joints if joint.extents]
    if not graded:
        raise ValueError("studies must hold graded joints, got none")
    typicality = np.array([joint.typicality for joint in graded])
    right = np.array([joint.row.right for joint in graded])
    exact = np.array([joint.row.grade == joint.row.truth_grade for joint in graded])
    choices = settings.choices
    lowest = minimum_typicality(
        typicality,
        exact,
        chance=choices.chance,
        lowest=settings.start.minimum_typicality,
    )
    usual = typicality[right] if right.any() else typicality
    start = FittedSettings(
        numbering=fit_numbering(studies, settings),
        minimum_typicality=lowest,
        flagged_typicality=max(
            lowest, flagged_typicality(usual, choices.flagged_joints)
        ),
        confidence=settings.start.confidence,
        studies=len(studies),
    )
    joints = accepted_joints(studies, start)
    return replace(
        start, confidence=fit_joint_confidence(joints, start.confidence, rules)
    )


def accepted_joints(
    studies: Sequence[ObservedStudy], fitted: FittedSettings
) -> list[ObservedJoint]:
    """Return the joints that get a grade and have a true one."""
    return [
        joint
        for study in studies
        for joint in study.joints
        if study.numbering
        and fitted.numbering.decides(study.numbering)
        and joint.extents is not None
        and joint.typicality >= fitted.minimum_typicality
        and joint.row.truth_grade != UNGRADABLE
    ]


def fit_numbering(
    studies: Sequence[ObservedStudy], settings: CalibrateSettings
) -> NumberingSettings:
    """Fit the temperature, the vote for the sacrum, then the least probability.

    None falls below its start: simulated junctions are easier to number than real ones,
    so that they can show that a numbering is less sure, never that it is surer.
    """
    choices, start = settings.choices, settings.start
    found = [study.numbering for study in studies if study.numbering]
    fitted = fit_temperature(found, start.vote_temperature)
    temperature = max(fitted, start.vote_temperature)
    sacrum_vote = choose_sacrum_vote(
        np.array([one.sacrum_vote for one in found], np.float64),
        np.array([study.cut.sacrum_vote for study in studies if study.cut], np.float64),
        claimed=choices.claimed_without_sacrum,
    )
    sacrum_vote = min(sacrum_vote, choices.largest_sacrum_vote)
    sacrum_vote = max(sacrum_vote, start.min_sacrum_vote)
    seen = [one for one in found if one.sacrum_vote >= sacrum_vote]
    minimum = choose_minimum(
        best_probabilities(seen, temperature),
        np.array([one.right for one in seen], bool),
        right_share=choices.right_numberings,
        lowest=choices.least_numbering_probability,
    )
    return NumberingSettings(
        vote_temperature=temperature,
        min_numbering_probability=max(minimum, start.min_numbering_probability),
        min_sacrum_vote=sacrum_vote,
    )


def fit_joint_confidence(
    joints: Sequence[ObservedJoint], start: ConfidenceSettings, rules: GradeSettings
) -> ConfidenceSettings:
    """Fit the correction, to what it gives margins, decisions and prediction set."""
    settings = with_confidence(rules, start)
    measured = [(joint.extents, joint.row) for joint in joints if joint.extents]
    truth = [row.truth for _, row in measured]
    correction = fit_correction([e for e, _ in measured], truth, start.correction)
    corrected = [correct_extents(extents, correction) for extents, _ in measured]
    records = [
        CalibrationRecord(
            extents=extents, true_grade=row.truth_grade, patient=row.patient
        )
        for extents, (_, row) in zip(corrected, measured, strict=True)
    ]
    margins = fit_margins(corrected, truth, coverage=start.coverage)
    fitted = fit_confidence(records, settings)
    return fitted.model_copy(update={"correction": correction, "margins": margins})


def with_confidence(
    rules: GradeSettings, confidence: ConfidenceSettings
) -> GradeSettings:
    """Return the grade settings with another confidence section."""
    return rules.model_copy(update={"confidence": confidence})
