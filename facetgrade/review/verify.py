"""Hold a database against its audit trail: changed, inserted and removed rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select
from sqlalchemy.exc import SQLAlchemyError

from facetgrade.review.chain import START, Head, entry_mac, row_hash
from facetgrade.review.errors import TamperedError
from facetgrade.review.tables import AUDIT, CHAINED

_AT_A_TIME = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Verification:
    """What `verify_database` found.

    Attributes
    ----------
    entries, rows : int
        Audit entries and rows of all other tables that were checked.
    problems : tuple of str
        One sentence each; empty when nothing was touched.
    head : Head
        Last entry of the database.
    """

    entries: int
    rows: int
    problems: tuple[str, ...]
    head: Head


def verify_database(engine: Engine, key: bytes, head: Head | None) -> Verification:
    """Check every row of every table against the audit trail, and that by its key.

    Parameters
    ----------
    engine : Engine
        From `open_database`.
    key : bytes
        Secret of the audit trail.
    head : Head or None
        Exported head. Without it the removal of the last entries together with their
        rows cannot be seen.

    Returns
    -------
    Verification
        With a problem for each row that was changed, inserted or removed.
    """
    with engine.connect() as plain:
        connection = plain
        if engine.dialect.name == "postgresql":
            connection = plain.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            return check_rows(connection, key, head)


def check_rows(connection: Connection, key: bytes, head: Head | None) -> Verification:
    """Check within one view of the database; see `verify_database`."""
    problems: list[str] = []
    expected: dict[str, str] = {}
    macs: dict[int, str] = {0: START}
    last = Head(count=0, mac=START)
    for entry in _rows(connection, AUDIT, AUDIT.c.number):
        problems += _check_entry(entry, last, key)
        problems += _expect(entry, expected)
        last = Head(count=entry["number"], mac=entry["mac"])
        macs[last.count] = last.mac
    if head is not None and macs.get(head.count) != head.mac:
        problems.append(_head_problem(head, last))
    checked = len(expected)
    for table in CHAINED:
        problems += _check_table(connection, table, expected)
    problems += [f"{name}: was removed" for name in sorted(expected)]
    return Verification(
        entries=len(macs) - 1, rows=checked, problems=tuple(problems), head=last
    )


def _check_entry(entry: dict[str, Any], last: Head, key: bytes) -> Iterator[str]:
    """Check number, link and keyed hash of one audit entry."""
    number = entry["number"]
    if number != last.count + 1:
        yield f"audit/{last.count + 1}: entries are missing before {number}"
    elif entry["previous"] != last.mac:
        yield f"audit/{number}: does not follow the entry before it"
    if entry_mac(key, entry) != entry["mac"]:
        yield f"audit/{number}: was changed, inserted, or made with another key"


def _expect(entry: dict[str, Any], expected: dict[str, str]) -> Iterator[str]:
    """Remember the rows that an entry wrote."""
    try:
        written = dict(json.loads(entry["written"]))
    except (ValueError, TypeError):
        yield f"audit/{entry['number']}: lists no rows that could be read"
        return
    for name, value in written.items():
        expected[name] = f"{entry['number']} {value}"


def _check_table(
    connection: Connection, table: Any, expected: dict[str, str]
) -> Iterator[str]:
    """Compare the rows of a table with the trail; strike off what is there."""
    for row in _rows(connection, table, table.c.id):
        name = f"{table.name}/{row['id']}"
        known = expected.pop(name, None)
        if known is None:
            yield f"{name}: was inserted"
        elif known != f"{row['number']} {_hash(row)}":
            yield f"{name}: was changed"


def _hash(row: dict[str, Any]) -> str:
    """Hash a row; a value of a type that was never written has no hash."""
    try:
        return row_hash(row)
    except TypeError:
        return ""


def _rows(connection: Connection, table: Any, order: Any) -> Iterator[dict[str, Any]]:
    """Read a table piece by piece; SQLite may hold what is no text or number."""
    query = select(table).order_by(order).execution_options(yield_per=_AT_A_TIME)
    try:
        for row in connection.execute(query):
            yield dict(row._mapping)
    except (SQLAlchemyError, ValueError) as error:
        raise TamperedError(f"table {table.name} cannot be read ({error})") from error


def _head_problem(head: Head, last: Head) -> str:
    """Say how the database differs from the exported head."""
    if last.count < head.count:
        return (
            f"audit/{last.count + 1}: the last {head.count - last.count} entries that "
            "the head file counts were removed"
        )
    return f"audit/{head.count}: is not the entry that the head file names"
