"""report.html: one self-contained page per study."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from facetgrade.anatomy import ExtensionSite
from facetgrade.findings import Extents, Flag, Graded, Interval, Outcome, StudyReport
from facetgrade.report.atomic import clean, finite
from facetgrade.report.context import ReportContext
from facetgrade.report.figures import Picture, joint_pictures, joint_regions
from facetgrade.report.overview import draw_overview
from facetgrade.report.perimeter_map import PerimeterMap, draw_perimeter
from facetgrade.report.settings import ReportSettings
from facetgrade.report.tables import known_extents
from facetgrade.report.words import (
    FLAGS,
    GRADES,
    REASONS,
    RESEARCH_USE,
    SCOUTS,
    SEQUENCES,
    SITES,
)
from facetgrade.study import Study

if TYPE_CHECKING:
    from jinja2 import Environment

_UNKNOWN = "\N{EN DASH}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One line of the table of extents, ready to print."""

    name: str
    value: str
    limits: str
    note: str = ""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointCard:
    """Everything the page shows about one joint.

    Attributes
    ----------
    outcome : Outcome
        The result.
    anchor : str
        Id of the card in the page.
    headline : str
        What the grade or the reason means.
    measurements : tuple of Measurement
        What was measured, ready to print.
    pictures : tuple of Picture
        The joint in every plane.
    perimeter : PerimeterMap or None
        None when edema could not be judged.
    contrast : str
        Contrast of the measurement, in words.
    flags : tuple of (Flag, str)
        With explanation.
    series : tuple of str
        Descriptions of the series that were read.
    """

    outcome: Outcome
    anchor: str
    headline: str
    measurements: tuple[Measurement, ...]
    pictures: tuple[Picture, ...]
    perimeter: PerimeterMap | None
    contrast: str
    flags: tuple[tuple[Flag, str], ...]
    series: tuple[str, ...]

    @property
    def graded(self) -> bool:
        """Whether there is a grade."""
        return isinstance(self.outcome, Graded)


def render_report(
    report: StudyReport,
    study: Study,
    *,
    context: ReportContext,
    settings: ReportSettings,
) -> str:
    """Write the page of one study.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    study : Study
        The images it was graded from.
    context : ReportContext
        What made the report.
    settings : ReportSettings
        Size and number of pictures.

    Returns
    -------
    str
        HTML without scripts and without links to anything outside itself; every text
        from the study is escaped.
    """
    cards = {
        outcome.joint: joint_card(outcome, study, context=context, settings=settings)
        for outcome in sorted(report.outcomes, key=lambda outcome: outcome.joint)
    }
    page = environment().get_template("report.html.j2")
    return clean(
        page.render(
            report=report,
            study=study,
            context=context,
            research_use=RESEARCH_USE,
            cards=cards,
            levels=sorted({joint.level for joint in cards}),
            overview=draw_overview(report, study, settings),
            read_on=_joints_by_series(report),
            config_text=json.dumps(finite(context.config), indent=2),
        )
    )


def joint_card(
    outcome: Outcome,
    study: Study,
    *,
    context: ReportContext,
    settings: ReportSettings,
) -> JointCard:
    """Collect what the page shows about one joint."""
    extents, edema_judged = known_extents(outcome)
    contrast = outcome.masks.sequence if outcome.masks else None
    pictures: tuple[Picture, ...] = ()
    if outcome.location is not None:
        pictures = joint_pictures(
            study,
            outcome.location.frame.center_lps_mm,
            contrast=contrast,
            series_used=outcome.series_used,
            regions=joint_regions(outcome.masks, context.joint_outline),
            settings=settings,
        )
    return JointCard(
        outcome=outcome,
        anchor=f"{outcome.joint.level}-{outcome.joint.side}",
        headline=_headline(outcome),
        measurements=_measurements(extents, edema_judged) if extents else (),
        pictures=pictures,
        perimeter=_perimeter(outcome, extents, edema_judged, context.config),
        contrast=SEQUENCES[contrast] if contrast else "",
        flags=tuple((flag, FLAGS[flag]) for flag in Flag if flag in outcome.flags),
        series=tuple(
            s.description or s.uid for s in study.series if s.uid in outcome.series_used
        ),
    )


@cache
def environment() -> Environment:
    """Load the page templates; everything from the data is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("facetgrade.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["percent"] = percent
    pages.filters["seconds"] = lambda value: f"{value:.1f} s"
    pages.globals["grades"] = GRADES
    pages.globals["sites"] = SITES
    pages.globals["scout_words"] = SCOUTS
    return pages


def percent(value: float) -> str:
    """Write a fraction as percent, an en dash when unknown."""
    return f"{100.0 * value:.0f} %" if math.isfinite(value) else _UNKNOWN


def _headline(outcome: Outcome) -> str:
    """Say in one sentence what the grade or the reason means."""
    if isinstance(outcome, Graded):
        return GRADES[outcome.best.grade]
    return REASONS[outcome.reason]


def _measurements(extents: Extents, edema_judged: bool) -> tuple[Measurement, ...]:
    """List what was measured, effusion first."""
    effusion = [
        _volume("Effusion", extents.effusion_mm3),
        Measurement(
            name="Effusion, greatest width",
            value=_number(extents.effusion_width_mm.value, "mm"),
            limits=_limits(extents.effusion_width_mm),
        ),
    ]
    if extents.cyst_mm3 > 0.0:
        effusion.append(
            Measurement(
                name="Synovial cyst",
                value=_number(extents.cyst_mm3, "mm³"),
                limits="",
                note="not part of the grade",
            )
        )
    if not edema_judged:
        return tuple(effusion)
    return (*_perimeter_lines(extents), *effusion, *_edema_lines(extents))


def _perimeter_lines(extents: Extents) -> list[Measurement]:
    """List the ways to state the abnormal share of the perimeter."""
    worst = extents.perimeter_fraction_worst_plane
    return [
        Measurement(
            name="Perimeter surrounded",
            value=percent(extents.perimeter_fraction.value),
            limits=_percent_limits(extents.perimeter_fraction),
            note="this fraction grades",
        ),
        Measurement(
            name="… on the worst plane",
            value=percent(worst.value),
            limits=_percent_limits(worst),
            note="as outlined",
        ),
        Measurement(
            name="… over all 72 sectors",
            value=percent(extents.perimeter_fraction_all_sectors),
            limits="",
            note="as outlined",
        ),
    ]


def _edema_lines(extents: Extents) -> list[Measurement]:
    """List edema by tissue and the sites it reaches."""
    lines = [
        _volume("Soft-tissue edema", extents.soft_tissue_edema_mm3),
        _volume("Marrow edema", extents.marrow_edema_mm3),
        Measurement(
            name="… in the articular processes",
            value=_number(extents.articular_marrow_edema_mm3, "mm³"),
            limits="",
        ),
    ]
    for site in ExtensionSite:
        volume_mm3 = extents.extension_mm3.get(site, 0.0)
        if volume_mm3 > 0.0:
            lines.append(
                Measurement(
                    name=f"Signal in the {SITES[site]}",
                    value=_number(volume_mm3, "mm³"),
                    limits="",
                )
            )
    return lines


def _volume(name: str, volume_mm3: Interval) -> Measurement:
    """Print a volume with its limits."""
    return Measurement(
        name=name, value=_number(volume_mm3.value, "mm³"), limits=_limits(volume_mm3)
    )


def _number(value: float, unit: str) -> str:
    """Print a number with its unit: no decimals from 100 on."""
    if not math.isfinite(value):
        return _UNKNOWN
    return f"{value:.0f} {unit}" if abs(value) >= 99.95 else f"{value:.1f} {unit}"


def _limits(interval: Interval) -> str:
    """Print the limits of an interval."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    places = 0 if interval.high >= 99.95 else 1
    return f"{interval.low:.{places}f}{_UNKNOWN}{interval.high:.{places}f}"


def _percent_limits(interval: Interval) -> str:
    """Print the limits of a fraction as percent."""
    if not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return ""
    return f"{100 * interval.low:.0f}{_UNKNOWN}{100 * interval.high:.0f} %"


def _perimeter(
    outcome: Outcome,
    extents: Extents | None,
    edema_judged: bool,
    config: Mapping[str, Any],
) -> PerimeterMap | None:
    """Draw the perimeter where edema could be judged."""
    if extents is None or not edema_judged:
        return None
    return draw_perimeter(
        extents.sector_map, outcome.joint.side, height_share=_height_share(config)
    )


def _height_share(config: Mapping[str, Any]) -> float | None:
    """Find over which share of the height a sector must be abnormal, if that grades."""
    section: Any = config
    for key in ("grade", "measure", "perimeter"):
        section = section.get(key, {}) if isinstance(section, Mapping) else {}
    if not isinstance(section, Mapping) or section.get("combine") != "height_30":
        return None
    share = section.get("height_share")
    return float(share) if isinstance(share, int | float) else None


def _joints_by_series(report: StudyReport) -> dict[str, Sequence[str]]:
    """Name the joints that were read on each series."""
    read_on: dict[str, list[str]] = {}
    for outcome in report.outcomes:
        for uid in outcome.series_used:
            read_on.setdefault(uid, []).append(str(outcome.joint))
    return dict(read_on)
