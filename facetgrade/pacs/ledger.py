"""What was received, what was sent, and how far each received study has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from facetgrade.errors import OutputError
from facetgrade.pacs.instances import Received
from facetgrade.report.atomic import sync_folder

FILE_NAME = "transfers.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS received (
    instance_uid TEXT PRIMARY KEY, study_uid TEXT NOT NULL, path TEXT NOT NULL,
    bytes INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS received_study ON received (study_uid);
CREATE TABLE IF NOT EXISTS sent (
    destination TEXT NOT NULL, instance_uid TEXT NOT NULL, sha256 TEXT NOT NULL,
    PRIMARY KEY (destination, instance_uid)
);
CREATE TABLE IF NOT EXISTS study (
    study_uid TEXT PRIMARY KEY, folder TEXT NOT NULL, state TEXT NOT NULL,
    arrivals INTEGER NOT NULL, results TEXT NOT NULL
);
"""


class State(StrEnum):
    """How far a received study has come."""

    ARRIVING = "arriving"
    GRADED = "graded"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that was received whole."""

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True)
class ArrivedStudy:
    """A received study.

    Attributes
    ----------
    study_uid : str
        As in the files.
    folder : str
        Folder of its files, relative to the output folder.
    state : State
        How far it has come.
    arrivals : int
        Counts files that were new; tells whether something came meanwhile.
    results : str
        Folder of its results, relative to the output folder.
    """

    study_uid: str
    folder: str
    state: State
    arrivals: int
    results: str


class TransferLedger:
    """Open record of transfers of one folder, usable by several threads.

    Holds a database connection; use it as a context manager.

    Parameters
    ----------
    out : Path
        The folder; made if missing.

    Raises
    ------
    OutputError
        If the folder cannot be written or the record is damaged.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._lock = Lock()
        try:
            out.mkdir(parents=True, exist_ok=True)
            sync_folder(out.resolve().parent)
            self._database = sqlite3.connect(
                out / FILE_NAME, timeout=60.0, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"{out}: cannot be written ({error})") from error
        with self._writing() as database:
            database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        """Use the open record."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._database.close()

    def kept(self, study_uid: str) -> dict[str, Kept]:
        """Return the files of a study that are still there, by instance UID."""
        rows = self._rows(
            "SELECT instance_uid, path, bytes, sha256 FROM received WHERE study_uid=?",
            study_uid,
        )
        return {
            uid: Kept(self._out / path, digest)
            for uid, path, size, digest in rows
            if _is_there(self._out / path, size)
        }

    def known_sha256(self, instance_uid: str) -> str:
        """Return the hash of an instance that is still there, else nothing."""
        query = "SELECT path, bytes, sha256 FROM received WHERE instance_uid = ?"
        for path, size, digest in self._rows(query, instance_uid):
            if _is_there(self._out / path, size):
                return str(digest)
        return ""

    def note_received(self, received: Received, path: Path, size: int) -> None:
        """Note a file that is whole and has its name."""
        with self._writing() as database:
            self._add(database, received, path, size)

    def note_moved(self, study_uid: str, folder: Path) -> None:
        """Note that all files of a study are now in another folder."""
        moved = [
            ((folder / kept.path.name).relative_to(self._out).as_posix(), uid)
            for uid, kept in self._all(study_uid).items()
        ]
        with self._writing() as database:
            database.executemany(
                "UPDATE received SET path = ? WHERE instance_uid = ?", moved
            )

    def is_sent(self, destination: str, instance_uid: str, sha256: str) -> bool:
        """Tell whether a destination has confirmed an object."""
        query = "SELECT 1 FROM sent WHERE destination=? AND instance_uid=? AND sha256=?"
        return bool(self._rows(query, destination, instance_uid, sha256))

    def note_sent(self, destination: str, instance_uid: str, sha256: str) -> None:
        """Note that a destination has confirmed an object."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO sent VALUES (?, ?, ?)",
                (destination, instance_uid, sha256),
            )

    def note_arrival(
        self, received: Received, path: Path, size: int, folder: str
    ) -> None:
        """Note a new file of a study, which has to be graded."""
        with self._writing() as database:
            self._add(database, received, path, size)
            database.execute(
                "INSERT INTO study VALUES (?, ?, ?, 1, '') ON CONFLICT (study_uid) "
                "DO UPDATE SET state = excluded.state, arrivals = arrivals + 1",
                (received.study_uid, folder, State.ARRIVING),
            )

    def revive(self) -> None:
        """Give failed studies another chance."""
        with self._writing() as database:
            database.execute(
                "UPDATE study SET state = ? WHERE state = ?",
                (State.ARRIVING, State.FAILED),
            )

    def studies(self, *states: State) -> list[ArrivedStudy]:
        """Return the received studies in some states."""
        marks = ", ".join("?" * len(states))
        rows = self._rows(
            f"SELECT * FROM study WHERE state IN ({marks}) ORDER BY rowid", *states
        )
        return [ArrivedStudy(u, f, State(s), int(n), r) for u, f, s, n, r in rows]

    def folder(self, study_uid: str) -> str:
        """Return the folder of a received study, nothing if it is new."""
        query = "SELECT folder FROM study WHERE study_uid = ?"
        return "".join(str(folder) for (folder,) in self._rows(query, study_uid))

    def advance(self, study: ArrivedStudy, state: State, results: str = "") -> bool:
        """Note how far a study has come, unless something new of it came meanwhile."""
        with self._writing() as database:
            cursor = database.execute(
                "UPDATE study SET state = ?, results = ? "
                "WHERE study_uid = ? AND arrivals = ?",
                (state, results, study.study_uid, study.arrivals),
            )
        return cursor.rowcount == 1

    def _add(
        self, database: sqlite3.Connection, received: Received, path: Path, size: int
    ) -> None:
        place = path.relative_to(self._out).as_posix()
        database.execute(
            "INSERT OR REPLACE INTO received VALUES (?, ?, ?, ?, ?)",
            (received.instance_uid, received.study_uid, place, size, received.sha256),
        )

    def _all(self, study_uid: str) -> dict[str, Kept]:
        rows = self._rows(
            "SELECT instance_uid, path, sha256 FROM received WHERE study_uid = ?",
            study_uid,
        )
        return {uid: Kept(self._out / path, digest) for uid, path, digest in rows}

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        try:
            with self._lock:
                return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutputError(
                f"{self._out / FILE_NAME}: cannot be read ({error})"
            ) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Change the record as a whole or not at all."""
        try:
            with self._lock, self._database as database:
                yield database
        except sqlite3.Error as error:
            raise OutputError(
                f"{self._out / FILE_NAME}: cannot be written ({error})"
            ) from error


def _is_there(path: Path, size: int | str) -> bool:
    try:
        return path.stat().st_size == int(size)
    except OSError:
        return False
