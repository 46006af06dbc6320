"""Find and name vertebrae and facet joints of a study."""

from facetgrade.localize.locate import locate_joints
from facetgrade.localize.settings import LocalizeSettings

__all__ = ["LocalizeSettings", "locate_joints"]
