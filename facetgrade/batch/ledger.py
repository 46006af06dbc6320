"""What is done in an output folder, and by which configuration and models."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from facetgrade.batch.shard import Shard
from facetgrade.errors import OutputError
from facetgrade.report import Failure, StudyEntry

FILE_NAME = "ledger.sqlite"

LOCKS = ".facetgrade"

_SHARD_FILES = f"{LOCKS}-*.sqlite"
_WHOLE = Shard(number=1, count=1)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS made_by (fingerprint TEXT NOT NULL, summary TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS study (
    folder TEXT PRIMARY KEY, content_key TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS files (folder TEXT PRIMARY KEY, files_key TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failure (
    folder TEXT PRIMARY KEY, source TEXT NOT NULL, stage TEXT NOT NULL,
    message TEXT NOT NULL, cause TEXT NOT NULL, attempts INTEGER NOT NULL,
    files_key TEXT NOT NULL, kept_out INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS header (key BLOB PRIMARY KEY, sealed BLOB NOT NULL)
WITHOUT ROWID;
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedStudy:
    """A study that is not finished, and why.

    Attributes
    ----------
    folder : str
        Where its results would be.
    failure : Failure
        Source, stage and what happened.
    cause : str
        One of `Cause`.
    attempts : int
        How often it was tried.
    files_key : str
        Its files as they were then.
    kept_out : bool
        Later runs do not try it again as long as its files stay the same.
    """

    folder: str
    failure: Failure
    cause: str
    attempts: int
    files_key: str
    kept_out: bool

    def keeps_out(self, files_key: str) -> bool:
        """Tell whether a study with these files is not tried again."""
        return self.kept_out and self.files_key == files_key


def fingerprint(values: Mapping[str, Any]) -> str:
    """Hash settings, model hashes and options, whatever the order of their keys."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Ledger:
    """Open record of the studies of one output folder.

    Holds a database connection; use it as a context manager. Each shard of a run has a
    record of its own, and reads those of the others; a run over all studies takes them
    over.

    Parameters
    ----------
    out : Path
        The output folder; made if missing.
    shard : Shard
        The part that this run does.

    Raises
    ------
    OutputError
        If the folder cannot be written or its ledger is damaged.
    """

    def __init__(self, out: Path, shard: Shard = _WHOLE) -> None:
        self._out, self._shard = out, shard
        name = FILE_NAME if shard.is_whole else f"{LOCKS}-{shard.label}.sqlite"
        self._path = out / name
        self._made_now = ""
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(self._path, timeout=60.0)
            self._database.executescript(_SCHEMA)
        except OSError as error:
            raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
        except sqlite3.Error as error:
            raise OutputError(f"{self._path}: unusable ({error})") from error

    def __enter__(self) -> Self:
        """Use the open ledger."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the database; say in one line why it could not be used.

        Raises
        ------
        OutputError
            If the database failed inside the block, on a full disk for example.
        """
        self._database.close()
        if isinstance(error, sqlite3.Error):
            raise OutputError(
                f"{self._path}: unusable ({error}); the studies done are kept, run the "
                "command again once it can be written"
            ) from error

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
        self._made_now = fingerprint(made_by)
        stale = self._claim_others(made_by, start_over=start_over)
        row = _made_by(self._database)
        if row and row[0] == self._made_now:
            return stale
        if row and not start_over:
            raise OutputError(self._refusal(json.loads(row[1]), made_by))
        stale += tuple(entry.folder for entry in self._own_entries())
        summary = json.dumps(made_by, sort_keys=True, default=str)
        values = (self._made_now, summary)
        with self._database as database:
            for table in ("made_by", "study", "files", "failure"):
                database.execute(f"DELETE FROM {table}")
            database.execute("INSERT INTO made_by VALUES (?, ?)", values)
        return stale

    def take_over(self) -> None:
        """Bring the studies of all shards into the record of the whole folder."""
        if not self._shard.is_whole:
            return
        for path in self._others():
            with closing(_read_only(path)) as other:
                complete = _made_by(other) is not None
            if not complete:
                path.unlink()
                continue
            self._database.execute("ATTACH DATABASE ? AS shard", (str(path),))
            with self._database as database:
                for table in ("study", "files", "failure"):
                    database.execute(
                        f"INSERT OR REPLACE INTO {table} SELECT * FROM shard.{table}"
                    )
                database.execute(
                    "DELETE FROM failure WHERE folder IN (SELECT folder FROM study)"
                )
            self._database.execute("DETACH DATABASE shard")
            path.unlink()

    def knows(self, folder: str) -> bool:
        """Tell whether a study was finished, whatever its content was."""
        return self._row("SELECT 1 FROM study WHERE folder = ?", folder) is not None

    def find(self, folder: str, content_key: str) -> StudyEntry | None:
        """Look a finished study up; None if it is new or its content changed."""
        row = self._row(
            "SELECT entry FROM study WHERE folder = ? AND content_key = ?",
            folder,
            content_key,
        )
        return self._done(folder, row)

    def find_unchanged(self, folder: str, files_key: str) -> StudyEntry | None:
        """Look a finished study up by names, sizes and times of its files."""
        row = self._row(
            "SELECT entry FROM study JOIN files USING (folder) "
            "WHERE folder = ? AND files_key = ? AND files_key != ''",
            folder,
            files_key,
        )
        return self._done(folder, row)

    def record(self, entry: StudyEntry, content_key: str, files_key: str = "") -> None:
        """Note a study whose files are complete."""
        text = json.dumps(dataclasses.asdict(entry))
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO study VALUES (?, ?, ?)",
                (entry.folder, content_key, text),
            )
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?)", (entry.folder, files_key)
            )
            database.execute("DELETE FROM failure WHERE folder = ?", (entry.folder,))

    def note_files(self, folder: str, files_key: str) -> None:
        """Note the files of a finished study that was copied or touched."""
        with self._database as database:
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?)", (folder, files_key)
            )

    def record_failure(self, failed: FailedStudy) -> None:
        """Drop a study whose present content could not be graded, and note why."""
        failure = failed.failure
        values = (
            failed.folder,
            *(failure.source, failure.stage, failure.message),
            *(failed.cause, failed.attempts, failed.files_key, int(failed.kept_out)),
        )
        with self._database as database:
            for table in ("study", "files"):
                database.execute(
                    f"DELETE FROM {table} WHERE folder = ?", (failed.folder,)
                )
            marks = ", ".join("?" * len(values))
            database.execute(f"INSERT OR REPLACE INTO failure VALUES ({marks})", values)

    def failed(self, folder: str) -> FailedStudy | None:
        """Look up why a study failed the last time."""
        row = self._row("SELECT * FROM failure WHERE folder = ?", folder)
        return _failed(row) if row else None

    def failures(self) -> tuple[FailedStudy, ...]:
        """Return what is not finished, by folder name, that of other shards too."""
        rows = self._all("SELECT * FROM failure")
        finished = {entry.folder for entry in self.entries()}
        found = {row[0]: _failed(row) for row in rows if row[0] not in finished}
        return tuple(found[folder] for folder in sorted(found))

    def entries(self) -> tuple[StudyEntry, ...]:
        """Return all finished studies by folder name, those of other shards too."""
        rows = dict(self._all("SELECT folder, entry FROM study"))
        return tuple(
            _entry(rows[folder]) for folder in sorted(rows) if self._is_complete(folder)
        )

    def sealed_header(self, key: bytes) -> bytes | None:
        """Return the record of a header, None if there is none."""
        query = "SELECT sealed FROM header WHERE key = ?"
        row = self._database.execute(query, (key,)).fetchone()
        return None if row is None else row[0]

    def keep_headers(self, records: list[tuple[bytes, bytes]]) -> None:
        """Keep records of headers by their keys."""
        with self._database as database:
            database.executemany("INSERT OR REPLACE INTO header VALUES (?, ?)", records)

    def _claim_others(
        self, made_by: Mapping[str, Any], *, start_over: bool
    ) -> tuple[str, ...]:
        """Check the records of other shards; drop those of another configuration."""
        stale: list[str] = []
        for path in self._others():
            with closing(_read_only(path)) as other:
                row = _made_by(other)
                if row is None or row[0] == self._made_now:
                    continue
                if not start_over:
                    raise OutputError(self._refusal(json.loads(row[1]), made_by))
                folders = other.execute("SELECT folder FROM study").fetchall()
            if self._shard.is_whole:
                stale += [folder for (folder,) in folders]
                path.unlink()
        return tuple(stale)

    def _others(self) -> list[Path]:
        found = [self._out / FILE_NAME, *sorted(self._out.glob(_SHARD_FILES))]
        return [path for path in found if path != self._path and path.exists()]

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        """Return the first row of this record, else of an earlier run over all."""
        row: tuple[Any, ...] | None = self._database.execute(query, values).fetchone()
        if row is None and not self._shard.is_whole:
            rows = self._in_others([self._out / FILE_NAME], query, *values)
            return next(rows, None)
        return row

    def _all(self, query: str) -> list[tuple[Any, ...]]:
        """Return rows of other shards, then of this record."""
        others = [] if self._shard.is_whole else self._others()
        return [*self._in_others(others, query), *self._database.execute(query)]

    def _in_others(
        self, paths: Iterable[Path], query: str, *values: str
    ) -> Iterator[tuple[Any, ...]]:
        """Yield rows of other records that were made by the same."""
        for path in paths:
            if not path.exists():
                continue
            with closing(_read_only(path)) as other:
                made = _made_by(other)
                if made and made[0] == self._made_now:
                    yield from other.execute(query, values).fetchall()

    def _own_entries(self) -> Iterator[StudyEntry]:
        rows = self._database.execute("SELECT entry FROM study ORDER BY folder")
        return (_entry(text) for (text,) in rows)

    def _done(self, folder: str, row: tuple[Any, ...] | None) -> StudyEntry | None:
        if row is None or not self._is_complete(folder):
            return None
        return dataclasses.replace(_entry(row[0]), skipped=True)

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


def forget_if_unused(out: Path) -> None:
    """Remove the ledger and locks of a folder in which no run found a study."""
    paths = [out / FILE_NAME, *out.glob(_SHARD_FILES)]
    for path in paths:
        if path.exists():
            with closing(_read_only(path)) as ledger:
                if _made_by(ledger) is not None:
                    return
    for path in (*paths, *out.glob(f"{LOCKS}*.lock")):
        path.unlink(missing_ok=True)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60.0)


def _made_by(database: sqlite3.Connection) -> tuple[str, str] | None:
    """Return fingerprint and summary of what made a record, None for a new one."""
    query = "SELECT fingerprint, summary FROM made_by"
    try:
        row: tuple[str, str] | None = database.execute(query).fetchone()
    except sqlite3.OperationalError:
        return None
    return row


def _entry(text: str) -> StudyEntry:
    values = json.loads(text)
    return StudyEntry(**{**values, "rows": tuple(values["rows"])})


def _failed(row: tuple[Any, ...]) -> FailedStudy:
    folder, source, stage, message, cause, attempts, files_key, kept_out = row
    return FailedStudy(
        folder=folder,
        failure=Failure(source=source, message=message, stage=stage),
        cause=cause,
        attempts=attempts,
        files_key=files_key,
        kept_out=bool(kept_out),
    )
