"""What is done in an output folder, and by which configuration and models."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facetgrade.errors import OutputError
from facetgrade.report import StudyEntry

FILE_NAME = "ledger.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS made_by (fingerprint TEXT NOT NULL, summary TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS study (
    folder TEXT PRIMARY KEY, content_key TEXT NOT NULL, entry TEXT NOT NULL
);
"""


def fingerprint(values: Mapping[str, Any]) -> str:
    """Hash settings, model hashes and options, whatever the order of their keys."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """Open record of the finished studies of one output folder.

    Holds a database connection; use it as a context manager.

    Parameters
    ----------
    out : Path
        The output folder; made if missing.

    Raises
    ------
    OutputError
        If the folder cannot be written or its ledger is damaged.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(out / FILE_NAME, timeout=60.0)
            self._database.executescript(_SCHEMA)
        except OSError as error:
            raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
        except sqlite3.Error as error:
            raise OutputError(f"{out / FILE_NAME}: unusable ({error})") from error

    def __enter__(self) -> Self:
        """Use the open ledger."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database."""
        self._database.close()

    def claim(self, made_by: Mapping[str, Any], *, start_over: bool) -> tuple[str, ...]:
        """Tie the folder to one configuration and its models.

        Parameters
        ----------
        made_by : mapping
            Everything that can change a result, by name.
        start_over : bool
            Forget the studies of another configuration instead of refusing it.

        Returns
        -------
        tuple of str
            Study folders that were forgotten and whose files are stale.

        Raises
        ------
        OutputError
            If the folder was made by other values and `start_over` is False.
        """
        made_now = fingerprint(made_by)
        row = self._database.execute(
            "SELECT fingerprint, summary FROM made_by"
        ).fetchone()
        if row and row[0] == made_now:
            return ()
        if row and not start_over:
            raise OutputError(self._refusal(json.loads(row[1]), made_by))
        stale = tuple(entry.folder for entry in self.entries())
        summary = json.dumps(made_by, sort_keys=True, default=str)
        with self._database as database:
            database.execute("DELETE FROM made_by")
            database.execute("DELETE FROM study")
            database.execute("INSERT INTO made_by VALUES (?, ?)", (made_now, summary))
        return stale

    def knows(self, folder: str) -> bool:
        """Tell whether a study was finished, whatever its content was."""
        query = "SELECT 1 FROM study WHERE folder = ?"
        return self._database.execute(query, (folder,)).fetchone() is not None

    def find(self, folder: str, content_key: str) -> StudyEntry | None:
        """Look a finished study up; None if it is new or its content changed."""
        row = self._database.execute(
            "SELECT entry FROM study WHERE folder = ? AND content_key = ?",
            (folder, content_key),
        ).fetchone()
        if row is None or not self._is_complete(folder):
            return None
        return dataclasses.replace(_entry(row[0]), skipped=True)

    def record(self, entry: StudyEntry, content_key: str) -> None:
        """Note a study whose files are complete."""
        text = json.dumps(dataclasses.asdict(entry))
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO study VALUES (?, ?, ?)",
                (entry.folder, content_key, text),
            )

    def forget(self, folder: str) -> None:
        """Drop a study whose present content could not be graded."""
        with self._database as database:
            database.execute("DELETE FROM study WHERE folder = ?", (folder,))

    def entries(self) -> tuple[StudyEntry, ...]:
        """Return all finished studies by folder name."""
        rows = self._database.execute("SELECT entry FROM study ORDER BY folder")
        entries = (_entry(text) for (text,) in rows)
        return tuple(entry for entry in entries if self._is_complete(entry.folder))

    def _is_complete(self, folder: str) -> bool:
        return (self._out / folder / "study.json").is_file()

    def _refusal(self, before: Mapping[str, Any], made_by: Mapping[str, Any]) -> str:
        now = json.loads(json.dumps(made_by, default=str))
        names = sorted({*before, *now})
        changed = [name for name in names if before.get(name) != now.get(name)]
        return (
            f"{self._out} was made with other settings ({', '.join(changed)}); choose "
            "another folder or add --force to grade everything again"
        )


def _entry(text: str) -> StudyEntry:
    values = json.loads(text)
    return StudyEntry(**{**values, "rows": tuple(values["rows"])})
