"""joints.csv: one row per study, requested level and side."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facetgrade.anatomy import ExtensionSite
from facetgrade.findings import (
    Extents,
    Flag,
    Graded,
    Outcome,
    Reason,
    StudyReport,
    Ungradable,
)
from facetgrade.report.atomic import clean, write_bytes
from facetgrade.report.context import Row

COLUMNS = (
    "source",
    "study_uid",
    "subject",
    "study_date",
    "level",
    "side",
    "status",
    "reason",
    "grade",
    "p0",
    "p1",
    "p2",
    "p3",
    "p4",
    "grade_set",
    "x_mm",
    "y_mm",
    "z_mm",
    "level_probability",
    "effusion_mm3",
    "effusion_width_mm",
    "edema_mm3",
    "soft_tissue_edema_mm3",
    "marrow_edema_mm3",
    "perimeter_fraction",
    "perimeter_fraction_low",
    "perimeter_fraction_high",
    "extension",
    "borderline",
    "flags",
    "series_used",
)

_EFFUSION_COLUMNS = COLUMNS[19:21]
_EDEMA_COLUMNS = COLUMNS[21:27]
_FORMULA_STARTS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


def joint_rows(report: StudyReport) -> list[Row]:
    """Write one study as rows of joints.csv.

    Unknown values are empty. Text that a spreadsheet would run as a formula is made
    harmless, see `harmless_path` and `harmless_text`.

    Parameters
    ----------
    report : StudyReport
        The graded study.

    Returns
    -------
    list of dict
        A text for each of `COLUMNS`, sorted by level from the top, left first.
    """
    study = {
        "source": harmless_path(report.source),
        "study_uid": harmless_text(report.study_uid),
        "subject": harmless_text(report.subject),
        "study_date": harmless_text(report.date),
    }
    outcomes = sorted(report.outcomes, key=lambda outcome: outcome.joint)
    rows = [study | _joint_columns(outcome) for outcome in outcomes]
    return [{name: row[name] for name in COLUMNS} for row in rows]


def write_joints_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write joints.csv: UTF-8, comma, LF, header, sorted, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    rows : iterable of dict
        Rows of any number of studies, from `joint_rows`, in any order.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted(rows, key=_sort_key))
    write_bytes(path, text.getvalue().encode())


def harmless_path(path: str) -> str:
    """Keep a spreadsheet from running a path as a formula.

    ``./`` is put before a path that starts with ``=``, ``+``, ``-`` or ``@``, so that
    it still leads to the same file; control characters, which no cell needs, become
    U+FFFD, as do bytes that are no UTF-8.
    """
    text = _printable(path)
    return f"./{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def harmless_text(text: str) -> str:
    """Keep a spreadsheet from running a text as a formula: ``'`` is put before it."""
    text = _printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def format_mm(value: float | None) -> str:
    """Write mm, mm2 or mm3 with one decimal, empty when unknown, never ``-0.0``."""
    return _decimals(value, 1)


def format_fraction(value: float | None) -> str:
    """Write a fraction or probability with three decimals, empty when unknown."""
    return _decimals(value, 3)


def format_probabilities(probabilities: Sequence[float]) -> list[str]:
    """Write probabilities with three decimals that sum to exactly one.

    Thousandths go to the largest remainders, and the most probable grade stays the
    only most probable one, so that the table tells the same as the numbers behind it.

    Parameters
    ----------
    probabilities : sequence of float
        Sum 1.

    Returns
    -------
    list of str
        In the same order.
    """
    total = sum(probabilities)
    exact = [1000.0 * p / total for p in probabilities]
    thousandths = [math.floor(x) for x in exact]
    by_remainder = sorted(
        range(len(exact)), key=lambda i: (thousandths[i] - exact[i], -exact[i])
    )
    for i in by_remainder[: 1000 - sum(thousandths)]:
        thousandths[i] += 1
    top = max(range(len(exact)), key=exact.__getitem__)
    for i, value in enumerate(thousandths):
        if value >= thousandths[top] and exact[i] < exact[top]:
            thousandths[i] -= 1
            thousandths[top] += 1
    return [f"{value / 1000:.3f}" for value in thousandths]


def known_extents(outcome: Outcome) -> tuple[Extents | None, bool]:
    """Tell what was measured, and whether edema could be judged.

    Returns
    -------
    tuple of Extents or None, bool
        Without a contrast that shows edema only the effusion of the extents counts.
    """
    if isinstance(outcome, Graded):
        return outcome.best.extents, True
    if outcome.reason is Reason.NO_FAT_SUPPRESSION:
        return outcome.extents, False
    judged = outcome.masks is None or outcome.masks.sequence.shows_edema
    return outcome.extents, judged


def _joint_columns(outcome: Outcome) -> Row:
    """Write the columns of one joint."""
    row = {
        "level": outcome.joint.level.value,
        "side": outcome.joint.side.value,
        **_grade_columns(outcome),
        **_position_columns(outcome),
        **_extent_columns(outcome),
        "flags": ";".join(f.value for f in Flag if f in outcome.flags),
        "series_used": ";".join(harmless_path(uid) for uid in outcome.series_used),
    }
    return row


def _grade_columns(outcome: Outcome) -> Row:
    """Write status, reason, grade, probabilities, extension and borderline."""
    if isinstance(outcome, Ungradable):
        empty = ("grade", "p0", "p1", "p2", "p3", "p4", "grade_set")
        return {
            "status": "ungradable",
            "reason": outcome.reason.value,
            **dict.fromkeys((*empty, "extension"), ""),
            "borderline": "0",
        }
    probabilities = format_probabilities(outcome.probabilities)
    reached = outcome.best.extension
    return {
        "status": "graded",
        "reason": "",
        "grade": str(outcome.best.grade),
        **{f"p{grade}": text for grade, text in enumerate(probabilities)},
        "grade_set": ";".join(str(grade) for grade in sorted(outcome.grade_set)),
        "extension": ";".join(site.value for site in ExtensionSite if site in reached),
        "borderline": str(int(outcome.best.borderline)),
    }


def _position_columns(outcome: Outcome) -> Row:
    """Write where the joint is, whether graded or not."""
    if outcome.location is None:
        return dict.fromkeys(("x_mm", "y_mm", "z_mm", "level_probability"), "")
    x_mm, y_mm, z_mm = outcome.location.frame.center_lps_mm
    return {
        "x_mm": format_mm(float(x_mm)),
        "y_mm": format_mm(float(y_mm)),
        "z_mm": format_mm(float(z_mm)),
        "level_probability": format_fraction(outcome.location.level_probability),
    }


def _extent_columns(outcome: Outcome) -> Row:
    """Write what was measured."""
    extents, edema_judged = known_extents(outcome)
    if extents is None:
        return dict.fromkeys(_EFFUSION_COLUMNS + _EDEMA_COLUMNS, "")
    effusion = {
        "effusion_mm3": format_mm(extents.effusion_mm3.value),
        "effusion_width_mm": format_mm(extents.effusion_width_mm.value),
    }
    if not edema_judged:
        return effusion | dict.fromkeys(_EDEMA_COLUMNS, "")
    fraction = extents.perimeter_fraction
    return effusion | {
        "edema_mm3": format_mm(extents.edema_mm3),
        "soft_tissue_edema_mm3": format_mm(extents.soft_tissue_edema_mm3.value),
        "marrow_edema_mm3": format_mm(extents.marrow_edema_mm3.value),
        "perimeter_fraction": format_fraction(fraction.value),
        "perimeter_fraction_low": format_fraction(fraction.low),
        "perimeter_fraction_high": format_fraction(fraction.high),
    }


def _decimals(value: float | None, places: int) -> str:
    """Write a number, empty when unknown."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{round(value, places) + 0.0:.{places}f}"


def _printable(text: str) -> str:
    """Replace control characters and undecodable bytes."""
    return _CONTROL.sub("\ufffd", clean(text))


def _sort_key(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Order rows: level names sort from the top and left comes before right."""
    return row["source"], row["study_uid"], row["level"], row["side"]
