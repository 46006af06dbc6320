"""Outline structures and lesions of every located joint."""

from facetgrade.segment.joints import refine_locations, segment_joints
from facetgrade.segment.settings import SegmentSettings

__all__ = ["SegmentSettings", "refine_locations", "segment_joints"]
