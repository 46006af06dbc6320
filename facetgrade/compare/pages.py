"""Templates of the comparison's pages, with the style and drawings of the reports."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from facetgrade.compare.changes import Change, Extent
from facetgrade.report.html import percent
from facetgrade.report.words import GRADES, RESEARCH_USE

if TYPE_CHECKING:
    from jinja2 import Environment

UNKNOWN = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"

CHANGES = {
    Change.IMPROVED: "improved",
    Change.UNCHANGED: "unchanged",
    Change.WORSE: "worse",
    Change.WITHIN_ERROR: "within measurement error",
    Change.NOT_COMPARABLE: "not comparable",
}
EXTENTS = {
    Extent.PERIMETER_FRACTION: ("Perimeter surrounded", "%"),
    Extent.EFFUSION_MM3: ("Effusion", "mm³"),
    Extent.EFFUSION_WIDTH_MM: ("Effusion, greatest width", "mm"),
    Extent.EDEMA_MM3: ("Edema", "mm³"),
    Extent.SOFT_TISSUE_EDEMA_MM3: ("… in soft tissue", "mm³"),
    Extent.MARROW_EDEMA_MM3: ("… in marrow", "mm³"),
    Extent.ARTICULAR_MARROW_EDEMA_MM3: ("… in the articular processes", "mm³"),
    Extent.EXTENSION_MM3: ("Largest extension site", "mm³"),
}


@cache
def environment() -> Environment:
    """Load the page templates; everything from the data is escaped."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=ChoiceLoader(
            [PackageLoader("facetgrade.compare"), PackageLoader("facetgrade.report")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["percent"] = percent
    pages.globals["grades"] = GRADES
    pages.globals["research_use"] = RESEARCH_USE
    return pages


def number_text(extent: Extent, value: float) -> str:
    """Write an extent without its unit."""
    scaled = 100.0 * value if extent is Extent.PERIMETER_FRACTION else value
    if not math.isfinite(scaled):
        return UNKNOWN
    places = 0 if extent is Extent.PERIMETER_FRACTION or abs(scaled) >= 99.95 else 1
    return f"{round(scaled, places) + 0.0:.{places}f}".replace("-", MINUS)


def change_text(extent: Extent, value: float) -> str:
    """Write a change with its sign."""
    text = number_text(extent, value)
    if not math.isfinite(value) or text.startswith(MINUS) or not text.strip("0."):
        return text
    return f"+{text}"
