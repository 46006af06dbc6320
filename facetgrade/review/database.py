"""Open SQLite or PostgreSQL so that what is committed survives a kill."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from facetgrade.errors import ConfigError
from facetgrade.review.errors import ReviewError
from facetgrade.review.tables import create_tables

BUSY_TIMEOUT_S = 30.0
CONNECTIONS = 24
READY_CONNECTIONS = 8
WRITING = {"facetgrade_begin": "BEGIN IMMEDIATE"}
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
}


def open_database(db: str, *, password_file: Path | None = None) -> Engine:
    """Open a database and make its tables where they are missing.

    Parameters
    ----------
    db : str
        ``sqlite:///FILE`` or ``postgresql://USER@HOST:PORT/NAME``, without password.
    password_file : Path or None
        Holds the password in its first line.

    Returns
    -------
    Engine
        SQLite writes ahead (WAL) and waits for the disk at every commit.

    Raises
    ------
    ConfigError
        If `db` is malformed or holds a password, or the password file is unreadable.
    ReviewError
        If the database cannot be opened.
    """
    url = _checked_url(db, password_file)
    try:
        engine = _create_engine(url)
        create_tables(engine)
        _fill_pool(engine)
    except ImportError:
        raise ConfigError(
            "PostgreSQL needs the package psycopg; pip install 'facetgrade[review]'"
        ) from None
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ReviewError(f"{db}: cannot be opened ({reason})") from None
    return engine


def _fill_pool(engine: Engine) -> None:
    """Connect before anybody asks: readers wait for a server that was restarted."""
    with ExitStack() as open_ones:
        for _ in range(READY_CONNECTIONS):
            open_ones.enter_context(engine.connect())


def _checked_url(db: str, password_file: Path | None) -> URL:
    """Read the address of a database; refuse a password in it."""
    try:
        url = make_url(db)
        driver = _DRIVERS[url.drivername]
    except (ArgumentError, KeyError, ValueError):
        raise ConfigError(
            "--db must be sqlite:///FILE or postgresql://USER@HOST:PORT/NAME"
        ) from None
    if url.password is not None or "password" in url.query:
        raise ConfigError(
            "--db holds a password, which others can see in the list of processes; "
            "put it into a file and name that with --db-password-file"
        )
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise ConfigError("--db sqlite:///FILE must name a file")
    password = _read_password(password_file) if password_file else None
    return url.set(drivername=driver, password=password)


def _read_password(path: Path) -> str:
    """Read the first line of a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"password file {path} cannot be read ({error})") from error
    if not lines or not lines[0]:
        raise ConfigError(f"password file {path} is empty")
    return lines[0]


def _create_engine(url: URL) -> Engine:
    """Make the engine of either database."""
    if url.drivername.startswith("postgresql"):
        return create_engine(
            url, pool_size=CONNECTIONS, max_overflow=0, pool_pre_ping=True
        )
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_S},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:
    """Write ahead, and wait for the disk before a commit returns."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once where a transaction will write."""
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("facetgrade_begin", "BEGIN"))
