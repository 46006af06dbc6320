"""Whether a joint can be graded at all, and what a reader should know about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetgrade.anatomy import VERTEBRAE, FacetJoint
from facetgrade.findings import (
    Flag,
    JointMasks,
    Localization,
    LocatedJoint,
    Reason,
    SegmentedJoint,
)
from facetgrade.grade.perimeter import distance_in_plane_mm, joint_outline
from facetgrade.grade.settings import AcceptanceSettings, GradeSettings
from facetgrade.study import Sequence, Stack, Study


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


def why_absent(joint: FacetJoint, localization: Localization) -> Obstacle:
    """Say why a joint has no location: outside the images, or missed within them.

    Parameters
    ----------
    joint : FacetJoint
        A joint that the localizer did not report.
    localization : Localization
        What it did report.

    Returns
    -------
    Obstacle
        ``not-in-view`` if a vertebra of the level lies beyond those in the images.
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
    return Obstacle(
        Reason.NOT_FOUND, f"{joint} was not found although its level is in the images"
    )


def why_not_gradable(
    segmented: SegmentedJoint,
    masks: JointMasks,
    study: Study,
    settings: GradeSettings,
) -> Obstacle | None:
    """Say why one contrast of a located joint cannot be graded.

    Parameters
    ----------
    segmented : SegmentedJoint
        The joint.
    masks : JointMasks
        One of its entries.
    study : Study
        Whose slices are counted.
    settings : GradeSettings
        Limits in `settings.acceptance`.

    Returns
    -------
    Obstacle or None
        None if it can be graded.
    """
    limits = settings.acceptance
    if not masks.sequence.shows_edema:
        return Obstacle(
            Reason.NO_FAT_SUPPRESSION,
            f"only {masks.sequence} shows the joint; without fat suppression edema "
            "outside the capsule cannot be judged",
        )
    if segmented.typicality < limits.minimum_typicality:
        return Obstacle(
            Reason.UNLIKE_TRAINING,
            f"the images look unlike those of training (typicality "
            f"{segmented.typicality:.2f}, at least {limits.minimum_typicality:.2f})",
        )
    slices = _slices_of_joint(segmented, masks.sequence, study, limits)
    if slices is not None and slices < limits.minimum_slices:
        return Obstacle(
            Reason.TOO_FEW_SLICES,
            f"{slices} {masks.sequence} slice(s) pass through the joint, at least "
            f"{limits.minimum_slices} are needed",
        )
    return _why_not_covered(masks, settings)


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


def acquisition_flags(
    location: LocatedJoint | None,
    segmented: SegmentedJoint | None,
    localization: Localization,
    limits: AcceptanceSettings,
) -> tuple[Flag, ...]:
    """Return the flags that do not depend on the grade, in table order.

    Parameters
    ----------
    location : LocatedJoint or None
        Where the joint is.
    segmented : SegmentedJoint or None
        Its segmentation.
    localization : Localization
        Says whether the levels are assumed.
    limits : AcceptanceSettings
        Probability and typicality below which a joint is flagged.

    Returns
    -------
    tuple of Flag
        Of level-assumed, level-uncertain, sagittal-only, unlike-training and
        missing-slices those that apply.
    """
    unsure = (
        location is not None
        and location.level_probability < limits.sure_level_probability
    )
    raised = {
        Flag.LEVEL_ASSUMED: localization.level_assumed,
        Flag.LEVEL_UNCERTAIN: unsure,
    }
    if segmented is not None and segmented.masks:
        raised |= {
            Flag.SAGITTAL_ONLY: segmented.sagittal_only,
            Flag.UNLIKE_TRAINING: segmented.typicality < limits.flagged_typicality,
            Flag.MISSING_SLICES: segmented.missing_slices,
        }
    return tuple(flag for flag in Flag if raised.get(flag, False))


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


def _slices_of_joint(
    segmented: SegmentedJoint,
    sequence: Sequence,
    study: Study,
    limits: AcceptanceSettings,
) -> int | None:
    """Count the slices of the best stack through the joint, None if none is named."""
    stacks = [
        stack
        for series in study.series
        if series.uid in segmented.series_used and series.sequence is sequence
        for stack in series.stacks
    ]
    if not stacks:
        return None
    return max(_slices_through(stack, segmented.location, limits) for stack in stacks)


def _slices_through(
    stack: Stack, location: LocatedJoint, limits: AcceptanceSettings
) -> int:
    """Count the real slices of a stack that pass near the center of a joint."""
    geometry = stack.volume.geometry
    index = geometry.to_index(location.frame.center_lps_mm)
    in_plane = (index[1:] >= -0.5) & (index[1:] <= np.asarray(geometry.shape[1:]) - 0.5)
    if not in_plane.all():
        return 0
    slices = np.setdiff1d(np.arange(geometry.shape[0]), stack.missing_slices)
    distance_mm = np.abs(slices - index[0]) * geometry.spacing_mm[0]
    return int((distance_mm <= limits.joint_radius_mm).sum())
