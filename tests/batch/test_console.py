import io

import pytest
from rich.console import Console

from facetgrade.batch.console import (
    BatchConsole,
    print_summary,
    study_line,
    time_left,
)
from facetgrade.report import Failure, StudyEntry
from facetgrade.report.tables import COLUMNS


def row(**values):
    return dict.fromkeys(COLUMNS, "") | {"source": "a/b", **values}


ROWS = (
    row(level="L3-L4", side="left", grade="2", perimeter_fraction="0.412"),
    row(level="L3-L4", side="right", reason="metal", flags="level-assumed"),
    row(level="L4-L5", side="left", grade="0"),
    row(level="L4-L5", side="right", grade="4", extension="pedicle"),
)
ENTRY = StudyEntry(
    folder="studies/a",
    source="a/b",
    study_uid="1.2",
    content_sha256="c0",
    rows=ROWS,
    stage_seconds={"read": 1.25, "grade": 0.5},
)
FAILURE = Failure(source="c", message="no pixels")


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=120)


def printed(console):
    return console.file.getvalue()


def test_a_line_names_every_joint_with_grade_or_reason():
    line = study_line(ROWS)
    assert line == "L3-L4 left 2, right metal; L4-L5 left 0, right 4"


def test_a_finished_study_is_one_line_with_its_seconds(console):
    with BatchConsole(console) as watcher:
        watcher.found(1)
        watcher.stage("read")
        watcher.finished(ENTRY)
    # 1.25 + 0.5 = 1.75, printed with one decimal
    assert printed(console) == f"a/b: {study_line(ROWS)}  (1.8 s)\n"


def test_a_failed_study_is_one_line_with_its_cause(console):
    with BatchConsole(console) as watcher:
        watcher.failed(Failure(source="[red]x[/]", message="no pixels"))
    assert printed(console) == "[red]x[/]: failed: no pixels\n"


def test_many_problems_are_cut_short(console):
    BatchConsole(console).problems([f"file {k}" for k in range(12)])
    assert printed(console).count("not used: ") == 10
    assert "2 more files are listed in facetgrade.log" in printed(console)


def test_a_small_batch_ends_with_a_table_of_joints(console):
    print_summary(console, [ENTRY], [FAILURE])
    lines = printed(console).splitlines()
    (metal,) = [line for line in lines if "metal" in line]
    assert "metal level-assumed" in metal
    assert lines[-1] == "1 study finished, 1 failed"


def test_a_large_batch_ends_with_counts(console):
    print_summary(console, [ENTRY] * 13, [])
    (line,) = [line for line in printed(console).splitlines() if "L3-L4" in line]
    # 13 studies with one grade 2 and one ungradable joint each
    assert line.split() == ["L3-L4", "0", "0", "13", "0", "0", "13"]


@pytest.mark.parametrize(
    ("elapsed_s", "worked", "remaining", "text"),
    [
        (10.0, 0, 5, ""),
        (10.0, 5, 0, ""),
        (10.0, 5, 20, "about 40 s left"),
        (300.0, 100, 1000, "about 50 min left"),
        (250.0, 100, 9900, "about 6.9 h left"),
    ],
)
def test_the_estimate_counts_what_this_run_graded(elapsed_s, worked, remaining, text):
    # 10 s / 5 x 20 = 40 s; 3 s x 1000 = 50 min; 2.5 s x 9900 = 6.875 h
    assert time_left(elapsed_s, worked, remaining) == text


def test_a_log_without_terminal_gets_the_estimate_once_a_minute(console, monkeypatch):
    monkeypatch.setattr("facetgrade.batch.console.TELL_EVERY_S", -1.0)
    with BatchConsole(console) as watcher:
        watcher.found(2)
        watcher.finished(ENTRY)
    assert "1 of 2 studies, about 0 s left" in printed(console)
