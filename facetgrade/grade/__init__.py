"""Masks to extents to grade: one outcome for every requested joint."""

from facetgrade.grade.joints import grade_joints

__all__ = ["grade_joints"]
