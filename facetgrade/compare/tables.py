"""changes.csv: one row per pair, level and side."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path

from facetgrade.compare.changes import Extent, JointChange
from facetgrade.compare.pairing import Pair
from facetgrade.findings import Flag
from facetgrade.report.atomic import write_bytes
from facetgrade.report.context import Row
from facetgrade.report.tables import (
    format_fraction,
    format_mm,
    harmless_path,
    harmless_text,
)

_CHANGES = {
    Extent.EFFUSION_MM3: "effusion_change_mm3",
    Extent.EDEMA_MM3: "edema_change_mm3",
    Extent.PERIMETER_FRACTION: "perimeter_change",
    Extent.EFFUSION_WIDTH_MM: "effusion_width_change_mm",
    Extent.SOFT_TISSUE_EDEMA_MM3: "soft_tissue_edema_change_mm3",
    Extent.MARROW_EDEMA_MM3: "marrow_edema_change_mm3",
    Extent.ARTICULAR_MARROW_EDEMA_MM3: "articular_marrow_edema_change_mm3",
    Extent.EXTENSION_MM3: "extension_change_mm3",
}
_DETECTABLE = {
    extent: name.replace("change", "detectable") for extent, name in _CHANGES.items()
}
COLUMNS = (
    "pair",
    "subject",
    "level",
    "side",
    "baseline_source",
    "followup_source",
    "grade_baseline",
    "grade_followup",
    "change",
    "reason",
    "effusion_change_mm3",
    "edema_change_mm3",
    "perimeter_change",
    "registration_error_mm",
    "baseline_date",
    "followup_date",
    "contrast",
    *list(_CHANGES.values())[3:],
    *_DETECTABLE.values(),
    "registration_similarity",
    "registration_planes",
    "flags_baseline",
    "flags_followup",
    "mean_grade_change",
)


def change_rows(pair: Pair, joints: Iterable[JointChange]) -> list[Row]:
    """Write the joints of one pair as rows of changes.csv.

    Parameters
    ----------
    pair : Pair
        Who and when.
    joints : iterable of JointChange
        From `compare_time_points`.

    Returns
    -------
    list of dict
        A text for each of `COLUMNS`; unknown values are empty.
    """
    shared = {
        "pair": harmless_text(pair.name),
        "subject": harmless_text(pair.subject),
        "baseline_source": harmless_path(pair.baseline.source),
        "followup_source": harmless_path(pair.followup.source),
        "baseline_date": harmless_text(pair.baseline.date),
        "followup_date": harmless_text(pair.followup.date),
    }
    rows = [shared | _joint_columns(joint) for joint in joints]
    return [{name: row.get(name, "") for name in COLUMNS} for row in rows]


def write_changes_csv(path: Path, rows: Iterable[Row]) -> None:
    """Write changes.csv: UTF-8, comma, LF, header, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())


def _joint_columns(joint: JointChange) -> Row:
    """Write what is known of one joint."""
    return {
        "level": joint.joint.level.value,
        "side": joint.joint.side.value,
        "grade_baseline": _grade(joint.grade_baseline),
        "grade_followup": _grade(joint.grade_followup),
        "change": joint.change.value,
        "reason": joint.reason,
        "contrast": joint.contrast.value if joint.contrast else "",
        **_difference_columns(joint),
        **_registration_columns(joint),
        "flags_baseline": _flags(joint.baseline.flags if joint.baseline else ()),
        "flags_followup": _flags(joint.followup.flags if joint.followup else ()),
        "mean_grade_change": _plain(change, 2)
        if (change := joint.mean_grade_change) is not None
        else "",
    }


def _difference_columns(joint: JointChange) -> Row:
    """Write the changes and the smallest detectable ones."""
    row: Row = {}
    for extent, difference in joint.differences.items():
        row[_CHANGES[extent]] = _number(extent, difference.change)
        row[_DETECTABLE[extent]] = _number(extent, difference.detectable)
    return row


def _registration_columns(joint: JointChange) -> Row:
    """Write how well the joint was registered."""
    found = joint.registration
    if found is None:
        return {}
    return {
        "registration_error_mm": _plain(found.error_mm, 2),
        "registration_similarity": _plain(found.similarity, 3),
        "registration_planes": ";".join(plane.value for plane in found.planes),
    }


def _number(extent: Extent, value: float) -> str:
    if extent is Extent.PERIMETER_FRACTION:
        return format_fraction(value)
    return format_mm(value)


def _plain(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else ""


def _grade(grade: int | None) -> str:
    return "" if grade is None else str(grade)


def _flags(flags: Iterable[Flag]) -> str:
    return ";".join(flag.value for flag in Flag if flag in tuple(flags))
