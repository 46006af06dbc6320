"""The list of annotated cases: one row per joint, study and reader."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.errors import FacetGradeError

COLUMNS = (
    "subject",  # person; all rows of a person are in one split
    "study",  # name of the examination, by default the source
    "source",  # study folder, archive or images, joined by ;
    "level",  # L1-L2 ... L5-S1
    "side",  # left or right, of the patient
    "mask",  # NIfTI label maps or DICOM SEG files, joined by ;
    "labels",  # what the numbers of each mask mean, joined by ;
    "annotated",  # structures and lesions that were looked for, joined by ;
    "reader",  # who annotated
    "grade",  # 0-4
    "x_mm",  # center of the joint, LPS
    "y_mm",
    "z_mm",
    "split",  # train, validation or test
    "group",  # scanner, site or other subgroup of comparisons
)
REQUIRED = ("subject", "source", "level", "side")
SPLITS = ("train", "validation", "test")
LABEL_SCHEMES = ("study", "joint", "structures", "lesions")
ALL_STRUCTURES, ALL_LESIONS = "structures", "lesions"
_NAMES = (
    {structure.name.lower() for structure in Structure}
    | {lesion.value for lesion in Lesion}
    | {ALL_STRUCTURES, ALL_LESIONS}
)


class ManifestError(FacetGradeError):
    """A manifest is missing, malformed or contradicts itself."""

    def __init__(self, path: Path, row: int, problem: str) -> None:
        self.path = path
        self.row = row
        super().__init__(
            f"{path}: row {row}: {problem}" if row else f"{path}: {problem}"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestRow:
    """What one reader says of one joint of one study.

    Attributes
    ----------
    number : int
        Row of the file, 1 for the first one under the header.
    subject, study, reader, group : str
        Names; `study` is the source where the file does not say.
    sources : tuple of Path
        Study folder, archive or images.
    joint : FacetJoint
        Level and side.
    masks : tuple of Path
        Label maps and segmentation objects, empty for a weak label.
    schemes : tuple of str
        For each mask one of `LABEL_SCHEMES`: ``study`` numbers of `labels.tsv` (20 per
        joint), ``joint`` structures 1-12 and lesions 13-16, ``structures`` 1-12,
        ``lesions`` 1-4. Segmentation objects name their segments themselves.
    annotated : frozenset of str
        Names of structures and lesions that were looked for; empty for all that the
        scheme of the masks can say.
    grade : int or None
        Czervionke-Fenton grade.
    center_lps_mm : tuple of float or None
        Center of the joint.
    split : str
        One of `SPLITS`, or empty: drawn by subject.
    """

    number: int
    subject: str
    study: str
    sources: tuple[Path, ...]
    joint: FacetJoint
    masks: tuple[Path, ...]
    schemes: tuple[str, ...]
    annotated: frozenset[str]
    reader: str
    grade: int | None
    center_lps_mm: tuple[float, float, float] | None
    split: str
    group: str

    @property
    def case(self) -> tuple[str, FacetJoint]:
        """What several readers may annotate: this joint of this study."""
        return self.study, self.joint


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All rows of a file.

    Attributes
    ----------
    path : Path
        The file; relative paths in it count from its folder.
    sha256 : str
        Hash of the file.
    rows : tuple of ManifestRow
        In the order of the file.
    """

    path: Path
    sha256: str
    rows: tuple[ManifestRow, ...]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest of annotated cases.

    Parameters
    ----------
    path : Path
        CSV with the columns of `COLUMNS` (only those of `REQUIRED` must be there), or
        JSON with a list of objects with such keys.

    Raises
    ------
    ManifestError
        If the file cannot be read, a column is unknown or missing, or a value is
        impossible. Files that it names are not opened.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ManifestError(path, 0, f"cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(path, 0, "is not UTF-8 text") from error
    try:
        is_json = path.suffix == ".json"
        table = _json_rows(path, text) if is_json else _csv_rows(path, text)
    except csv.Error as error:
        raise ManifestError(path, 0, f"is not a CSV table ({error})") from error
    rows = tuple(_row(path, k, values) for k, values in enumerate(table, start=1))
    if not rows:
        raise ManifestError(path, 0, "has no rows")
    return Manifest(path=path, sha256=hashlib.sha256(content).hexdigest(), rows=rows)


def _csv_rows(path: Path, text: str) -> list[dict[str, str]]:
    """Read the rows of a CSV file."""
    reader = csv.DictReader(text.splitlines())
    _check_columns(path, 0, reader.fieldnames or ())
    rows = []
    for number, row in enumerate(reader, start=1):
        if None in row:
            raise ManifestError(path, number, "has more fields than the header")
        rows.append({key: (value or "").strip() for key, value in row.items()})
    return rows


def _json_rows(path: Path, text: str) -> list[dict[str, str]]:
    """Read the rows of a JSON file."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(path, 0, f"is not valid JSON ({error})") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ManifestError(path, 0, "must be a list of objects, one per row")
    for number, row in enumerate(rows, start=1):
        _check_columns(path, number, row)
    return [{key: _as_text(value) for key, value in row.items()} for row in rows]


def _as_text(value: Any) -> str:
    """Write a JSON value as a cell; lists are joined by ;."""
    if value is None:
        return ""
    return ";".join(map(str, value)) if isinstance(value, list) else str(value).strip()


def _check_columns(
    path: Path, row: int, names: Sequence[str] | Mapping[str, Any]
) -> None:
    """Refuse unknown and missing columns."""
    unknown = sorted(set(names) - set(COLUMNS))
    if unknown:
        known = ", ".join(COLUMNS)
        raise ManifestError(
            path, row, f"unknown column {unknown[0]}; known are {known}"
        )
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise ManifestError(path, row, f"column {missing[0]} is missing")


def _row(path: Path, number: int, values: Mapping[str, str]) -> ManifestRow:
    """Check the cells of one row."""
    empty = [name for name in REQUIRED if not values[name]]
    if empty:
        raise ManifestError(path, number, f"{empty[0]} is empty")
    masks = _paths(path, values.get("mask", ""))
    grade = _grade(path, number, values.get("grade", ""))
    if not masks and grade is None:
        raise ManifestError(path, number, "has neither a mask nor a grade")
    split = values.get("split", "").lower()
    if split not in (*SPLITS, ""):
        raise ManifestError(path, number, f"split {split!r} is not one of {SPLITS}")
    return ManifestRow(
        number=number,
        subject=values["subject"],
        study=values.get("study") or values["source"],
        sources=_paths(path, values["source"]),
        joint=_joint(path, number, values),
        masks=masks,
        schemes=_schemes(path, number, values.get("labels", ""), len(masks)),
        annotated=_annotated(path, number, values.get("annotated", "")),
        reader=values.get("reader", ""),
        grade=grade,
        center_lps_mm=_center(path, number, values),
        split=split,
        group=values.get("group", ""),
    )


def _parts(text: str) -> list[str]:
    """Split a cell at its semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


def _paths(manifest: Path, text: str) -> tuple[Path, ...]:
    """Read paths relative to the manifest."""
    return tuple(manifest.parent / part for part in _parts(text))


def _joint(path: Path, number: int, values: Mapping[str, str]) -> FacetJoint:
    """Read level and side."""
    try:
        return FacetJoint(Level(values["level"].upper()), Side(values["side"].lower()))
    except ValueError as error:
        raise ManifestError(
            path,
            number,
            f"{error}; levels are {', '.join(Level)}, sides {', '.join(Side)}",
        ) from None


def _grade(path: Path, number: int, text: str) -> int | None:
    """Read a grade, None for an empty cell."""
    if not text:
        return None
    if text not in "01234" or len(text) != 1:
        raise ManifestError(path, number, f"grade {text!r} is not 0, 1, 2, 3 or 4")
    return int(text)


def _schemes(path: Path, number: int, text: str, masks: int) -> tuple[str, ...]:
    """Read how the masks are numbered; one scheme may stand for all."""
    schemes = _parts(text) or ["study"]
    unknown = [scheme for scheme in schemes if scheme not in LABEL_SCHEMES]
    if unknown:
        known = ", ".join(LABEL_SCHEMES)
        raise ManifestError(
            path, number, f"labels {unknown[0]!r} is not one of {known}"
        )
    if len(schemes) == 1:
        return tuple(schemes * masks)
    if len(schemes) != masks:
        raise ManifestError(
            path, number, f"labels names {len(schemes)} schemes for {masks} masks"
        )
    return tuple(schemes)


def _annotated(path: Path, number: int, text: str) -> frozenset[str]:
    """Read the names of what was annotated."""
    names = frozenset(part.lower().replace("-", "_") for part in _parts(text))
    unknown = sorted(names - _NAMES)
    if unknown:
        raise ManifestError(
            path, number, f"annotated {unknown[0]!r} is no structure or lesion"
        )
    return names


def _center(
    path: Path, number: int, values: Mapping[str, str]
) -> tuple[float, float, float] | None:
    """Read the center of the joint; all three coordinates or none."""
    cells = [values.get(name, "") for name in ("x_mm", "y_mm", "z_mm")]
    if not any(cells):
        return None
    try:
        x_mm, y_mm, z_mm = (float(cell) for cell in cells)
    except ValueError:
        raise ManifestError(
            path, number, f"x_mm, y_mm, z_mm must be three numbers, got {cells}"
        ) from None
    if not all(map(math.isfinite, (x_mm, y_mm, z_mm))):
        raise ManifestError(path, number, "x_mm, y_mm, z_mm must be finite")
    return x_mm, y_mm, z_mm
