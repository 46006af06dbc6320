"""What a reader should know about a joint, graded or not."""

from __future__ import annotations

from facetgrade.findings import Flag, Localization, LocatedJoint, SegmentedJoint
from facetgrade.grade.settings import AcceptanceSettings


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
