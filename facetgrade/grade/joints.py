"""One outcome for every requested joint: a grade, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from facetgrade.anatomy import FacetJoint
from facetgrade.findings import (
    Extents,
    Flag,
    Graded,
    JointMasks,
    Localization,
    LocatedJoint,
    Outcome,
    Reason,
    SegmentedJoint,
    SequenceGrade,
    Ungradable,
)
from facetgrade.grade.acceptance import (
    Obstacle,
    level_obstacle,
    motion_notes,
    why_absent,
    why_not_gradable,
    why_unseen,
)
from facetgrade.grade.artifacts import Evidence, gather_evidence
from facetgrade.grade.confidence import grade_probabilities, grade_set
from facetgrade.grade.correction import (
    correct_extents,
    grade_contrast,
    measure_segmented,
)
from facetgrade.grade.flags import acquisition_flags
from facetgrade.grade.margins import widen_intervals
from facetgrade.grade.settings import GradeSettings
from facetgrade.study import Study


def grade_joints(
    study: Study,
    localization: Localization,
    segmented: Mapping[FacetJoint, SegmentedJoint],
    settings: GradeSettings,
    joints: Sequence[FacetJoint],
    *,
    accept_assumed_levels: bool,
) -> tuple[Outcome, ...]:
    """Grade the requested joints of one study.

    Metal, motion and slices that cannot be placed are looked for first. Every contrast
    that shows edema is graded by itself; the highest grade is reported, at equal grades
    the one with the larger perimeter fraction.

    Parameters
    ----------
    study : Study
        Whose images are checked.
    localization : Localization
        Located vertebrae and joints.
    segmented : mapping of FacetJoint to SegmentedJoint
        Masks of the joints.
    settings : GradeSettings
        ``configs/grade.toml``.
    joints : sequence of FacetJoint
        What was asked for.
    accept_assumed_levels : bool
        Grade although the numbering could not be decided.

    Returns
    -------
    tuple of Graded or Ungradable
        One per requested joint, from the top, left first.
    """
    obstacle = level_obstacle(localization, accept_assumed_levels)
    evidence = gather_evidence(study, segmented, settings.acceptance)
    return tuple(
        _grade_joint(
            joint, segmented.get(joint), evidence, localization, settings, obstacle
        )
        for joint in sorted(set(joints))
    )


def _grade_joint(
    joint: FacetJoint,
    segmented: SegmentedJoint | None,
    evidence: Evidence,
    localization: Localization,
    settings: GradeSettings,
    numbering: Obstacle | None,
) -> Outcome:
    """Grade one joint on the contrasts that allow it."""
    location = segmented.location if segmented else _located(joint, localization)
    flags = acquisition_flags(location, segmented, localization, settings.acceptance)
    if segmented is None or not segmented.masks:
        absent = why_absent(joint, localization, evidence.study)
        if location is not None:
            absent = why_unseen(location, evidence, settings.acceptance) or Obstacle(
                Reason.NOT_IN_VIEW, f"no series covers {joint}"
            )
        return Ungradable(
            joint=joint,
            reason=absent.reason,
            explanation=absent.explanation,
            location=location,
            flags=flags,
            series_used=segmented.series_used if segmented else (),
            typicality=segmented.typicality if segmented else 0.0,
        )
    obstacles = [
        why_not_gradable(segmented, m, evidence, settings) for m in segmented.masks
    ]
    gradable = [
        masks
        for masks, obstacle in zip(segmented.masks, obstacles, strict=True)
        if obstacle is None
    ]
    hindrance = numbering if gradable else obstacles[0]
    if hindrance is not None:
        shown = gradable[0] if gradable else segmented.masks[0]
        return _ungradable(segmented, shown, hindrance, flags, settings)
    return _graded(segmented, gradable, flags, evidence, settings)


def _located(joint: FacetJoint, localization: Localization) -> LocatedJoint | None:
    """Find the best location that bears the name of the joint."""
    named = [
        located
        for located in localization.joints
        if located.level is joint.level and located.side is joint.side
    ]
    return max(named, key=lambda located: located.score, default=None)


def _ungradable(
    segmented: SegmentedJoint,
    masks: JointMasks,
    obstacle: Obstacle,
    flags: tuple[Flag, ...],
    settings: GradeSettings,
) -> Ungradable:
    """Keep what could be measured of a joint that gets no grade."""
    outlined = obstacle.reason is not Reason.NOT_FOUND
    extents = _reported(masks, settings) if outlined else None
    cyst = extents is not None and _has_cyst(extents.cyst_mm3, settings)
    return Ungradable(
        joint=segmented.joint,
        reason=obstacle.reason,
        explanation=obstacle.explanation,
        location=segmented.location,
        masks=masks,
        extents=extents,
        flags=_in_order({*flags, Flag.CYST} if cyst else set(flags)),
        series_used=segmented.series_used,
        typicality=segmented.typicality,
    )


def _graded(
    segmented: SegmentedJoint,
    gradable: Sequence[JointMasks],
    flags: tuple[Flag, ...],
    evidence: Evidence,
    settings: GradeSettings,
) -> Graded:
    """Grade every contrast and report the highest."""
    pairs = [
        (masks, _sequence_grade(segmented, masks, evidence, settings))
        for masks in gradable
    ]
    masks, best = max(
        pairs,
        key=lambda pair: (pair[1].grade, pair[1].extents.perimeter_fraction.value),
    )
    probabilities = grade_probabilities(best.extents, settings)
    raised = set(flags)
    if probabilities[best.grade] < max(probabilities):
        raised.add(Flag.RULE_VS_PROBABILITY)
    if any(_has_cyst(grade.extents.cyst_mm3, settings) for _, grade in pairs):
        raised.add(Flag.CYST)
    reported = {id(grade): _with_margins(grade, settings) for _, grade in pairs}
    return Graded(
        joint=segmented.joint,
        location=segmented.location,
        masks=masks,
        best=reported[id(best)],
        per_sequence=tuple(reported.values()),
        probabilities=probabilities,
        grade_set=grade_set(probabilities, settings.confidence.set_probability),
        flags=_in_order(raised),
        series_used=segmented.series_used,
        typicality=segmented.typicality,
    )


def _sequence_grade(
    segmented: SegmentedJoint,
    masks: JointMasks,
    evidence: Evidence,
    settings: GradeSettings,
) -> SequenceGrade:
    """Measure and grade one contrast, and say which of its series moved."""
    grade = grade_contrast(masks, settings)
    limits = settings.acceptance
    notes = motion_notes(segmented, masks.sequence, evidence, limits)
    return replace(grade, trace=(*grade.trace, *notes))


def _reported(masks: JointMasks, settings: GradeSettings) -> Extents:
    """Measure one contrast, corrected, with intervals that reach their coverage."""
    confidence = settings.confidence
    outlined = measure_segmented(masks, settings)
    extents = correct_extents(outlined, confidence.correction)
    return widen_intervals(extents, confidence.margins)


def _with_margins(grade: SequenceGrade, settings: GradeSettings) -> SequenceGrade:
    """Widen the intervals of a grade: probabilities are fitted to the narrow ones."""
    extents = widen_intervals(grade.extents, settings.confidence.margins)
    return replace(grade, extents=extents)


def _has_cyst(cyst_mm3: float, settings: GradeSettings) -> bool:
    """Tell whether a cyst is large enough to be named."""
    return cyst_mm3 >= settings.rules.minimum_cyst_mm3


def _in_order(flags: set[Flag]) -> tuple[Flag, ...]:
    """Sort flags as tables list them."""
    return tuple(flag for flag in Flag if flag in flags)
