"""Anatomy of the simulated patient."""

from facetgrade.simulate.anatomy.build import SOURCES, build_scene
from facetgrade.simulate.anatomy.settings import AnatomySettings

__all__ = ["SOURCES", "AnatomySettings", "build_scene"]
