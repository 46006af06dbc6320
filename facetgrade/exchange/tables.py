"""joints.csv as Parquet, and as records with data dictionary for REDCap."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.errors import IngestError
from facetgrade.exchange.columns import JOINT_COLUMNS, Column, ColumnType
from facetgrade.exchange.segments import tracking_id
from facetgrade.report.tables import COLUMNS

Row = Mapping[str, str]

DICTIONARY_HEADER = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
FORM = "facet_joint"
RECORD_ID = "record_id"
_NOTE = "Measured by facetgrade, for research use only"
_FIELD_TYPES = {
    ColumnType.CHOICE: "radio",
    ColumnType.CHOICES: "checkbox",
    ColumnType.YES_NO: "yesno",
}
_SEPARATOR = ";"


def read_joints_csv(path: Path) -> list[dict[str, str]]:
    """Read joints.csv with exactly its columns.

    Raises
    ------
    IngestError
        If the file cannot be read or has other columns.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise IngestError(f"{path}: cannot be read as a table of joints") from error
    if columns != COLUMNS:
        raise IngestError(
            f"{path}: has other columns than joints.csv of this version; was it edited "
            "or made by another version?"
        )
    return rows


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """Encode rows of joints.csv as Parquet with types; unknown values are null.

    Dates are dates, masked ones whole numbers of days; lists are lists; the label of
    each column is in its field metadata as ``description``.
    """
    import pyarrow
    from pyarrow import parquet

    dated = _are_dates(rows)
    schema = pyarrow.schema(
        [
            pyarrow.field(
                name,
                _arrow_type(column.type, dated),
                metadata={"description": column.label},
            )
            for name, column in JOINT_COLUMNS.items()
        ]
    )
    values = {
        name: [_value(row[name], column.type, dated) for row in rows]
        for name, column in JOINT_COLUMNS.items()
    }
    stream = io.BytesIO()
    parquet.write_table(pyarrow.table(values, schema=schema), stream)
    return stream.getvalue()


def redcap_records(rows: Sequence[Row]) -> str:
    """Write rows of joints.csv as CSV that REDCap imports: one record per joint.

    Choices are written by their codes, checkboxes as one column for each choice.
    """
    names = [RECORD_ID]
    for name, column in JOINT_COLUMNS.items():
        names += _redcap_names(name, column)
    names.append(f"{FORM}_complete")
    records = []
    for row in rows:
        record = {RECORD_ID: record_id(row), f"{FORM}_complete": "2"}
        for name, column in JOINT_COLUMNS.items():
            record |= _redcap_values(name, column, row[name])
        records.append(record)
    return _csv(names, records)


def redcap_dictionary(rows: Sequence[Row]) -> str:
    """Write the data dictionary from which REDCap makes the project.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of joints.csv; they tell whether dates are masked.
    """
    dated = _are_dates(rows)
    fields = [_field(RECORD_ID, Column(ColumnType.TEXT, "Study and joint"), dated)]
    fields += [_field(name, column, dated) for name, column in JOINT_COLUMNS.items()]
    return _csv(DICTIONARY_HEADER, fields)


def record_id(row: Row) -> str:
    """Name the record of one joint, the same in every export.

    Returns
    -------
    str
        Such as ``P0123456789AB_1f2e3d4c_L4L5_R``: subject, study, joint.
    """
    joint = FacetJoint(Level(row["level"]), Side(row["side"]))
    study = hashlib.sha256(row["study_uid"].encode()).hexdigest()[:8]
    subject = re.sub(r"[^A-Za-z0-9]+", "", row["subject"]) or "study"
    return f"{subject}_{study}_{tracking_id(joint)}"


def code(value: str) -> str:
    """Turn a value into a code that REDCap accepts: letters, digits, underscores."""
    return value.replace("-", "_")


def _are_dates(rows: Iterable[Row]) -> bool:
    """Tell dates from masked dates."""
    return not any(row["study_date"].isdigit() for row in rows)


def _arrow_type(kind: ColumnType, dated: bool) -> Any:
    """Return the Arrow type of a column."""
    import pyarrow

    types = {
        ColumnType.NUMBER: pyarrow.float64(),
        ColumnType.YES_NO: pyarrow.bool_(),
        ColumnType.DATE: pyarrow.date32() if dated else pyarrow.int32(),
        ColumnType.CHOICES: pyarrow.list_(pyarrow.string()),
        ColumnType.TEXTS: pyarrow.list_(pyarrow.string()),
        ColumnType.INTEGERS: pyarrow.list_(pyarrow.int8()),
    }
    return types.get(kind, pyarrow.string())


def _value(text: str, kind: ColumnType, dated: bool) -> Any:
    """Read the text of a cell, None when it is empty."""
    if kind in (ColumnType.CHOICES, ColumnType.TEXTS):
        return text.split(_SEPARATOR) if text else []
    if kind is ColumnType.INTEGERS:
        return [int(part) for part in text.split(_SEPARATOR)] if text else []
    if not text:
        return None
    if kind is ColumnType.NUMBER:
        return float(text)
    if kind is ColumnType.YES_NO:
        return text == "1"
    if kind is ColumnType.DATE:
        return date.fromisoformat(text) if dated else int(text)
    return text


def _redcap_names(name: str, column: Column) -> list[str]:
    """Return the import columns of a field."""
    if column.type is ColumnType.CHOICES and column.choices:
        return [f"{name}___{code(choice)}" for choice in column.choices]
    return [name]


def _redcap_values(name: str, column: Column, text: str) -> dict[str, str]:
    """Return the import values of a field."""
    if column.type is ColumnType.CHOICES and column.choices:
        chosen = text.split(_SEPARATOR)
        return {
            f"{name}___{code(choice)}": str(int(choice in chosen))
            for choice in column.choices
        }
    return {name: code(text) if column.type is ColumnType.CHOICE else text}


def _field(name: str, column: Column, dated: bool) -> dict[str, str]:
    """Describe one field of the data dictionary."""
    choices = " | ".join(
        f"{code(value)}, {meaning}" for value, meaning in (column.choices or {}).items()
    )
    validation = {
        ColumnType.NUMBER: "number",
        ColumnType.DATE: "date_ymd" if dated else "integer",
    }.get(column.type, "")
    filled = {
        "Variable / Field Name": name,
        "Form Name": FORM,
        "Field Type": _FIELD_TYPES.get(column.type, "text"),
        "Field Label": column.label,
        "Choices, Calculations, OR Slider Labels": choices,
        "Field Note": _NOTE if name == RECORD_ID else "",
        "Text Validation Type OR Show Slider Number": validation,
        "Text Validation Min": _limit(column.low),
        "Text Validation Max": _limit(column.high),
        "Identifier?": "y" if column.identifies else "",
    }
    return dict.fromkeys(DICTIONARY_HEADER, "") | filled


def _limit(value: float | None) -> str:
    """Write a limit, empty when there is none."""
    return "" if value is None else f"{value:g}"


def _csv(names: Sequence[str], records: Iterable[Mapping[str, str]]) -> str:
    """Write records as CSV."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()
