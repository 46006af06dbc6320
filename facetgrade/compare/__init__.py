"""Compare a patient at two time points: the same joint in the same planes."""

from facetgrade.compare.aligned import AlignedJoint, align_joint
from facetgrade.compare.comparison import (
    Comparison,
    compare_studies,
    compare_time_points,
)
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.settings import CompareSettings

__all__ = [
    "AlignedJoint",
    "CompareSettings",
    "Comparison",
    "TimePoint",
    "align_joint",
    "compare_studies",
    "compare_time_points",
]
