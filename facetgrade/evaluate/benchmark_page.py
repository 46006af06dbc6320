"""The result of the held-out benchmark as one self-contained HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from facetgrade.evaluate.factor_page import factor_blocks
from facetgrade.evaluate.figures import bland_altman_figure, error_figure
from facetgrade.evaluate.overlap import ratio_limits
from facetgrade.evaluate.page import (
    AGREEMENT_NAMES,
    AGREEMENT_TEXT,
    Block,
    Picture,
    Table,
    calibration_blocks,
    change_blocks,
    confusion_picture,
    estimate_table,
    estimate_text,
    number_text,
    prevalence_table,
    render,
)
from facetgrade.evaluate.results import Rows
from facetgrade.evaluate.rows import MEASURES, ComparedJoint, column, measure
from facetgrade.evaluate.settings import LIMIT_NAMES
from facetgrade.evaluate.summary import Section

PLACE_NAMES = {
    "right": "level and side right",
    "right_or_flagged": "right, refused or flagged as uncertain",
    "flagged_though_right": "right but flagged as uncertain",
    "level_right": "level right",
    "side_right": "side right",
    "located": "located",
    "median_mm": "center error, median (mm)",
    "p95_mm": "center error, 95th percentile (mm)",
    "cranial_mm": "mean offset upward (mm)",
    "posterior_mm": "mean offset backward (mm)",
    "lateral_mm": "mean offset outward (mm)",
}
OUTLINE_NAMES = {
    "mean_dice": "Dice, mean",
    "median_dice": "Dice, median",
    "normalized_surface_dice": "normalized surface Dice",
    "mean_mm": "surface distance, mean (mm)",
    "hd95_mm": "HD95, median (mm)",
}
VOLUME_NAMES = {
    "spearman": "Spearman, all joints",
    "spearman_present": "Spearman, where truly present",
    "bias_ratio": "predicted / true, geometric mean",
    "low_ratio": "lower 95 % limit of agreement",
    "high_ratio": "upper 95 % limit of agreement",
    "sensitivity": "presence seen",
    "specificity": "absence seen",
}
MOST_FAILURES = 60


def benchmark_page(
    result: Section,
    rows: Rows,
    made: Sequence[tuple[str, str]],
    *,
    floor_mm3: float,
) -> str:
    """Return the page of a benchmark.

    Parameters
    ----------
    result : dict
        From `results.benchmark_result`.
    rows : sequence of ComparedJoint
        The joints behind it, for plots and the list of failures.
    made : sequence of (str, str)
        Versions, seeds and settings behind the numbers.
    floor_mm3 : float
        Smallest volume that counts as present.
    """
    counts = result["counts"]
    lead = (
        f"{counts['joints']} joints in {counts['studies']} simulated studies of "
        f"{counts['patients']} patients, whose anatomy or images differ from training"
    )
    everyone = {"all joints": {**result["grades"], **_parts(result)}}
    blocks = [
        _headline_block(result),
        _grade_block(everyone),
        *change_blocks(everyone),
        _place_block(result["localization"], rows),
        _outline_block(result["overlap"]),
        _volume_block(result["volumes"], rows, floor_mm3=floor_mm3),
        *calibration_blocks(everyone),
        _refusal_block(result["refusals"]),
        *factor_blocks(result),
        *_failure_block(rows),
    ]
    return render("Held-out benchmark", lead, blocks, made)


def _parts(result: Section) -> Section:
    """Return the sections that share their layout with the readers' page."""
    return {"change": result["change"], "calibration": result["calibration"]}


def headline_table(result: Section) -> Table:
    """Lay out the figures that have a target, also for the terminal.

    Parameters
    ----------
    result : dict
        From `results.benchmark_result`.
    """
    rows: list[tuple[str, ...]] = []
    for figure in result["headline"]:
        verdict = "met" if figure["met"] else "missed"
        rows.append((figure["label"], _reached_text(figure), figure["target"], verdict))
        rows += [
            (other["label"], estimate_text(other["estimate"]), "", "")
            for other in figure["beside"]
        ]
    return Table(("", "reached", "target", ""), tuple(rows))


def _reached_text(figure: Section) -> str:
    """Write what is judged: an estimate, or one of its confidence limits."""
    if figure["limit"] is None:
        return estimate_text(figure["estimate"])
    return f"{LIMIT_NAMES[figure['limit']]} {number_text(figure['judged'])}"


def _headline_block(result: Section) -> Block:
    """Return the figures that have a target."""
    text = (
        "Level and side are right when a center lies nearer to the true joint of its "
        "name than to any other true joint, and within the stated distance. Brackets "
        "are patient-cluster bootstrap intervals. Figures without a target stand below "
        "the one that they complete.",
    )
    return Block("Targets", text, (headline_table(result),))


def _grade_block(columns: Mapping[str, Section]) -> Block:
    """Return agreement, prevalence and confusion."""
    groups = {name: section["agreement"] for name, section in columns.items()}
    tables = estimate_table(AGREEMENT_NAMES, groups), prevalence_table(columns)
    pictures = tuple(confusion_picture(name, part) for name, part in columns.items())
    return Block("Grades", AGREEMENT_TEXT, tables, pictures)


def _place_block(places: Section, rows: Rows) -> Block:
    """Return localization with the distribution of errors."""
    text = (
        "A joint that was not located counts as infinitely far away. Offsets are along "
        "the axes of the true joint, mirrored so that both sides point outward.",
    )
    picture = Picture(
        error_figure(column(rows, "error_mm"), marks_mm=(3.0, 10.0)),
        "share of joints within a distance of the true center; marks at 3 and 10 mm",
    )
    table = estimate_table(PLACE_NAMES, {"all joints": places})
    return Block("Localization", text, (table,), (picture,))


def _outline_block(overlap: Section) -> Block:
    """Return Dice and surface distances."""
    text = (
        "Over joints in which the lesion is truly present: an effusion is as wide as "
        "the rules ask, fluid is also the film of a healthy joint. Joints that nobody "
        "could grade, out of view of the series that show edema or beside metal, count "
        'under "anywhere" alone. One that was not outlined has Dice 0; distances are '
        "over outlined joints.",
    )
    columns = {name.replace("_", ", "): one for name, one in overlap.items()}
    return Block("Outlines", text, (estimate_table(OUTLINE_NAMES, columns),))


def _volume_block(volumes: Section, rows: Rows, *, floor_mm3: float) -> Block:
    """Return bias and limits of agreement with one plot a volume."""
    columns = {MEASURES[name]: section for name, section in volumes.items()}
    text = (
        f"Ratios are over joints with at least {floor_mm3:g} mm3 on both sides; "
        "presence is at least that volume.",
    )
    pictures = []
    for name in volumes:
        predicted, truth = measure(rows, name)
        present = (predicted >= floor_mm3) & (truth >= floor_mm3)
        if present.sum() < 2:
            continue
        found, actual = predicted[present], truth[present]
        limits = ratio_limits(found, actual, floor=floor_mm3)
        pictures.append(
            Picture(
                bland_altman_figure(
                    found, actual, limits, quantity=MEASURES[name], unit="mm3"
                ),
                f"{MEASURES[name]}: {limits.pairs} joints; bias and 95 % limits of "
                "agreement in orange",
            )
        )
    tables = (estimate_table(VOLUME_NAMES, columns),)
    return Block("Volumes", text, tables, tuple(pictures))


def _refusal_block(refusals: Section) -> Block:
    """Return how many joints were left without a grade, and why."""
    text = (
        "No grade can be given out of view of every still series that shows edema, and "
        "beside metal; everywhere else a refusal counts as wrong.",
    )
    names = {"not_gradable": "no grade possible", "gradable": "gradable"}
    rows = tuple(
        (
            name,
            str(refusals[kind]["joints"]),
            str(refusals[kind]["refused"]),
            ", ".join(f"{r} {n}" for r, n in sorted(refusals[kind]["reasons"].items())),
        )
        for kind, name in names.items()
    )
    return Block("Refusals", text, (Table(("", "joints", "refused", "why"), rows),))


def _failure_block(rows: Rows) -> list[Block]:
    """Return the joints that went most wrong, worst first."""
    worst = sorted(rows, key=_badness, reverse=True)
    failed = [row for row in worst if _badness(row) >= 2.0]
    if not failed:
        return []
    text = (
        f"{len(failed)} of {len(rows)} joints have a wrong level or side, no grade, or "
        "a grade that is off by two or more; "
        f"the worst {min(len(failed), MOST_FAILURES)} are listed.",
    )
    table = Table(
        ("study", "joint", "true", "grade", "error (mm)", "why"),
        tuple(_failure_cells(row) for row in failed[:MOST_FAILURES]),
    )
    return [Block("What went wrong", text, (table,))]


def _badness(row: ComparedJoint) -> float:
    """Rank failures: wrong joint, then no grade, then the size of the difference."""
    if row.located and not row.right:
        return 10.0
    if not row.graded:
        return 6.0 if row.truth_grade >= 0 else 0.0
    return float(np.abs(row.grade - row.truth_grade)) if row.truth_grade >= 0 else 0.0


def _failure_cells(row: ComparedJoint) -> tuple[str, ...]:
    """Return the cells of one failure."""
    why = row.reason or ("" if row.right else "wrong level or side")
    return (
        row.study,
        row.name,
        str(row.truth_grade),
        str(row.grade) if row.graded else "none",
        number_text(None if math.isnan(row.error_mm) else row.error_mm),
        why or f"off by {row.grade - row.truth_grade:+d}",
    )
