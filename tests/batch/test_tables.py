import csv

import duckdb
import pytest

from facetgrade.batch.ledger import FailedStudy
from facetgrade.batch.tables import write_quarantine
from facetgrade.errors import OutputError
from facetgrade.report import Failure
from tests.batch.builders import rows, run


def test_duckdb_reads_the_joints_of_a_run(make_job):
    job = make_job()
    run(job)
    query = "SELECT source, level, side, grade, status, x_mm FROM read_parquet(?)"
    found = duckdb.execute(query, [str(job.out / "joints.parquet")]).fetchall()
    assert [row[:3] for row in found] == [
        (row["source"], row["level"], row["side"]) for row in rows(job)
    ]
    assert {row[3:] for row in found} == {(None, "ungradable", None)}


def test_the_quarantine_is_empty_but_for_its_header(make_job):
    job = make_job()
    run(job)
    text = (job.out / "quarantine.csv").read_text()
    assert text == "source,stage,cause,attempts,kept_out,reason\n"


def test_what_failed_is_listed_with_cause_and_reason(tmp_path):
    failed = FailedStudy(
        folder="studies/a",
        failure=Failure(source="=a", message="not finished in 600 s", stage="segment"),
        cause="time-limit",
        attempts=3,
        files_key="",
        kept_out=True,
    )
    write_quarantine(tmp_path / "quarantine.csv", [failed])
    with (tmp_path / "quarantine.csv").open(newline="") as file:
        (_, row) = csv.reader(file)
    assert row == ["./=a", "segment", "time-limit", "3", "1", "not finished in 600 s"]


def test_a_study_that_is_finished_leaves_the_quarantine(make_job):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    job = make_job()
    run(job, refuse)
    assert (job.out / "quarantine.csv").read_text().count("file-for-now") == 2
    run(job)
    assert (job.out / "quarantine.csv").read_text().count("\n") == 1


def test_a_full_disk_is_one_sentence(make_job, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("facetgrade.batch.tables.write_run", full)
    with pytest.raises(OutputError, match=r"No space left.*once there is room"):
        run(make_job())
