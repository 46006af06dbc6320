"""Transactions that write rows together with their entry in the audit trail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from facetgrade.review.chain import (
    START,
    Head,
    canonical,
    entry_mac,
    read_head,
    read_or_make_key,
    row_hash,
    write_head,
)
from facetgrade.review.database import WRITING
from facetgrade.review.errors import ReviewError, TamperedError
from facetgrade.review.people import Origin
from facetgrade.review.tables import AUDIT

WRITE_LOCK = 0x46474102
T = TypeVar("T")
Clock = Callable[[], datetime]

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the time with its zone."""
    return datetime.now(UTC)


class Writing:
    """One open transaction: adds rows and remembers their hashes.

    Attributes
    ----------
    connection : Connection
        For queries within the transaction.
    number : int
        Number of the audit entry to come.
    at : str
        Its time.
    """

    def __init__(self, connection: Connection, number: int, at: str) -> None:
        self.connection = connection
        self.number = number
        self.at = at
        self.hashes: dict[str, str] = {}
        self.subject: dict[str, str] = {}
        self.is_noted = False

    def add(self, table: Table, row_id: str, **values: Any) -> None:
        """Add a row."""
        row = {"id": row_id, "number": self.number, **values}
        self.connection.execute(insert(table).values(**row))
        self.hashes[f"{table.name}/{row_id}"] = row_hash(row)

    def note(self, **subject: str) -> None:
        """Say what the entry is about; an entry is written even without rows."""
        self.subject.update(subject)
        self.is_noted = True


@dataclass(eq=False, slots=True)
class _Job:
    """A change that waits for its turn, and what came of it."""

    action: str
    origin: Origin
    body: Callable[[Writing], Any]
    result: Any = None
    error: Exception | None = None
    is_done: bool = False


class Trail:
    """Open audit trail of a database; holds the key and the write lock.

    Parameters
    ----------
    engine : Engine
        From `open_database`.
    key_file : Path
        Secret of the trail, made for an empty database.
    head_file : Path
        Where the head goes after every entry that locks something.
    clock : callable
        Tells the time.

    Raises
    ------
    ConfigError
        If the key is missing.
    TamperedError
        If the head file knows entries that the database lacks or contradicts.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        key_file: Path,
        head_file: Path,
        clock: Clock = utc_now,
    ) -> None:
        self.engine = engine
        self._clock = clock
        self._head_file = head_file
        self._lock = threading.Lock()
        self._queue_lock = threading.Lock()
        self._queue: list[_Job] = []
        with self._begin() as connection:
            head = last_link(connection)
            self._key = read_or_make_key(key_file, may_make=head.count == 0)
            self._check_head(connection, head)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def write(self, action: str, origin: Origin, body: Callable[[Writing], T]) -> T:
        """Run a change and its entry; return when it is on the disk.

        Changes that wait for the disk of another one are committed together, each in
        a savepoint with an entry of its own: waiting readers share one flush.

        Parameters
        ----------
        action : str
            Name of the entry.
        origin : Origin
            Who, from where.
        body : callable
            Makes the change; an entry is added when it wrote or noted something.

        Raises
        ------
        ReviewError
            If database or head file cannot be written. What `body` raises is passed
            on, and its change undone.
        """
        job = _Job(action, origin, body)
        with self._queue_lock:
            self._queue.append(job)
        with self._lock:
            if not job.is_done:
                self._run_waiting()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    def now(self) -> str:
        """Return the time as it is stored."""
        return self._clock().astimezone(UTC).isoformat(timespec="microseconds")

    def moment(self) -> datetime:
        """Return the time for computing with it."""
        return self._clock().astimezone(UTC)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Begin a transaction that no other writer can come between."""
        with self.engine.connect() as plain:
            connection = plain.execution_options(**WRITING)
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(
                        text("SELECT pg_advisory_xact_lock(:lock)"),
                        {"lock": WRITE_LOCK},
                    )
                yield connection

    def _run_waiting(self) -> None:
        """Commit everything that waits, and export the head once."""
        with self._queue_lock:
            jobs, self._queue = self._queue, []
        is_kept = False
        try:
            with self._begin() as connection:
                before = last_link(connection)
                head = before
                for job in jobs:
                    head = self._run(job, connection, head)
            if head != before:
                write_head(self._head_file, head, at=self.now())
            is_kept = True
        except (SQLAlchemyError, OSError, ReviewError):
            _log.exception("a change of the review is not certain")
        finally:
            for job in jobs:
                if not is_kept:
                    job.error = job.error or _not_written()
                job.is_done = True

    def _run(self, job: _Job, connection: Connection, before: Head) -> Head:
        """Run one change in a savepoint; return the head after it."""
        writing = Writing(connection, before.count + 1, self.now())
        try:
            with connection.begin_nested():
                job.result = job.body(writing)
                if not writing.hashes and not writing.is_noted:
                    return before
                row = audit_row(writing, before, job.action, job.origin)
                mac = entry_mac(self._key, row)
                connection.execute(insert(AUDIT).values(**row, mac=mac))
        except SQLAlchemyError:
            _log.exception("a change of the review failed")
            job.error = _not_written()
            return before
        except Exception as error:
            job.error = error
            return before
        return Head(count=writing.number, mac=mac)

    def _check_head(self, connection: Connection, head: Head) -> None:
        """Compare the head file with the database; bring it up to date."""
        known = read_head(self._head_file)
        if known is not None and known.count:
            found = connection.execute(
                select(AUDIT.c.mac).where(AUDIT.c.number == known.count)
            ).scalar_one_or_none()
            if found != known.mac:
                raise TamperedError(
                    f"{self._head_file}: says entry {known.count} of the audit trail, "
                    "which the database lacks or has otherwise; run "
                    "facetgrade review verify"
                )
        if head.count and head != known:
            write_head(self._head_file, head, at=self.now())
            _log.info("head of the audit trail: %d entries", head.count)


def audit_row(
    writing: Writing, before: Head, action: str, origin: Origin
) -> dict[str, Any]:
    """Return the columns of an entry, without its own hash."""
    return {
        "number": writing.number,
        "at": writing.at,
        "action": action,
        "who": origin.who,
        "address": origin.address,
        "software": origin.software,
        "models": canonical(dict(origin.models)),
        "subject": canonical(writing.subject),
        "written": canonical(writing.hashes),
        "previous": before.mac,
    }


def last_link(connection: Connection) -> Head:
    """Return the last entry of the trail."""
    row = connection.execute(
        select(AUDIT.c.number, AUDIT.c.mac).order_by(AUDIT.c.number.desc()).limit(1)
    ).first()
    return Head(count=row.number, mac=row.mac) if row else Head(count=0, mac=START)


def _not_written() -> ReviewError:
    """Say that the same change with the same key should come again."""
    return ReviewError("the review cannot be written now; try again")
