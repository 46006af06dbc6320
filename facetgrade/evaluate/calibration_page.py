"""The result of a calibration as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facetgrade.evaluate.page import (
    Block,
    Table,
    calibration_blocks,
    number_text,
    render,
)
from facetgrade.evaluate.rows import MEASURES
from facetgrade.evaluate.summary import Section

WAYS = {
    "start": "starting values",
    "fitted": "fitted, same studies",
    "held_out": "fitted, patients held out",
}
NUMBERING_NAMES = {
    "studies": "studies with a spine",
    "right": "numbering right",
    "decided": "declared decided",
    "right_of_decided": "right, of the decided",
    "decided_cut": "decided with images cut above the sacrum",
    "log_loss": "log loss of the true numbering",
}
TYPICALITY_NAMES = {
    "refused": "not graded",
    "flagged": "graded with a flag",
    "usual": "graded without a flag",
}
HELD_OUT_TEXT = (
    "Held out: settings fitted without the patient, five times with a fifth of the "
    "patients left out. These are the numbers to expect of new studies like these."
)


def calibration_page(result: Section, made: Sequence[tuple[str, str]]) -> str:
    """Return the page of a calibration.

    Parameters
    ----------
    result : dict
        From `judging.calibration_result`.
    made : sequence of (str, str)
        Versions, seeds and settings behind the numbers.
    """
    counts = result["counts"]
    lead = (
        f"{counts['studies']} simulated studies of {counts['patients']} patients; "
        f"{counts['accepted']} of {counts['joints']} joints get a grade and have one"
    )
    columns = {
        WAYS[name]: {"calibration": section}
        for name, section in _known(result["confidence"]).items()
    }
    blocks = [
        *calibration_blocks(columns),
        _interval_block(_known(result["intervals"])),
        _numbering_block(result["numbering"]),
        _typicality_block(result["typicality"], result["fitted"]),
    ]
    return render("Calibration", lead, blocks, made)


def _known(section: Mapping[str, Section]) -> dict[str, Section]:
    """Return the parts of a section that were made, in order."""
    return {name: section[name] for name in WAYS if name in section}


def _interval_block(ways: Mapping[str, Section]) -> Block:
    """Return how often intervals of extents hold the truth."""
    first = next(iter(ways.values()))
    rows = tuple(
        (
            MEASURES[name],
            str(entry["joints"]),
            *(number_text(section[name]["coverage"]) for section in ways.values()),
        )
        for name, entry in first.items()
    )
    header = ("holds the truth", "joints", *(WAYS[name] for name in ways))
    text = (
        HELD_OUT_TEXT,
        "Joints without the finding, true and measured, are left out.",
    )
    return Block("Intervals of extents", text, (Table(header, rows),))


def _numbering_block(numbering: Section) -> Block:
    """Return how sure the numberings are."""
    ways = _known(numbering)
    rows = tuple(
        (label, *(_count_text(section[name]) for section in ways.values()))
        for name, label in NUMBERING_NAMES.items()
    )
    tables = [Table(("", *(WAYS[name] for name in ways)), rows)]
    wrong = tuple(
        (
            entry["study"],
            number_text(entry["probability"]),
            "decided" if entry["decided"] else "assumed",
        )
        for entry in numbering["wrong"]
    )
    if wrong:
        tables.append(Table(("wrong numbering", "probability", ""), wrong))
    text = (f"No spine was found in {numbering['not_found']} studies.",)
    return Block("Numbering of the vertebrae", text, tuple(tables))


def _typicality_block(typicality: Section, fitted: Section) -> Block:
    """Return what the thresholds of typicality let through."""
    rows = tuple(
        (
            label,
            *(str(typicality[name][part]) for part in ("joints", "right", "exact")),
        )
        for name, label in TYPICALITY_NAMES.items()
    )
    header = ("", "joints", "level and side right", "exact, uncorrected")
    text = (
        f"Not graded below {fitted['minimum_typicality']:.3f}, flagged below "
        f"{fitted['flagged_typicality']:.3f}.",
    )
    return Block("Typicality", text, (Table(header, rows),))


def _count_text(value: float | None) -> str:
    """Write counts without decimals."""
    return str(value) if isinstance(value, int) else number_text(value)
