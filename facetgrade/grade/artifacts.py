"""What disturbs the images of a study: voids of metal near joints, moved series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from facetgrade.anatomy import FacetJoint
from facetgrade.findings import SegmentedJoint
from facetgrade.grade.metal import SignalVoid, largest_voids
from facetgrade.grade.motion import MotionMeasure, measure_motion
from facetgrade.grade.settings import AcceptanceSettings
from facetgrade.study import Series, Study


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Evidence:
    """A study and what was measured on its images beside the joints.

    Attributes
    ----------
    study : Study
        The images.
    voids : mapping of FacetJoint to SignalVoid or None
        Largest void near each joint.
    motion : mapping of Series to MotionMeasure
        Of every series that shows edema.
    """

    study: Study
    voids: Mapping[FacetJoint, SignalVoid | None]
    motion: Mapping[Series, MotionMeasure]


def gather_evidence(
    study: Study,
    segmented: Mapping[FacetJoint, SegmentedJoint],
    settings: AcceptanceSettings,
) -> Evidence:
    """Measure metal near the segmented joints and motion in series that show edema.

    Parameters
    ----------
    study : Study
        The images.
    segmented : mapping of FacetJoint to SegmentedJoint
        Joints whose surroundings are searched.
    settings : AcceptanceSettings
        Sections `metal` and `motion`.
    """
    centers = [found.location.frame.center_lps_mm for found in segmented.values()]
    voids = largest_voids(study, centers, settings.metal)
    return Evidence(
        study=study,
        voids=dict(zip(segmented, voids, strict=True)),
        motion={
            series: measure_motion(series, settings.motion)
            for series in study.series
            if series.sequence.shows_edema and segmented
        },
    )
