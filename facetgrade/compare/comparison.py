"""Compare two examinations of one patient, joint by joint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facetgrade.anatomy import FacetJoint
from facetgrade.compare.changes import (
    JointChange,
    Obstacle,
    compare_joint,
    not_comparable,
    why_not_comparable,
)
from facetgrade.compare.identity import (
    AnatomyMatch,
    TimePoint,
    match_anatomy,
    why_anatomy_differs,
    why_not_the_same,
)
from facetgrade.compare.registration import JointView, Registration, register_joint
from facetgrade.compare.settings import CompareSettings
from facetgrade.config_files import read_shipped
from facetgrade.findings import Outcome, StudyReport
from facetgrade.shown_dates import day_number
from facetgrade.study import Study


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Comparison:
    """Two examinations compared.

    Attributes
    ----------
    joints : tuple of JointChange
        Every joint that was asked for at either time point, from the top, left first.
    refusal : Obstacle or None
        Why the pair as a whole is not compared; every joint then says so.
    anatomy : AnatomyMatch or None
        How well the spines match; None when the headers already refused the pair.
    notes : tuple of str
        Sentences for the report.
    """

    joints: tuple[JointChange, ...]
    refusal: Obstacle | None = None
    anatomy: AnatomyMatch | None = None
    notes: tuple[str, ...] = ()


def compare_studies(
    baseline: Study,
    baseline_report: StudyReport,
    followup: Study,
    followup_report: StudyReport,
    settings: CompareSettings | None = None,
) -> Comparison:
    """Compare two graded studies of one patient; no image is read, no file written.

    Parameters
    ----------
    baseline, followup : Study
        From `read_studies`.
    baseline_report, followup_report : StudyReport
        From `grade_study`.
    settings : CompareSettings or None
        Settings; None takes the shipped ones.

    Returns
    -------
    Comparison
        One result per joint that was asked for, with the reason where there is none.

    Raises
    ------
    ConfigError
        If the shipped settings cannot be read.
    """
    return compare_time_points(
        TimePoint(study=baseline, report=baseline_report),
        TimePoint(study=followup, report=followup_report),
        settings or read_shipped("configs/compare.toml", CompareSettings),
    )


def compare_time_points(
    baseline: TimePoint, followup: TimePoint, settings: CompareSettings
) -> Comparison:
    """Compare every joint of two examinations.

    Parameters
    ----------
    baseline, followup : TimePoint
        Images and findings of both.
    settings : CompareSettings
        ``configs/compare.toml``.
    """
    joints = _joints(baseline.report, followup.report)
    refusal = why_not_the_same(baseline, followup)
    if refusal is not None:
        return refuse(joints, refusal, baseline.report, followup.report)
    anatomy = match_anatomy(baseline, followup, settings.identity)
    refusal = why_anatomy_differs(anatomy, settings.identity)
    if refusal is not None:
        return refuse(
            joints, refusal, baseline.report, followup.report, anatomy=anatomy
        )
    return Comparison(
        joints=tuple(_compared(baseline, followup, j, settings) for j in joints),
        anatomy=anatomy,
        notes=_notes(baseline.report, followup.report, anatomy),
    )


def refuse(
    joints: Sequence[FacetJoint],
    refusal: Obstacle,
    baseline: StudyReport | None,
    followup: StudyReport | None,
    *,
    anatomy: AnatomyMatch | None = None,
) -> Comparison:
    """Give every joint of a pair the same reason.

    Parameters
    ----------
    joints : sequence of FacetJoint
        Rows to write.
    refusal : Obstacle
        Why the pair is not compared.
    baseline, followup : StudyReport or None
        What is known of each time point.
    anatomy : AnatomyMatch or None
        How well the spines match, if that was looked at.
    """
    return Comparison(
        joints=tuple(
            not_comparable(
                joint, refusal, _outcome(baseline, joint), _outcome(followup, joint)
            )
            for joint in joints
        ),
        refusal=refusal,
        anatomy=anatomy,
    )


def _joints(*reports: StudyReport) -> tuple[FacetJoint, ...]:
    """Return the joints that were asked for at either time point."""
    return tuple(sorted({o.joint for report in reports for o in report.outcomes}))


def _compared(
    baseline: TimePoint,
    followup: TimePoint,
    joint: FacetJoint,
    settings: CompareSettings,
) -> JointChange:
    """Register and compare one joint; an ungradable one is registered to be shown."""
    before = _outcome(baseline.report, joint)
    after = _outcome(followup.report, joint)
    registration = _register(baseline, followup, before, after, settings)
    obstacle = why_not_comparable(before, after)
    if obstacle is not None:
        return not_comparable(joint, obstacle, before, after, registration)
    detectable = settings.smallest_detectable_change
    return compare_joint(before, after, registration, detectable, joint)


def _register(
    baseline: TimePoint,
    followup: TimePoint,
    before: Outcome | None,
    after: Outcome | None,
    settings: CompareSettings,
) -> Registration | None:
    """Register one joint where both time points have located it."""
    if before is None or after is None:
        return None
    if before.location is None or after.location is None:
        return None
    return register_joint(
        JointView(
            study=baseline.study, frame=before.location.frame, masks=before.masks
        ),
        JointView(study=followup.study, frame=after.location.frame, masks=after.masks),
        settings.registration,
    )


def _outcome(report: StudyReport | None, joint: FacetJoint) -> Outcome | None:
    outcomes = report.outcomes if report else ()
    return next((outcome for outcome in outcomes if outcome.joint == joint), None)


def _notes(
    baseline: StudyReport, followup: StudyReport, anatomy: AnatomyMatch
) -> tuple[str, ...]:
    """Collect what a reader should know of the pair."""
    notes = []
    first, second = day_number(baseline.date), day_number(followup.date)
    if first is not None and second is not None and second < first:
        notes.append(
            f"The follow-up ({followup.date}) is dated before the baseline "
            f"({baseline.date}): check which is which."
        )
    if not (baseline.subject and followup.subject):
        notes.append(
            "At least one examination names no patient: only the anatomy tells that "
            "both are of one."
        )
    if not anatomy.similarity:
        notes.append(
            "No contrast shows the same level at both time points: it was not checked "
            "that both are of one patient."
        )
    return tuple(notes)
