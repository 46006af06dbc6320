"""Whether a joint can be graded at all, or why not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetgrade.anatomy import (
    JOINT_BEHIND_MM,
    JOINT_BESIDE_MM,
    VERTEBRAE,
    FacetJoint,
)
from facetgrade.findings import (
    JointMasks,
    Localization,
    LocatedJoint,
    Reason,
    SegmentedJoint,
)
from facetgrade.grade.artifacts import Evidence
from facetgrade.grade.coverage import shear_deg, slices_through, stacks_at
from facetgrade.grade.metal import SignalVoid
from facetgrade.grade.perimeter import distance_in_plane_mm, joint_outline
from facetgrade.grade.settings import AcceptanceSettings, GradeSettings
from facetgrade.study import Sequence, Series, Study


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a joint cannot be graded.

    Attributes
    ----------
    reason : Reason
        The table value.
    explanation : str
        One sentence for the report.
    """

    reason: Reason
    explanation: str


def why_absent(joint: FacetJoint, localization: Localization, study: Study) -> Obstacle:
    """Say why a joint has no location: outside the images, or missed within them.

    Parameters
    ----------
    joint : FacetJoint
        A joint that the localizer did not report.
    localization : Localization
        What it did report.
    study : Study
        The images.

    Returns
    -------
    Obstacle
        ``not-in-view`` if a vertebra of the level, or the usual place of the joint
        beside it, lies beyond the images.
    """
    names = [v.name for v in localization.vertebrae if v.name in VERTEBRAE]
    if not names:
        return Obstacle(Reason.NOT_FOUND, "no vertebra was found in the images")
    order = [VERTEBRAE.index(name) for name in names]
    for vertebra in (joint.level.upper_vertebra, joint.level.lower_vertebra):
        if not min(order) <= VERTEBRAE.index(vertebra) <= max(order):
            return Obstacle(
                Reason.NOT_IN_VIEW,
                f"{vertebra} is not in the images, which show {names[0]} to "
                f"{names[-1]}",
            )
    if not _shows_usual_place(study, joint, localization):
        return Obstacle(Reason.NOT_IN_VIEW, f"the slices do not reach {joint}")
    return Obstacle(
        Reason.NOT_FOUND, f"{joint} was not found although its level is in the images"
    )


def why_not_gradable(
    segmented: SegmentedJoint,
    masks: JointMasks,
    evidence: Evidence,
    settings: GradeSettings,
) -> Obstacle | None:
    """Say why one contrast of a located joint cannot be graded.

    Parameters
    ----------
    segmented : SegmentedJoint
        The joint.
    masks : JointMasks
        One of its entries.
    evidence : Evidence
        The study, and what disturbs its images.
    settings : GradeSettings
        Limits in `settings.acceptance`.

    Returns
    -------
    Obstacle or None
        None if it can be graded.
    """
    limits = settings.acceptance
    if not masks.sequence.shows_edema:
        return why_unseen(segmented.location, evidence, limits) or Obstacle(
            Reason.NO_FAT_SUPPRESSION,
            f"only {masks.sequence} shows the joint; without fat suppression edema "
            "outside the capsule cannot be judged",
        )
    judging = _covering(evidence, segmented.location, masks.sequence)
    disturbed = (
        _why_metal(evidence.voids.get(segmented.joint), limits)
        or _why_sheared(judging, segmented.location, limits)
        or _why_moved(judging, evidence, limits)
    )
    if disturbed is not None:
        return disturbed
    if segmented.typicality < limits.minimum_typicality:
        return Obstacle(
            Reason.UNLIKE_TRAINING,
            f"the images look unlike those of training (typicality "
            f"{segmented.typicality:.2f}, at least {limits.minimum_typicality:.2f})",
        )
    return (
        _why_too_few(segmented, masks.sequence, evidence, limits)
        or _why_beyond(masks.sequence, judging, evidence)
        or _why_not_covered(masks, settings)
    )


def why_unseen(
    location: LocatedJoint, evidence: Evidence, limits: AcceptanceSettings
) -> Obstacle | None:
    """Say why a joint that could have been seen was not: motion or bad geometry.

    Parameters
    ----------
    location : LocatedJoint
        A joint that no usable series with edema shows.
    evidence : Evidence
        The study, with the series that ingest rejected.
    limits : AcceptanceSettings
        When the patient moved.

    Returns
    -------
    Obstacle or None
        None where no such series covers the joint.
    """
    showing = [
        series
        for sequence in Sequence
        if sequence.shows_edema
        for series in _covering(evidence, location, sequence)
    ]
    moved = _why_moved(showing, evidence, limits)
    if moved is not None:
        return moved
    center = location.frame.center_lps_mm
    for series in evidence.study.rejected:
        if series.bounds_lps_mm is None:
            continue
        low, high = np.asarray(series.bounds_lps_mm)
        edema = series.sequence is None or series.sequence.shows_edema
        if edema and bool(((center >= low) & (center <= high)).all()):
            return Obstacle(
                Reason.BAD_GEOMETRY,
                f"the slices of {series.description or series.uid}, which reach the "
                f"joint, could not be placed: {series.reason}",
            )
    return None


def motion_notes(
    segmented: SegmentedJoint,
    sequence: Sequence,
    evidence: Evidence,
    limits: AcceptanceSettings,
) -> tuple[str, ...]:
    """Say which series moved although another of the same contrast judges the joint.

    Parameters
    ----------
    segmented : SegmentedJoint
        A joint that is graded.
    sequence : Sequence
        Contrast of the grade.
    evidence : Evidence
        Motion of every series.
    limits : AcceptanceSettings
        When the patient moved.
    """
    judging = _covering(evidence, segmented.location, sequence)
    moved = _moved(judging, evidence, limits)
    if not moved or len(moved) == len(judging):
        return ()
    clean = [series for series in judging if series not in moved]
    return (
        f"the patient moved during {_names(moved)} "
        f"({_motion_words(moved, evidence, limits)}); {_names(clean)} is clean",
    )


def level_obstacle(
    localization: Localization, accept_assumed_levels: bool
) -> Obstacle | None:
    """Say that the numbering could not be decided, unless the user accepts it."""
    if accept_assumed_levels or not localization.level_assumed:
        return None
    return Obstacle(
        Reason.LEVEL_UNCERTAIN,
        "the numbering of the vertebrae could not be decided from what is in view "
        f"(probability {localization.numbering_probability:.2f}); give an anchor or "
        "accept the assumed levels",
    )


def _shows_usual_place(
    study: Study, joint: FacetJoint, localization: Localization
) -> bool:
    """Tell whether a series shows the place where the joint of a level usually lies."""
    level = joint.level
    pair = [
        vertebra.center_lps_mm
        for vertebra in localization.vertebrae
        if vertebra.name in (level.upper_vertebra, level.lower_vertebra)
    ]
    beside_mm = JOINT_BESIDE_MM * joint.side.sign
    place = np.mean(pair, axis=0) + np.array([beside_mm, JOINT_BEHIND_MM, 0.0])
    return any(
        bool(stack.volume.geometry.contains(place))
        for series in study.series
        for stack in series.stacks
    )


def _why_beyond(
    sequence: Sequence, judging: list[Series], evidence: Evidence
) -> Obstacle | None:
    """Check that the center of the joint lies inside one of the series that judge."""
    taken = any(series.sequence is sequence for series in evidence.study.series)
    if judging or not taken:
        return None
    return Obstacle(
        Reason.NOT_IN_VIEW, f"the center of the joint lies beyond the {sequence} slices"
    )


def _why_not_covered(masks: JointMasks, settings: GradeSettings) -> Obstacle | None:
    """Check that joint and surroundings lie inside the series."""
    limits = settings.acceptance
    perimeter = settings.measure.perimeter
    spacing_mm = masks.geometry.spacing_mm
    outline = joint_outline(masks.structures, spacing_mm, perimeter)
    if not outline.any():
        if masks.in_view.mean() < limits.minimum_joint_in_view:
            return Obstacle(Reason.NOT_IN_VIEW, "the joint lies outside the series")
        return Obstacle(Reason.NOT_FOUND, "no joint space could be outlined")
    near = distance_in_plane_mm(outline, spacing_mm) <= perimeter.reach_mm
    for region, least, words in (
        (outline, limits.minimum_joint_in_view, "joint"),
        (near, limits.minimum_surroundings_in_view, "tissue around the joint"),
    ):
        covered = float(masks.in_view[region].mean())
        if covered < least:
            return Obstacle(
                Reason.NOT_IN_VIEW,
                f"{100.0 * covered:.0f} % of the {words} lies inside the "
                f"{masks.sequence} series, at least {100.0 * least:.0f} % is needed",
            )
    return None


def _covering(
    evidence: Evidence, location: LocatedJoint, sequence: Sequence
) -> list[Series]:
    """List the series of a contrast that cover the center of a joint."""
    return [
        series
        for series in evidence.study.series
        if series.sequence is sequence and stacks_at(series, location)
    ]


def _why_metal(void: SignalVoid | None, limits: AcceptanceSettings) -> Obstacle | None:
    """Check that no void near the joint is as large as those of metal."""
    metal = limits.metal
    if void is None or void.size(metal) < 1.0:
        return None
    return Obstacle(
        Reason.METAL,
        f"a signal void {void.width_mm:.1f} mm wide and {void.area_mm2:.0f} mm2 large "
        f"lies {void.distance_mm:.0f} mm from the joint on {void.sequence}, as metal "
        f"leaves it (from {metal.minimum_width_mm:.1f} mm and "
        f"{metal.minimum_area_mm2:.0f} mm2 on)",
    )


def _why_sheared(
    judging: list[Series], location: LocatedJoint, limits: AcceptanceSettings
) -> Obstacle | None:
    """Check that slices are stacked across themselves, not along."""
    shears_deg = [
        shear_deg(stack) for series in judging for stack in stacks_at(series, location)
    ]
    if not shears_deg or min(shears_deg) <= limits.maximum_shear_deg:
        return None
    return Obstacle(
        Reason.BAD_GEOMETRY,
        f"the slices of {_names(judging)} are shifted along themselves, "
        f"{min(shears_deg):.0f} degrees off their normal, at most "
        f"{limits.maximum_shear_deg:.0f} are accepted",
    )


def _moved(
    judging: list[Series], evidence: Evidence, limits: AcceptanceSettings
) -> list[Series]:
    """List the series during which the patient moved."""
    return [
        series
        for series in judging
        if series in evidence.motion
        and evidence.motion[series].severity(limits.motion) >= 1.0
    ]


def _why_moved(
    judging: list[Series], evidence: Evidence, limits: AcceptanceSettings
) -> Obstacle | None:
    """Check that the patient lay still during one of the series that judge."""
    moved = _moved(judging, evidence, limits)
    if not moved or len(moved) < len(judging):
        return None
    return Obstacle(
        Reason.MOTION,
        f"the patient moved during {_names(moved)} "
        f"({_motion_words(moved, evidence, limits)}), and no other series of the "
        "contrast shows the joint",
    )


def _motion_words(
    moved: list[Series], evidence: Evidence, limits: AcceptanceSettings
) -> str:
    """Describe the measured motion of the worst series."""
    worst = max(
        (evidence.motion[series] for series in moved),
        key=lambda measure: measure.severity(limits.motion),
    )
    return (
        f"lines of k-space differ by steps of {worst.step:.2f} and a ripple of "
        f"{worst.ripple:.3f}, {worst.severity(limits.motion):.1f} times the limit"
    )


def _names(series: list[Series]) -> str:
    """Name series for people."""
    return ", ".join(one.description or one.uid for one in series)


def _why_too_few(
    segmented: SegmentedJoint,
    sequence: Sequence,
    evidence: Evidence,
    limits: AcceptanceSettings,
) -> Obstacle | None:
    """Count the slices of the best stack through the joint."""
    counts = [
        slices_through(stack, segmented.location, limits.joint_radius_mm)
        for series in evidence.study.series
        if series.uid in segmented.series_used and series.sequence is sequence
        for stack in series.stacks
    ]
    real, planned = max(counts, default=(limits.minimum_slices, 0))
    if real >= limits.minimum_slices:
        return None
    if planned >= limits.minimum_slices:
        return Obstacle(
            Reason.BAD_GEOMETRY,
            f"{planned - real} of {planned} {sequence} slices through the joint are "
            f"missing, at least {limits.minimum_slices} are needed",
        )
    return Obstacle(
        Reason.TOO_FEW_SLICES,
        f"{real} {sequence} slice(s) pass through the joint, at least "
        f"{limits.minimum_slices} are needed",
    )
