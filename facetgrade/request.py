"""What the user asks of each study, apart from the networks that answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facetgrade.anatomy import FacetJoint, Level, Side


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asks of each study.

    Attributes
    ----------
    levels : tuple of Level
        Levels to grade, both sides of each.
    anchors : mapping of str to tuple of float
        Vertebra name to an LPS point in mm inside its body.
    accept_assumed_levels : bool
        Grade although the numbering could not be decided.
    """

    levels: tuple[Level, ...] = (Level.L3_L4, Level.L4_L5)
    anchors: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    accept_assumed_levels: bool = False

    @property
    def joints(self) -> tuple[FacetJoint, ...]:
        """Requested joints from the top, left first."""
        pairs = {FacetJoint(level, side) for level in self.levels for side in Side}
        return tuple(sorted(pairs))
