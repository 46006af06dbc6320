import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from facetgrade.errors import ConfigError
from facetgrade.review.accounts import Accounts
from facetgrade.review.chain import Head, read_head, read_or_make_key
from facetgrade.review.errors import ReviewError, TamperedError
from facetgrade.review.people import Account, Role
from facetgrade.review.tables import CHAINED
from facetgrade.review.verify import check_rows, verify_database

TABLES = [*(table.name for table in CHAINED), "audit"]


@pytest.fixture
def filled(open_review, review, mask_of_one_voxel):
    """A review with rows in every table."""
    store = open_review()
    rules = review.charter()
    store.begin(rules, [review.case(1), review.case(2)], review.SYSTEM)
    accounts = Accounts(store.trail, rules.access)
    ann = Account(name="ann", role=Role.READER)
    accounts.save(ann, "correct horse", review.SYSTEM)
    session = accounts.log_in("ann", "correct horse", review.origin("ann"))
    item = store.work_list("ann")[0]
    store.submit(review.submission(item), review.origin("ann"))
    store.submit(
        review.submission(item, grades=3, correction_reason="slip"),
        review.origin("ann"),
    )
    store.save_mask(mask_of_one_voxel(item), review.origin("ann"))
    accounts.log_out(session.token, review.origin("ann"))
    return store


@pytest.fixture
def problems(tmp_path, database_folder):
    def run(store):
        known = read_head(database_folder / "head.json")
        key = read_or_make_key(tmp_path / "audit.key", may_make=False)
        return verify_database(store.trail.engine, key, known).problems

    return run


class Tampering:
    """Changes a database as somebody with full rights would, and takes it back."""

    def __init__(self, store, connection):
        self._key = store.trail._key
        last = store.audit()[-1]
        self._head = Head(count=last.number, mac=last.mac)
        self._connection = connection
        for table in TABLES:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
            else:
                for verb in ("update", "delete"):
                    connection.execute(text(f"DROP TRIGGER {table}_no_{verb}"))
        self.rows = {table: self._rows(table) for table in TABLES}

    def key(self, table):
        return "number" if table == "audit" else "id"

    def _rows(self, table):
        rows = self._connection.execute(text(f"SELECT * FROM {table}")).mappings()
        return {row[self.key(table)]: dict(row) for row in rows}

    def problems(self, statement, head=True, **values):
        savepoint = self._connection.begin_nested()
        self._connection.execute(text(statement), values)
        known = self._head if head else None
        found = check_rows(self._connection, self._key, known).problems
        savepoint.rollback()
        return found


@pytest.fixture
def tampering(filled):
    with filled.trail.engine.connect() as connection, connection.begin() as transaction:
        yield Tampering(filled, connection)
        transaction.rollback()


def test_an_untouched_database_has_no_problems(filled, problems):
    assert problems(filled) == ()


def test_a_removed_row_of_any_table_is_found(tampering):
    unseen = [
        (table, row)
        for table, rows in tampering.rows.items()
        for row in rows
        if not tampering.problems(
            f"DELETE FROM {table} WHERE {tampering.key(table)} = :row", row=row
        )
    ]
    assert set(tampering.rows) == set(TABLES)
    assert unseen == []


def test_a_change_of_any_column_of_any_row_is_found(tampering):
    unseen = [
        (table, row, column)
        for table, rows in tampering.rows.items()
        for row, values in rows.items()
        for column, value in values.items()
        if not tampering.problems(
            f"UPDATE {table} SET {column} = :new WHERE {tampering.key(table)} = :row",
            row=row,
            new=_other(value),
        )
    ]
    assert unseen == []


def test_an_inserted_row_of_any_table_is_found(tampering):
    unique = {"id": "'forged'", "position": "99", "key": "'forged'", "revision": "9"}
    for table in CHAINED:
        names = [column.name for column in table.columns]
        values = ", ".join(unique.get(name, name) for name in names)
        found = tampering.problems(
            f"INSERT INTO {table.name} ({', '.join(names)}) "
            f"SELECT {values} FROM {table.name} LIMIT 1"
        )
        assert found == (f"{table.name}/forged: was inserted",)


def _other(value):
    """Return another value of the same type."""
    if isinstance(value, int):
        return value + 1000
    return value + (b"x" if isinstance(value, bytes) else "x")


def test_removal_of_the_last_entry_with_its_rows_is_found_by_the_head(tampering):
    last = max(tampering.rows["audit"])
    statement = f"DELETE FROM audit WHERE number = {last}"
    tampering._connection.execute(text(f"DELETE FROM login_end WHERE number = {last}"))

    assert tampering.problems(statement, head=False) == ()
    assert tampering.problems(statement) == (
        f"audit/{last}: the last 1 entries that the head file counts were removed",
    )


def test_a_trail_made_with_another_key_is_found(filled):
    result = verify_database(filled.trail.engine, b"k" * 32, None)

    assert len(result.problems) == result.entries


def test_the_database_itself_refuses_changes(filled):
    with (
        pytest.raises(DBAPIError, match="rows are only added"),
        filled.trail.engine.begin() as connection,
    ):
        connection.execute(text("UPDATE joint_read SET reader = 'bob'"))


def test_the_head_file_names_the_last_entry(filled, database_folder):
    record = json.loads((database_folder / "head.json").read_text())

    last = filled.audit()[-1]
    assert (record["count"], record["hash"]) == (last.number, last.mac)


@pytest.mark.usefixtures("filled")
def test_a_server_refuses_a_database_older_than_its_head(open_review, database_folder):
    (database_folder / "head.json").write_text('{"count": 999, "hash": "00"}')

    with pytest.raises(TamperedError, match="entry 999 of the audit trail"):
        open_review()


def test_a_head_older_than_the_database_is_brought_up_to_date(
    filled, open_review, database_folder
):
    first = filled.audit()[0]
    (database_folder / "head.json").write_text(
        json.dumps({"count": 1, "hash": first.mac})
    )

    open_review()

    assert read_head(database_folder / "head.json").count == len(filled.audit())


@pytest.mark.usefixtures("filled")
def test_a_lost_key_is_not_replaced(open_review, tmp_path):
    (tmp_path / "audit.key").unlink()

    with pytest.raises(ConfigError, match="is missing; without the key"):
        open_review()


def test_an_entry_says_who_when_from_where_and_with_which_versions(filled):
    entry = next(one for one in filled.audit() if one.action == "lock-read")

    assert entry.origin.who == "ann"
    assert entry.origin.address == "127.0.0.1"
    assert entry.origin.software == "1.2.3"
    assert entry.origin.models == {"segmenter": "ab"}
    assert entry.at.endswith("+00:00")


def test_a_change_whose_head_cannot_be_written_is_not_confirmed(
    filled, review, database_folder
):
    count = len(filled.audit())
    (database_folder / "head.json").unlink()
    (database_folder / "head.json").mkdir()

    with pytest.raises(ReviewError, match="cannot be written now; try again"):
        filled.note("opened", review.SYSTEM, page="x")

    (database_folder / "head.json").rmdir()
    filled.note("opened", review.SYSTEM, page="x")
    assert read_head(database_folder / "head.json").count == count + 2
