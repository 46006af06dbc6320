"""Tables of a review: reads, results, audit trail and agreement, as CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from facetgrade.report.atomic import write_bytes, write_json
from facetgrade.report.tables import harmless_path, harmless_text
from facetgrade.report.words import RESEARCH_USE
from facetgrade.review.agreement import (
    adjudication_rate,
    agreement_section,
    compare_grades,
)
from facetgrade.review.chain import AuditEntry
from facetgrade.review.charter import Charter
from facetgrade.review.queries import current
from facetgrade.review.records import (
    SLOTS,
    AdjudicatedResult,
    Case,
    ReadRecord,
    StudyRef,
    Visit,
)
from facetgrade.review.store import Store

Row = dict[str, str]

CASE_COLUMNS = ("case", "patient", "visit", "source", "study_uid", "level", "side")
READ_COLUMNS = (
    "read",
    "reader",
    "purpose",
    *CASE_COLUMNS,
    "grade",
    "reason",
    "shown_as",
    "current",
    "locked_at",
    "elapsed_s",
    "ai_visible",
    "replaces",
    "correction_reason",
    "comment",
    "extents",
    "item",
    "audit_number",
)
RESULT_COLUMNS = (*CASE_COLUMNS, "grade", "reason", "basis", "reads", "ai_grade")
AUDIT_COLUMNS = (
    "number",
    "at",
    "action",
    "who",
    "address",
    "software",
    "models",
    "subject",
    "rows",
    "previous",
    "hash",
)


def write_export(store: Store, out: Path, *, with_agreement: bool) -> tuple[Path, ...]:
    """Write everything a review holds except passwords and masks.

    Parameters
    ----------
    store : Store
        The review.
    out : Path
        Folder of ``reads.csv``, ``results.csv``, ``audit.csv`` and ``review.json``.
    with_agreement : bool
        Write ``agreement.json`` too; its intervals take a while.

    Returns
    -------
    tuple of Path
        What was written.
    """
    charter, cases = store.charter(), store.cases()
    reads, results = store.reads(), store.results()
    tables = {
        "reads": (READ_COLUMNS, read_rows(cases, reads)),
        "results": (RESULT_COLUMNS, result_rows(cases, results)),
        "audit": (AUDIT_COLUMNS, audit_rows(store.audit())),
    }
    written = []
    for name, (columns, rows) in tables.items():
        written.append(out / f"{name}.csv")
        write_bytes(written[-1], _csv(columns, rows))
    record = {
        "notice": RESEARCH_USE,
        "charter": charter.model_dump(mode="json"),
        **{name: rows for name, (_, rows) in tables.items()},
    }
    written.append(out / "review.json")
    write_json(written[-1], record)
    if with_agreement:
        written.append(out / "agreement.json")
        write_json(
            written[-1], _agreement_record(cases, current(reads), results, charter)
        )
    return tuple(written)


def read_rows(cases: Sequence[Case], reads: Iterable[ReadRecord]) -> list[Row]:
    """Write one row per read and visit, corrected reads included."""
    known = tuple(reads)
    valid = {read.read_id for read in current(known)}
    by_id = {case.case_id: case for case in cases}
    return [
        {
            "read": read.read_id,
            "reader": read.reader,
            "purpose": read.purpose.value,
            **_place(by_id[read.case_id], visit, read.joint),
            **_finding(read, visit),
            "current": _yes(read.read_id in valid),
            "locked_at": read.locked_at,
            "elapsed_s": f"{read.submission.elapsed_s:g}",
            "ai_visible": _yes(read.ai_visible),
            "replaces": read.replaces,
            "correction_reason": harmless_text(read.submission.correction_reason),
            "comment": harmless_text(read.submission.comment),
            "item": read.submission.item_id,
            "audit_number": str(read.number),
        }
        for read in known
        for visit in sorted(read.visits, key=list(Visit).index)
    ]


def result_rows(
    cases: Sequence[Case], results: Iterable[AdjudicatedResult]
) -> list[Row]:
    """Write one row per joint and visit."""
    by_id = {case.case_id: case for case in cases}
    ai = {
        (case.case_id, one.visit, one.joint): one.grade
        for case in cases
        for one in case.ai
    }
    return [
        {
            **_place(by_id[one.case_id], one.visit, one.joint),
            "grade": _grade(one.grade),
            "reason": one.reason,
            "basis": one.basis.value,
            "reads": " ".join(one.reads),
            "ai_grade": _grade(ai.get((one.case_id, one.visit, one.joint))),
        }
        for one in results
    ]


def audit_rows(entries: Iterable[AuditEntry]) -> list[Row]:
    """Write one row per audit entry."""
    return [
        {
            "number": str(entry.number),
            "at": entry.at,
            "action": entry.action,
            "who": harmless_text(entry.origin.who),
            "address": harmless_text(entry.origin.address),
            "software": entry.origin.software,
            "models": json.dumps(dict(entry.origin.models), sort_keys=True),
            "subject": json.dumps(dict(entry.subject), sort_keys=True),
            "rows": json.dumps(dict(entry.rows), sort_keys=True),
            "previous": entry.previous,
            "hash": entry.mac,
        }
        for entry in entries
    ]


def _agreement_record(
    cases: Sequence[Case],
    reads: Sequence[ReadRecord],
    results: Sequence[AdjudicatedResult],
    charter: Charter,
) -> dict[str, Any]:
    """Summarize all agreement of the review."""
    compared = compare_grades(cases, reads, results, charter)
    return {
        "notice": RESEARCH_USE,
        "statistics": charter.statistics.model_dump(mode="json"),
        "adjudication": adjudication_rate(results),
        "comparisons": [agreement_section(one, charter) for one in compared],
    }


def _place(case: Case, visit: Visit, joint: Any) -> Row:
    """Write what was read."""
    study: StudyRef = next(one for one in case.studies if one.visit is visit)
    return {
        "case": case.case_id,
        "patient": harmless_text(case.patient),
        "visit": visit.value,
        "source": harmless_path(study.source),
        "study_uid": study.study_uid,
        "level": joint.level.value,
        "side": joint.side.value,
    }


def _finding(read: ReadRecord, visit: Visit) -> Row:
    """Write what was said of one visit."""
    finding = read.finding_at(visit)
    return {
        "grade": _grade(finding.grade),
        "reason": finding.reason,
        "shown_as": SLOTS[read.visits.index(visit)],
        "extents": json.dumps(dict(finding.extents), sort_keys=True),
    }


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> bytes:
    """Write UTF-8, comma, LF, with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _grade(grade: int | None) -> str:
    return "" if grade is None else str(grade)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
