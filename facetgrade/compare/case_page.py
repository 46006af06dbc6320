"""comparison.html: one self-contained page per pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facetgrade.compare.aligned import align_joint
from facetgrade.compare.changes import Difference, Extent, JointChange
from facetgrade.compare.comparison import Comparison
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.pages import (
    CHANGES,
    EXTENTS,
    change_text,
    environment,
    number_text,
)
from facetgrade.compare.pairing import Pair
from facetgrade.compare.perimeter_change import PerimeterChange, compare_perimeters
from facetgrade.compare.pictures import PairedPicture, paired_pictures
from facetgrade.compare.settings import PictureSettings
from facetgrade.report.atomic import clean, finite
from facetgrade.report.context import ReportContext
from facetgrade.report.perimeter_map import PerimeterMap, draw_perimeter
from facetgrade.report.words import SEQUENCES


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtentLine:
    """One line of the table of extents, ready to print."""

    name: str
    unit: str
    before: str
    after: str
    change: str
    detectable: str
    real: bool


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointCard:
    """Everything the page shows about one joint.

    Attributes
    ----------
    joint : JointChange
        The result.
    anchor, verdict, contrast : str
        Id of the card, course in words, contrast in words.
    lines : tuple of ExtentLine
        What was measured.
    pictures : tuple of PairedPicture
        The joint in three planes.
    registered : bool
        Whether the pictures are registered, not only laid upon each other.
    maps : tuple of PerimeterMap or None
        Unrolled perimeter at baseline and follow-up.
    perimeter_change : PerimeterChange or None
        Their difference.
    """

    joint: JointChange
    anchor: str
    verdict: str
    contrast: str
    lines: tuple[ExtentLine, ...]
    pictures: tuple[PairedPicture, ...]
    registered: bool
    maps: tuple[PerimeterMap | None, PerimeterMap | None]
    perimeter_change: PerimeterChange | None


def render_comparison(
    pair: Pair,
    comparison: Comparison,
    points: tuple[TimePoint | None, TimePoint | None],
    *,
    links: tuple[str, str],
    context: ReportContext,
    settings: PictureSettings,
) -> str:
    """Write the page of one pair.

    Parameters
    ----------
    pair : Pair
        Who and when.
    comparison : Comparison
        What changed.
    points : tuple of TimePoint or None
        Images and findings of both; None for one that could not be read.
    links : tuple of str
        Where the reports of both are, relative to the page; empty without.
    context : ReportContext
        What made the comparison.
    settings : PictureSettings
        Size and quality of the pictures.

    Returns
    -------
    str
        HTML without scripts and without links to anything outside the output folder.
    """
    cards = [
        joint_card(joint, points, comparison, context=context, settings=settings)
        for joint in comparison.joints
    ]
    page = environment().get_template("comparison.html.j2")
    return clean(
        page.render(
            pair=pair,
            comparison=comparison,
            cards=cards,
            links=links,
            context=context,
            verdicts=CHANGES,
            config_text=json.dumps(finite(context.config), indent=2),
        )
    )


def joint_card(
    joint: JointChange,
    points: tuple[TimePoint | None, TimePoint | None],
    comparison: Comparison,
    *,
    context: ReportContext,
    settings: PictureSettings,
) -> JointCard:
    """Collect what the page shows about one joint."""
    contrast = joint.contrast
    pictures: tuple[PairedPicture, ...] = ()
    registered = False
    first, second = points
    outcomes = joint.baseline, joint.followup
    if (
        first is not None
        and second is not None
        and outcomes[0] is not None
        and outcomes[1] is not None
        and comparison.refusal is None
    ):
        aligned = align_joint(
            first, second, (outcomes[0], outcomes[1]), joint.registration
        )
        if aligned is not None:
            registered = aligned.registered
            pictures = paired_pictures(
                aligned, contrast, context.joint_outline, settings
            )
    maps, difference = _perimeters(joint, context.config)
    if comparison.refusal is not None:
        difference = None
    return JointCard(
        joint=joint,
        anchor=f"{joint.joint.level}-{joint.joint.side}",
        verdict=CHANGES[joint.change],
        contrast=SEQUENCES[contrast] if contrast else "",
        lines=tuple(_line(e, d) for e, d in _ordered(joint.differences)),
        pictures=pictures,
        registered=registered,
        maps=maps,
        perimeter_change=difference,
    )


def _ordered(
    differences: Mapping[Extent, Difference],
) -> list[tuple[Extent, Difference]]:
    """Sort extents as the page lists them."""
    return [(e, differences[e]) for e in EXTENTS if e in differences]


def _line(extent: Extent, difference: Difference) -> ExtentLine:
    """Write one extent."""
    name, unit = EXTENTS[extent]
    return ExtentLine(
        name=name,
        unit=unit,
        before=number_text(extent, difference.before),
        after=number_text(extent, difference.after),
        change=change_text(extent, difference.change),
        detectable=number_text(extent, difference.detectable),
        real=difference.is_real,
    )


def _perimeters(
    joint: JointChange, config: Mapping[str, Any]
) -> tuple[tuple[PerimeterMap | None, PerimeterMap | None], PerimeterChange | None]:
    """Draw the perimeter of both time points and their difference."""
    before, after = joint.graded_baseline, joint.graded_followup
    share = _height_share(config)
    first, second = (
        draw_perimeter(one.extents.sector_map, joint.joint.side, height_share=share)
        if one
        else None
        for one in (before, after)
    )
    difference = None
    if before is not None and after is not None:
        difference = compare_perimeters(
            before.extents.sector_map, after.extents.sector_map
        )
    return (first, second), difference


def _height_share(config: Mapping[str, Any]) -> float | None:
    """Find over which share of the height a sector must be abnormal to count."""
    perimeter = config.get("grade", {}).get("measure", {}).get("perimeter", {})
    share = perimeter.get("height_share")
    by_height = perimeter.get("combine") == "height_30"
    return float(share) if by_height and isinstance(share, int | float) else None
