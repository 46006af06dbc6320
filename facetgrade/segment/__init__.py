"""Outline structures and lesions of every located joint."""

from facetgrade.segment.joints import segment_joints
from facetgrade.segment.settings import SegmentSettings

__all__ = ["SegmentSettings", "segment_joints"]
