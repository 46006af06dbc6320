"""Questions to the database of a review, within an open transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, func, select

from facetgrade.anatomy import FacetJoint
from facetgrade.review.charter import Charter
from facetgrade.review.coding import case_of, item_of, read_of
from facetgrade.review.errors import NotFoundError, ReviewError
from facetgrade.review.records import (
    AFTER_FIRST_READ,
    Case,
    Purpose,
    ReadRecord,
    WorkItem,
)
from facetgrade.review.results import first_reads, needs_adjudication
from facetgrade.review.tables import CASE, CHARTER, ITEM, READ

Row = Mapping[str, Any]


def charter_in(connection: Connection) -> Charter:
    """Return the charter.

    Raises
    ------
    ReviewError
        If the review has not begun.
    """
    content = connection.execute(select(CHARTER.c.content)).scalar()
    if content is None:
        raise ReviewError("the database holds no review; start one with review serve")
    return _parsed_charter(content)


def cases_in(connection: Connection) -> tuple[Case, ...]:
    """Return all cases in the order they were planned."""
    return tuple(_case(row) for row in rows_in(connection, CASE))


def case_in(connection: Connection, case_id: str) -> Case:
    """Return one case.

    Raises
    ------
    NotFoundError
        If there is none of this name.
    """
    for row in rows_in(connection, CASE, id=case_id):
        return _case(row)
    raise NotFoundError("there is no such case")


def new_cases(connection: Connection, cases: Sequence[Case]) -> list[Case]:
    """Return the cases whose studies are not planned yet."""
    known = {_studies(case) for case in cases_in(connection)}
    return [case for case in cases if _studies(case) not in known]


def planned(connection: Connection) -> tuple[int, int]:
    """Return how many batches were planned, and the last position of any list."""
    batches = connection.execute(select(func.count(CASE.c.number.distinct()))).scalar()
    last = connection.execute(select(func.max(ITEM.c.position))).scalar()
    return int(batches or 0), int(last or 0)


def rows_in(connection: Connection, table: Table, **wanted: str | None) -> list[Row]:
    """Return rows in the order they were written; None asks for any value."""
    asked = {name: value for name, value in wanted.items() if value is not None}
    found = connection.execute(_rows_where(table, tuple(asked)), asked)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found]


def reads_in(connection: Connection, **wanted: str | None) -> tuple[ReadRecord, ...]:
    """Return reads, corrected ones included, in order of time."""
    return tuple(_read(row) for row in rows_in(connection, READ, **wanted))


def current(reads: Iterable[ReadRecord]) -> tuple[ReadRecord, ...]:
    """Leave out reads that a correction replaced."""
    found = tuple(reads)
    replaced = {read.replaces for read in found}
    return tuple(read for read in found if read.read_id not in replaced)


def by_key(connection: Connection, table: Table, reader: str, key: str) -> Row | None:
    """Return the row that a key of a reader made."""
    found = rows_in(connection, table, reader=reader, key=key)
    return found[0] if found else None


def revisions_of(
    connection: Connection, item: WorkItem, joint: FacetJoint
) -> list[str]:
    """Return the names of the reads of a joint in an item, first read first."""
    query = (
        select(READ.c.id)
        .where(READ.c.item_id == item.item_id)
        .where(READ.c.level == joint.level.value, READ.c.side == joint.side.value)
        .order_by(READ.c.revision)
    )
    return list(connection.execute(query).scalars())


def item_in(connection: Connection, item_id: str, reader: str) -> WorkItem:
    """Return one entry of the work list of a person.

    Raises
    ------
    NotFoundError
        If the person has no such entry.
    """
    rows = rows_in(connection, ITEM, id=item_id, reader=reader)
    if not rows:
        raise NotFoundError("there is no such item in your work list")
    case = case_in(connection, rows[0]["case_id"])
    reads = reads_in(connection, case_id=case.case_id)
    return _complete(rows[0], case, reads, charter_in(connection))


def items_in(connection: Connection, reader: str) -> tuple[WorkItem, ...]:
    """Return the work list of a person, in order; adjudications that are needed."""
    rows = rows_in(connection, ITEM, reader=reader)
    charter = charter_in(connection)
    cases = {case.case_id: case for case in cases_in(connection)}
    others = any(row["purpose"] == Purpose.ADJUDICATION.value for row in rows)
    reads = reads_in(connection, reader=None if others else reader)
    by_case: dict[str, list[ReadRecord]] = {}
    for read in reads:
        by_case.setdefault(read.case_id, []).append(read)
    items = [
        _complete(row, cases[row["case_id"]], by_case.get(row["case_id"], ()), charter)
        for row in rows
    ]
    return tuple(
        sorted((one for one in items if one.joints), key=lambda one: one.position)
    )


@lru_cache(maxsize=64)
def _rows_where(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Write the question once: building it takes longer than answering it."""
    asked = [table.c[name] == bindparam(name) for name in names]
    return select(table).where(*asked).order_by(table.c.number, table.c.id)


@lru_cache(maxsize=4)
def _parsed_charter(content: str) -> Charter:
    return Charter.model_validate_json(content)


def _case(row: Row) -> Case:
    return _parsed_case(row["id"], row["patient"], row["content"])


@lru_cache(maxsize=4096)
def _parsed_case(case_id: str, patient: str, content: str) -> Case:
    return case_of({"id": case_id, "patient": patient, "content": content})


def _read(row: Row) -> ReadRecord:
    return _parsed_read(tuple(row.items()))


# Rows are never changed, and a list of work asks for the same ones again and again.
@lru_cache(maxsize=16384)
def _parsed_read(row: tuple[tuple[str, Any], ...]) -> ReadRecord:
    return read_of(dict(row))


def _complete(
    row: Row, case: Case, reads: Sequence[ReadRecord], charter: Charter
) -> WorkItem:
    """Say which joints of an item are to be read, which are, and from when."""
    item = item_of(row, case.joints)
    own = [read for read in reads if read.submission.item_id == item.item_id]
    locked = frozenset(read.joint for read in own)
    if item.purpose is Purpose.ADJUDICATION:
        joints = _to_adjudicate(case, reads, charter)
        kept = tuple(j for j in case.joints if j in joints or j in locked)
        return replace(item, joints=kept, locked=locked)
    return replace(item, locked=locked, available_from=_opening(item, reads, charter))


def _to_adjudicate(
    case: Case, reads: Sequence[ReadRecord], charter: Charter
) -> set[FacetJoint]:
    """Return the joints on which the readers differ."""
    visits = [study.visit for study in case.studies]
    return {
        joint
        for (_, joint), own in first_reads(current(reads)).items()
        if needs_adjudication(own, visits, charter)
    }


def _opening(item: WorkItem, reads: Sequence[ReadRecord], charter: Charter) -> str:
    """Return when a repeat may be read."""
    days = charter.repeats.washout_days
    if item.purpose is not Purpose.REPEAT:
        return ""
    first = [
        read
        for read in reads
        if read.reader == item.reader and read.purpose is Purpose.READ
    ]
    if {read.joint for read in first} < set(item.joints):
        return AFTER_FIRST_READ
    if not days:
        return ""
    last = max(datetime.fromisoformat(read.locked_at) for read in first)
    return (last + timedelta(days=days)).isoformat(timespec="microseconds")


def _studies(case: Case) -> tuple[tuple[str, str], ...]:
    """Return what makes a case the same."""
    return tuple((study.visit.value, study.study_uid) for study in case.studies)
