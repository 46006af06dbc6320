"""The tables of a review. Rows are added and read, never changed or removed."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    inspect,
    text,
)

METADATA = MetaData()
SCHEMA_LOCK = 0x46474101


def _rows(name: str, *columns: Column[Any] | UniqueConstraint | Index) -> Table:
    """Define a table whose rows have a name and the audit entry that wrote them."""
    return Table(
        name,
        METADATA,
        Column("id", Text, primary_key=True),
        Column("number", Integer, nullable=False),
        *columns,
    )


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _integer(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


CHARTER = _rows("charter", _text("content"))
CASE = _rows("trial_case", _text("patient"), _text("content"))
ITEM = _rows(
    "work_item",
    _text("reader"),
    _integer("position"),
    _text("case_id"),
    _text("purpose"),
    _text("visits"),
    UniqueConstraint("reader", "position"),
)
READ = _rows(
    "joint_read",
    _text("item_id"),
    _text("reader"),
    _text("case_id"),
    _text("purpose"),
    _text("level"),
    _text("side"),
    _integer("revision"),
    _text("key"),
    _text("locked_at"),
    _text("content"),
    UniqueConstraint("reader", "key"),
    UniqueConstraint("item_id", "level", "side", "revision"),
    Index("joint_read_case", "case_id"),
)
MASK = _rows(
    "edited_mask",
    _text("item_id"),
    _text("reader"),
    _text("case_id"),
    _text("visit"),
    _text("slot"),
    _text("level"),
    _text("side"),
    _text("key"),
    _text("saved_at"),
    Column("nifti", LargeBinary, nullable=False),
    UniqueConstraint("reader", "key"),
)
ACCOUNT = _rows(
    "account",
    _text("name"),
    _text("role"),
    _text("password_hash"),
    _integer("active"),
    _text("changed_at"),
)
SESSION = _rows(
    "login_session",
    _text("name"),
    _text("role"),
    _text("opened_at"),
    _text("expires_at"),
)
SESSION_END = _rows("login_end", _text("session_id"))
AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    _text("at"),
    _text("action"),
    _text("who"),
    _text("address"),
    _text("software"),
    _text("models"),
    _text("subject"),
    _text("written"),
    _text("previous"),
    _text("mac"),
    Index("audit_action", "action", "at"),
)
CHAINED = (CHARTER, CASE, ITEM, READ, MASK, ACCOUNT, SESSION, SESSION_END)


def create_tables(engine: Engine) -> None:
    """Make missing tables, and the triggers that keep their rows as they are."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK}
            )
        present = set(inspect(connection).get_table_names())
        METADATA.create_all(connection)
        for table in METADATA.sorted_tables:
            if table.name not in present:
                _forbid_changes(connection, table.name)


def _forbid_changes(connection: Connection, table: str) -> None:
    """Refuse UPDATE and DELETE in the database itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION facetgrade_append_only() RETURNS trigger AS "
            "$$ BEGIN RAISE EXCEPTION 'rows are only added'; END $$ LANGUAGE plpgsql"
        )
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {table} EXECUTE FUNCTION facetgrade_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
            "BEGIN SELECT RAISE(ABORT, 'rows are only added'); END"
        )
