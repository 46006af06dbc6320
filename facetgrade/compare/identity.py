"""Whether two examinations show the same patient with the same level names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facetgrade.anatomy import Level, Side
from facetgrade.compare.changes import Obstacle
from facetgrade.compare.registration import JointView, match_views
from facetgrade.compare.settings import IdentitySettings
from facetgrade.findings import JointFrame, LocatedJoint, StudyReport
from facetgrade.study import Study

DIFFERENT_SUBJECTS = "different-subjects"
DIFFERENT_ANATOMY = "different-anatomy"
DIFFERENT_LEVELS = "different-levels"
SAME_STUDY = "same-study"

_SHIFTS = (-1, 0, 1)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TimePoint:
    """One examination of a pair.

    Attributes
    ----------
    study : Study
        The images.
    report : StudyReport
        What was found on them.
    """

    study: Study
    report: StudyReport


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AnatomyMatch:
    """How well the spines of two examinations match.

    Attributes
    ----------
    similarity : mapping of int to float
        Correlation of the aligned images when level names are taken as given (0), or
        the follow-up is shifted one level up (-1) or down (1); empty when no contrast
        or no level is shared.
    """

    similarity: Mapping[int, float]


def why_not_the_same(baseline: TimePoint, followup: TimePoint) -> Obstacle | None:
    """Compare what the headers say of two examinations.

    Returns
    -------
    Obstacle or None
        None when nothing speaks against one patient, also where nothing is known.
    """
    first, second = baseline.study, followup.study
    same = (first.content_sha256 and first.content_sha256 == second.content_sha256) or (
        first.uid == second.uid
    )
    if same:
        return Obstacle(SAME_STUDY, "Baseline and follow-up are the same examination.")
    if first.subject and second.subject and first.subject != second.subject:
        return Obstacle(
            DIFFERENT_SUBJECTS,
            f"Baseline is of {first.subject} and follow-up of {second.subject}: "
            "two patients are never compared.",
        )
    return None


def match_anatomy(
    baseline: TimePoint, followup: TimePoint, settings: IdentitySettings
) -> AnatomyMatch:
    """Register the spine around one level, as named and one level off.

    Parameters
    ----------
    baseline, followup : TimePoint
        Two examinations.
    settings : IdentitySettings
        ``[identity]`` of configs/compare.toml.
    """
    before, after = _levels(baseline.report), _levels(followup.report)
    anchors = sorted(before, key=lambda level: abs(list(Level).index(level) - 3))
    similarity: dict[int, float] = {}
    for level in anchors:
        shifted = {shift: _shifted(level, shift) for shift in _SHIFTS}
        if shifted[0] not in after:
            continue
        for shift, other in shifted.items():
            if other in after:
                found = match_views(
                    JointView(study=baseline.study, frame=before[level]),
                    JointView(study=followup.study, frame=after[other]),
                    settings.registration,
                )
                if found is not None:
                    similarity[shift] = found
        break
    return AnatomyMatch(similarity=similarity)


def why_anatomy_differs(
    match: AnatomyMatch, settings: IdentitySettings
) -> Obstacle | None:
    """Say why the images cannot be of one patient with the same level names.

    Returns
    -------
    Obstacle or None
        None when they match, or when nothing could be matched.
    """
    named = match.similarity.get(0)
    if named is None:
        return None
    shift, best = max(match.similarity.items(), key=lambda item: item[1])
    if best < settings.minimum_similarity:
        return Obstacle(
            DIFFERENT_ANATOMY,
            f"The spines do not match (correlation {best:.2f}, at least "
            f"{settings.minimum_similarity:.2f} is expected of one patient).",
        )
    if shift and best - named > settings.level_margin:
        way = "lower" if shift > 0 else "higher"
        return Obstacle(
            DIFFERENT_LEVELS,
            "The level names of baseline and follow-up do not fit each other: the "
            f"follow-up matches one level {way} (correlation {best:.2f} against "
            f"{named:.2f}). Give an anchor for the wrong one.",
        )
    return None


def _shifted(level: Level, shift: int) -> Level | None:
    number = list(Level).index(level) + shift
    return list(Level)[number] if 0 <= number < len(Level) else None


def _levels(report: StudyReport) -> dict[Level, JointFrame]:
    """Return a frame in the midline for every level with both joints."""
    sides: dict[Level, dict[Side, LocatedJoint]] = {}
    for joint in report.localization.joints:
        if joint.level is not None:
            sides.setdefault(joint.level, {})[joint.side] = joint
    return {
        level: _midline(found[Side.LEFT].frame, found[Side.RIGHT].frame)
        for level, found in sides.items()
        if len(found) == len(Side)
    }


def _midline(left: JointFrame, right: JointFrame) -> JointFrame:
    """Build a frame between the two joints of a level, lateral to the left."""
    cranial = left.cranial + right.cranial
    cranial /= np.linalg.norm(cranial)
    across = left.center_lps_mm - right.center_lps_mm
    lateral = across - cranial * (across @ cranial)
    lateral /= np.linalg.norm(lateral)
    return JointFrame(
        center_lps_mm=(left.center_lps_mm + right.center_lps_mm) / 2.0,
        cranial=cranial,
        posterior=np.cross(cranial, lateral),
        lateral=lateral,
    )
