"""What changed at one joint, and whether it is more than measurement error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from facetgrade.anatomy import FacetJoint
from facetgrade.compare.registration import Registration
from facetgrade.compare.settings import SmallestDetectableChange
from facetgrade.findings import Extents, Graded, Outcome, SequenceGrade
from facetgrade.grade.confidence import mean_grade
from facetgrade.study import Sequence


class Change(StrEnum):
    """Course of one joint, as written in tables."""

    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    WORSE = "worse"
    WITHIN_ERROR = "within-error"
    NOT_COMPARABLE = "not-comparable"


class Extent(StrEnum):
    """Measured extents that are followed over time."""

    EFFUSION_MM3 = "effusion_mm3"
    EFFUSION_WIDTH_MM = "effusion_width_mm"
    SOFT_TISSUE_EDEMA_MM3 = "soft_tissue_edema_mm3"
    MARROW_EDEMA_MM3 = "marrow_edema_mm3"
    ARTICULAR_MARROW_EDEMA_MM3 = "articular_marrow_edema_mm3"
    EDEMA_MM3 = "edema_mm3"
    PERIMETER_FRACTION = "perimeter_fraction"
    EXTENSION_MM3 = "extension_mm3"


# Extents that the rules look at when a grade rises to 1, 2, 3 or 4.
_DECIDES = {
    1: (Extent.EFFUSION_MM3, Extent.EFFUSION_WIDTH_MM),
    2: (Extent.SOFT_TISSUE_EDEMA_MM3, Extent.ARTICULAR_MARROW_EDEMA_MM3),
    3: (Extent.PERIMETER_FRACTION,),
    4: (Extent.EXTENSION_MM3,),
}

WITHIN_ERROR = "below-smallest-detectable-change"
NO_COMMON_CONTRAST = "no-common-contrast"
REGISTRATION_FAILED = "registration-failed"
NOT_SHOWN_TWICE = "no-common-images"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why something cannot be compared: the table value and a sentence."""

    reason: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One extent at both time points.

    Attributes
    ----------
    before, after : float
        Measured values.
    detectable : float
        Smallest change that is more than measurement error, with 95 % confidence.
    """

    before: float
    after: float
    detectable: float

    @property
    def change(self) -> float:
        """Follow-up minus baseline."""
        return self.after - self.before

    @property
    def is_real(self) -> bool:
        """Whether the change is larger than the measurement error."""
        return abs(self.change) > self.detectable


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointChange:
    """One joint at two time points.

    Attributes
    ----------
    joint : FacetJoint
        Which joint.
    change : Change
        Its course.
    reason, explanation : str
        Why it is not comparable or within error; empty otherwise.
    baseline, followup : Outcome or None
        What was found; None when a time point has no such joint.
    grade_baseline, grade_followup : int or None
        Grade on the contrasts that both time points have; None without.
    graded_baseline, graded_followup : SequenceGrade or None
        Measurements on the compared contrast.
    differences : mapping of Extent to Difference
        Empty when not comparable.
    registration : Registration or None
        How the joint was registered, if it was.
    """

    joint: FacetJoint
    change: Change
    reason: str = ""
    explanation: str = ""
    baseline: Outcome | None = None
    followup: Outcome | None = None
    grade_baseline: int | None = None
    grade_followup: int | None = None
    graded_baseline: SequenceGrade | None = None
    graded_followup: SequenceGrade | None = None
    differences: Mapping[Extent, Difference] = field(default_factory=dict)
    registration: Registration | None = None

    @property
    def contrast(self) -> Sequence | None:
        """Contrast on which the extents are compared."""
        return self.graded_baseline.sequence if self.graded_baseline else None

    @property
    def mean_grade_change(self) -> float | None:
        """Change of the mean grade by the probabilities; None if not comparable.

        It follows the measurements also where they stay within one grade, and its sign
        is right more often than that of the grades (models/benchmark/benchmark.html).
        """
        first, second = self.baseline, self.followup
        if not (isinstance(first, Graded) and isinstance(second, Graded)):
            return None
        if not self.comparable:
            return None
        return mean_grade(second.probabilities) - mean_grade(first.probabilities)

    @property
    def comparable(self) -> bool:
        """Whether a course could be told."""
        return self.change is not Change.NOT_COMPARABLE


def why_not_comparable(
    baseline: Outcome | None, followup: Outcome | None
) -> Obstacle | None:
    """Say why a joint cannot be compared before looking at any image.

    Parameters
    ----------
    baseline, followup : Outcome or None
        What was found at both time points.

    Returns
    -------
    Obstacle or None
        Reasons of both time points, each named ``baseline-...`` or ``followup-...``.
    """
    found = [
        _ungraded(name, outcome)
        for name, outcome in (("baseline", baseline), ("followup", followup))
    ]
    problems = [problem for problem in found if problem is not None]
    if problems:
        return Obstacle(
            ";".join(problem.reason for problem in problems),
            " ".join(problem.explanation for problem in problems),
        )
    if isinstance(baseline, Graded) and isinstance(followup, Graded):
        return None if _common(baseline, followup) else _no_common(baseline, followup)
    return None


def compare_joint(
    baseline: Outcome | None,
    followup: Outcome | None,
    registration: Registration | None,
    detectable: SmallestDetectableChange,
    joint: FacetJoint,
) -> JointChange:
    """Compare one joint at two time points.

    Parameters
    ----------
    baseline, followup : Outcome or None
        What was found at both time points.
    registration : Registration or None
        From `register_joint`; None when no contrast shows the joint twice.
    detectable : SmallestDetectableChange
        Measurement error of every extent.
    joint : FacetJoint
        Which joint.

    Returns
    -------
    JointChange
        Grades and extents on the contrasts that both time points have. A lower grade
        is improved, a higher one worse; within error when no extent that decides
        between the two grades changed by more than its smallest detectable change.
    """
    obstacle = why_not_comparable(baseline, followup) or _unregistered(registration)
    if (
        obstacle is not None
        or not isinstance(baseline, Graded)
        or not isinstance(followup, Graded)
    ):
        return not_comparable(
            joint, obstacle or Obstacle("", ""), baseline, followup, registration
        )
    first, second = _compared(baseline, followup)
    grades = _grades(baseline, followup)
    differences = _differences(first.extents, second.extents, detectable)
    change, explanation = _course(*grades, differences)
    return JointChange(
        joint=joint,
        change=change,
        reason=WITHIN_ERROR if change is Change.WITHIN_ERROR else "",
        explanation=explanation,
        baseline=baseline,
        followup=followup,
        grade_baseline=grades[0],
        grade_followup=grades[1],
        graded_baseline=first,
        graded_followup=second,
        differences=differences,
        registration=registration,
    )


def not_comparable(
    joint: FacetJoint,
    obstacle: Obstacle,
    baseline: Outcome | None,
    followup: Outcome | None,
    registration: Registration | None = None,
) -> JointChange:
    """Keep what is known of a joint that cannot be compared."""
    return JointChange(
        joint=joint,
        change=Change.NOT_COMPARABLE,
        reason=obstacle.reason,
        explanation=obstacle.explanation,
        baseline=baseline,
        followup=followup,
        grade_baseline=_grade(baseline),
        grade_followup=_grade(followup),
        graded_baseline=baseline.best if isinstance(baseline, Graded) else None,
        graded_followup=followup.best if isinstance(followup, Graded) else None,
        registration=registration,
    )


def deciding_extents(first: int, second: int) -> tuple[Extent, ...]:
    """Return the extents that the rules look at between two grades.

    From no edema (grade 0 or 1) to edema it is the edema, whatever the effusion; from
    there on also perimeter and extension, as far as the higher grade needs them.
    """
    low, high = sorted((first, second))
    if low == high:
        return ()
    steps = range(max(low, 1) + 1, high + 1) if high > 1 else (1,)
    return tuple(extent for step in steps for extent in _DECIDES[step])


def _course(
    first: int, second: int, differences: Mapping[Extent, Difference]
) -> tuple[Change, str]:
    """Tell the course, and say why it may be measurement error."""
    deciding = deciding_extents(first, second)
    if not deciding:
        return Change.UNCHANGED, ""
    if any(differences[extent].is_real for extent in deciding):
        return (Change.IMPROVED if second < first else Change.WORSE), ""
    named = ", ".join(extent.value for extent in deciding)
    return Change.WITHIN_ERROR, (
        f"The grade went from {first} to {second}, but no extent that decides between "
        f"them ({named}) changed by more than its smallest detectable change."
    )


def _ungraded(name: str, outcome: Outcome | None) -> Obstacle | None:
    """Say why one time point has no grade."""
    if isinstance(outcome, Graded):
        return None
    if outcome is None:
        return Obstacle(f"{name}-not-requested", f"No {name} grade was asked for.")
    words = {"baseline": "Baseline", "followup": "Follow-up"}[name]
    return Obstacle(
        f"{name}-{outcome.reason.value}", f"{words}: {outcome.explanation.rstrip('.')}."
    )


def _unregistered(registration: Registration | None) -> Obstacle | None:
    """Say why the images do not lie upon each other."""
    if registration is None:
        return Obstacle(
            NOT_SHOWN_TWICE, "No contrast shows the joint at both time points."
        )
    if registration.problem:
        return Obstacle(
            REGISTRATION_FAILED, f"Registration failed: {registration.problem}."
        )
    return None


def _no_common(baseline: Graded, followup: Graded) -> Obstacle:
    """Name the contrasts that differ."""
    names = [
        ", ".join(one.sequence.value for one in outcome.per_sequence)
        for outcome in (baseline, followup)
    ]
    return Obstacle(
        NO_COMMON_CONTRAST,
        f"Baseline was graded on {names[0]} and follow-up on {names[1]}: "
        "extents on different contrasts do not compare.",
    )


def _common(baseline: Graded, followup: Graded) -> list[Sequence]:
    """Return the contrasts on which both time points were graded."""
    after = {one.sequence for one in followup.per_sequence}
    return [one.sequence for one in baseline.per_sequence if one.sequence in after]


def _compared(
    baseline: Graded, followup: Graded
) -> tuple[SequenceGrade, SequenceGrade]:
    """Choose the common contrast with the highest grade at either time point."""
    before = {one.sequence: one for one in baseline.per_sequence}
    after = {one.sequence: one for one in followup.per_sequence}

    def height(contrast: Sequence) -> tuple[int, float]:
        pair = before[contrast], after[contrast]
        return (
            max(one.grade for one in pair),
            max(one.extents.perimeter_fraction.value for one in pair),
        )

    chosen = max(_common(baseline, followup), key=height)
    return before[chosen], after[chosen]


def _grades(baseline: Graded, followup: Graded) -> tuple[int, int]:
    """Return the highest grades over the contrasts in common."""
    common = _common(baseline, followup)
    first, second = (
        max(one.grade for one in outcome.per_sequence if one.sequence in common)
        for outcome in (baseline, followup)
    )
    return first, second


def _grade(outcome: Outcome | None) -> int | None:
    return outcome.best.grade if isinstance(outcome, Graded) else None


def _differences(
    before: Extents, after: Extents, detectable: SmallestDetectableChange
) -> dict[Extent, Difference]:
    """Subtract every extent."""
    first, second = followed_extents(before), followed_extents(after)
    limits = detectable.limits
    return {
        extent: Difference(first[extent], second[extent], limits[extent.value])
        for extent in Extent
    }


def followed_extents(extents: Extents) -> dict[Extent, float]:
    """Read the followed extents; of the extension the largest site."""
    return {
        Extent.EFFUSION_MM3: extents.effusion_mm3.value,
        Extent.EFFUSION_WIDTH_MM: extents.effusion_width_mm.value,
        Extent.SOFT_TISSUE_EDEMA_MM3: extents.soft_tissue_edema_mm3.value,
        Extent.MARROW_EDEMA_MM3: extents.marrow_edema_mm3.value,
        Extent.ARTICULAR_MARROW_EDEMA_MM3: extents.articular_marrow_edema_mm3,
        Extent.EDEMA_MM3: extents.edema_mm3,
        Extent.PERIMETER_FRACTION: extents.perimeter_fraction.value,
        Extent.EXTENSION_MM3: max(extents.extension_mm3.values(), default=0.0),
    }
