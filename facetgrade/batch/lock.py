"""One run at a time in an output folder, or several shards of one count.

The lock is that of a small SQLite file, so that the system releases it when the process
ends, however it ends.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from facetgrade.batch.ledger import LOCKS
from facetgrade.batch.shard import Shard
from facetgrade.errors import OutputError

_PATIENCE_S = 3.0


@contextmanager
def lock_folder(out: Path, shard: Shard) -> Iterator[None]:
    """Keep other runs out of a folder while the block runs.

    Shards of one count share it, each shard once.

    Raises
    ------
    OutputError
        If another run has it, or it cannot be written.
    """
    with ExitStack() as held:
        if shard.is_whole:
            held.enter_context(_locked(out / f"{LOCKS}.lock", out, "EXCLUSIVE"))
        else:
            held.enter_context(_shared(out / f"{LOCKS}.lock", out))
            _refuse_other_counts(out, shard)
            own = out / f"{LOCKS}-{shard.label}.lock"
            held.enter_context(_locked(own, out, "EXCLUSIVE"))
        yield


@contextmanager
def lock_tables(out: Path) -> Iterator[None]:
    """Keep other shards from writing the tables at the same moment.

    Raises
    ------
    OutputError
        If another shard does not end, or the folder cannot be written.
    """
    with _locked(out / f"{LOCKS}-tables.lock", out, "EXCLUSIVE", patience_s=120.0):
        yield


@contextmanager
def _locked(
    path: Path, out: Path, kind: str, *, patience_s: float | None = None
) -> Iterator[None]:
    """Hold one lock file."""
    wait_s = _PATIENCE_S if patience_s is None else patience_s
    with closing(_open(path, out, wait_s)) as database:
        _take(database, f"BEGIN {kind}", out)
        yield


@contextmanager
def _shared(path: Path, out: Path) -> Iterator[None]:
    """Hold one lock file together with others who share it."""
    with closing(_open(path, out, _PATIENCE_S)) as database:
        _take(database, "BEGIN", out)
        _take(database, "SELECT count(*) FROM sqlite_master", out)
        yield


def _refuse_other_counts(out: Path, shard: Shard) -> None:
    """Refuse a shard while shards of another count run, which overlap with it."""
    for path in sorted(out.glob(f"{LOCKS}-*-of-*.lock")):
        if not path.stem.endswith(f"-of-{shard.count}"):
            with _locked(path, out, "EXCLUSIVE", patience_s=0.0):
                continue


def _open(path: Path, out: Path, patience_s: float) -> sqlite3.Connection:
    try:
        return sqlite3.connect(path, timeout=patience_s, isolation_level=None)
    except sqlite3.Error as error:
        raise OutputError(f"{out}: cannot be written ({error})") from error


def _take(database: sqlite3.Connection, statement: str, out: Path) -> None:
    try:
        database.execute(statement).fetchall()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise OutputError(
                f"{out}: another run is writing there; wait for it, or choose another "
                "folder"
            ) from error
        raise OutputError(f"{out}: cannot be written ({error})") from error
    except sqlite3.Error as error:
        raise OutputError(f"{out}: its lock file is damaged ({error})") from error
