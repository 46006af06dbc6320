"""Facet synovitis of known grade, and what looks like it."""

from facetgrade.simulate.pathology.grades import (
    draw_followup_grades,
    draw_grades,
    draw_trial_case,
)
from facetgrade.simulate.pathology.lookalikes import add_lookalikes
from facetgrade.simulate.pathology.painting import add_pathology
from facetgrade.simulate.pathology.settings import (
    ExtensionSettings,
    LookalikeSettings,
    PathologySettings,
)

__all__ = [
    "ExtensionSettings",
    "LookalikeSettings",
    "PathologySettings",
    "add_lookalikes",
    "add_pathology",
    "draw_followup_grades",
    "draw_grades",
    "draw_trial_case",
]
