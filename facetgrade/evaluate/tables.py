"""Read joints.csv and readers' grades, and put them beside each other."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.errors import FacetGradeError
from facetgrade.evaluate.agreement import GRADES, UNGRADABLE

Row = Mapping[str, str]
DEFAULT_READER = "reference"
LEVEL = re.compile(r"^([LS]\d)\s*[-/]\s*([LS]?)(\d)$", re.IGNORECASE)


class TableError(FacetGradeError):
    """A table of joints or grades lacks a column or has an impossible value."""

    def __init__(self, path: Path, line: int, problem: str) -> None:
        self.path, self.line = path, line
        super().__init__(f"{path.name}, line {line}: {problem}")


@dataclass(frozen=True, slots=True)
class PredictedJoint:
    """One row of joints.csv, as far as it is compared.

    Attributes
    ----------
    source, study_uid, subject, date : str
        As in the table.
    joint : FacetJoint
        Level and side.
    grade : int
        0-4, or `UNGRADABLE`.
    probabilities : tuple of float
        p0 ... p4, empty when the table has none.
    grade_set : tuple of int
        Prediction set, empty when the table has none.
    """

    source: str
    study_uid: str
    subject: str
    date: str
    joint: FacetJoint
    grade: int
    probabilities: tuple[float, ...]
    grade_set: tuple[int, ...]

    @property
    def patient(self) -> str:
        """Cluster of the bootstrap: the subject, without one the study."""
        return self.subject or self.study_uid or self.source


@dataclass(frozen=True, slots=True)
class ReaderGrade:
    """One row of the readers' table.

    Attributes
    ----------
    line : int
        Line of the file, 1 = header.
    source, study_uid : str
        At least one names the study.
    joint : FacetJoint
        Level and side.
    reader : str
        Who graded.
    grade : int
        0-4, or `UNGRADABLE` when left empty.
    """

    line: int
    source: str
    study_uid: str
    joint: FacetJoint
    reader: str
    grade: int

    def __str__(self) -> str:
        """Name the row for a message."""
        study = self.source or self.study_uid
        return f"line {self.line}: {study} {self.joint} ({self.reader})"


@dataclass(frozen=True, slots=True)
class MatchedGrade:
    """A reader's grade beside the predicted joint it belongs to."""

    reader: str
    truth: int
    predicted: PredictedJoint


def read_predictions(path: Path) -> tuple[PredictedJoint, ...]:
    """Read joints.csv.

    Raises
    ------
    TableError
        If a column is missing, a value impossible or a joint listed twice.
    """
    joints = []
    seen: set[tuple[str, str, FacetJoint]] = set()
    for line, row in _rows(path, required=("level", "side", "grade")):
        source, study_uid = _study_names(path, line, row)
        joint = _joint(path, line, row)
        if (source, study_uid, joint) in seen:
            raise TableError(path, line, f"{joint} of {source or study_uid} is twice")
        seen.add((source, study_uid, joint))
        joints.append(
            PredictedJoint(
                source=source,
                study_uid=study_uid,
                subject=row.get("subject", ""),
                date=row.get("study_date", ""),
                joint=joint,
                grade=_grade(path, line, row["grade"]),
                probabilities=_probabilities(path, line, row),
                grade_set=_grade_set(path, line, row.get("grade_set", "")),
            )
        )
    return tuple(joints)


def read_grades(path: Path) -> tuple[ReaderGrade, ...]:
    """Read the grades of one or more readers.

    Raises
    ------
    TableError
        If a column is missing, a value impossible or a joint listed twice.
    """
    grades = []
    seen: set[tuple[str, str, FacetJoint, str]] = set()
    for line, row in _rows(path, required=("level", "side", "grade")):
        source, study_uid = _study_names(path, line, row)
        joint = _joint(path, line, row)
        reader = row.get("reader", "") or DEFAULT_READER
        if (source, study_uid, joint, reader) in seen:
            raise TableError(
                path, line, f"{joint} of {source or study_uid} is twice for {reader}"
            )
        seen.add((source, study_uid, joint, reader))
        grade = _grade(path, line, row["grade"])
        grades.append(ReaderGrade(line, source, study_uid, joint, reader, grade))
    return tuple(grades)


def match_grades(
    predictions: Sequence[PredictedJoint], grades: Sequence[ReaderGrade], *, path: Path
) -> tuple[list[MatchedGrade], list[ReaderGrade]]:
    """Put each reader's grade beside its joint; return what found none, too.

    Study and joint decide; study_uid goes before source, since a folder may hold
    several studies.

    Raises
    ------
    TableError
        If a source stands for several studies and no study_uid is given.
    """
    by_uid = {(p.study_uid, p.joint): p for p in predictions if p.study_uid}
    by_source: dict[tuple[str, FacetJoint], list[PredictedJoint]] = {}
    for prediction in predictions:
        by_source.setdefault((prediction.source, prediction.joint), []).append(
            prediction
        )
    matched, unmatched = [], []
    for row in grades:
        same_source = by_source.get((row.source, row.joint), []) if row.source else []
        found = by_uid.get((row.study_uid, row.joint))
        if found is None and len(same_source) > 1:
            raise TableError(
                path, row.line, f"{row.source!r} holds several studies; add study_uid"
            )
        found = found or (same_source[0] if same_source else None)
        if found is None:
            unmatched.append(row)
        else:
            matched.append(MatchedGrade(row.reader, row.grade, found))
    return matched, unmatched


def _rows(path: Path, *, required: Iterable[str]) -> list[tuple[int, Row]]:
    """Return (line number, stripped row) of each row of a CSV file."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(path, 1, "not UTF-8 text; export it as CSV") from error
    reader = csv.DictReader(text.splitlines())
    columns = [name.strip() for name in reader.fieldnames or ()]
    missing = [name for name in required if name not in columns]
    if not {"source", "study_uid"} & set(columns):
        missing.append("source or study_uid")
    if missing:
        raise TableError(path, 1, f"no column {', '.join(missing)}")
    reader.fieldnames = columns
    try:
        return [
            (
                reader.line_num,
                {key: (value or "").strip() for key, value in row.items() if key},
            )
            for row in reader
        ]
    except csv.Error as error:
        raise TableError(path, reader.line_num, f"not a CSV table ({error})") from error


def _study_names(path: Path, line: int, row: Row) -> tuple[str, str]:
    """Return source and study_uid, one of which must be there."""
    source, study_uid = row.get("source", ""), row.get("study_uid", "")
    if not (source or study_uid):
        raise TableError(path, line, "neither source nor study_uid is given")
    return source, study_uid


def _joint(path: Path, line: int, row: Row) -> FacetJoint:
    """Read level (L4-L5, L4/5) and side (left, right, L, R)."""
    match = LEVEL.match(row["level"])
    try:
        upper, letter, number = match.groups() if match else ("", "", "")
        prefix = letter or ("S" if upper.upper() == "L5" and number == "1" else "L")
        level = Level(f"{upper}-{prefix}{number}".upper())
        side = {"l": Side.LEFT, "r": Side.RIGHT}.get(row["side"].lower())
        return FacetJoint(level, side or Side(row["side"].lower()))
    except ValueError as error:
        raise TableError(
            path,
            line,
            f"level and side must be like L4-L5 and left, "
            f"got {row['level']!r} and {row['side']!r}",
        ) from error


def _grade(path: Path, line: int, text: str) -> int:
    """Read a grade; empty is ungradable."""
    if not text:
        return UNGRADABLE
    if text not in {str(grade) for grade in range(GRADES)}:
        raise TableError(path, line, f"grade must be 0-4 or empty, got {text!r}")
    return int(text)


def _probabilities(path: Path, line: int, row: Row) -> tuple[float, ...]:
    """Read p0-p4; empty when any is."""
    texts = [row.get(f"p{grade}", "") for grade in range(GRADES)]
    if not all(texts):
        return ()
    try:
        return tuple(float(text) for text in texts)
    except ValueError as error:
        raise TableError(path, line, f"p0-p4 must be numbers, got {texts}") from error


def _grade_set(path: Path, line: int, text: str) -> tuple[int, ...]:
    """Read a list like 2;3."""
    return tuple(_grade(path, line, part) for part in text.split(";") if part)
