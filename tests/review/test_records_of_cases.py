import json

import pytest

from facetgrade.review.cases import find_cases
from facetgrade.review.errors import ReviewError
from facetgrade.review.records import Visit


def write_study(out, source, subject, date, *, grades=(2, None)):
    """A folder as `facetgrade grade` leaves it, with what a review reads of it."""
    folder = out / "studies" / source
    folder.mkdir(parents=True)
    joints = [
        {
            "level": "L4-L5",
            "side": side,
            "status": "ungradable" if grade is None else "graded",
            "reason": "motion" if grade is None else "",
            "grade": grade,
        }
        for side, grade in zip(("left", "right"), grades, strict=True)
    ]
    record = {
        "schema_version": "1",
        "study_uid": f"2.25.{len(source)}{date[:4]}",
        "source": source,
        "subject": subject,
        "study_date": date,
        "content_sha256": "",
        "model_sha256": {"segmenter": "ab12"},
        "joints": joints,
    }
    (folder / "study.json").write_text(json.dumps(record))
    (out / "run.json").write_text('{"inputs": []}')


@pytest.fixture
def out(tmp_path):
    """Two visits of one patient, and one of another."""
    write_study(tmp_path, "late", "P1", "2021-05-01", grades=(1, 3))
    write_study(tmp_path, "early", "P1", "2020-05-01")
    write_study(tmp_path, "alone", "P2", "2020-06-01")
    return tmp_path


def test_visits_are_paired_by_subject_and_date(out, review):
    found = find_cases(out, review.charter())

    (case,) = found.cases
    assert [(s.visit, s.source) for s in case.studies] == [
        (Visit.BASELINE, "early"),
        (Visit.FOLLOWUP, "late"),
    ]
    assert case.joints == review.JOINTS
    grades = {(one.visit, one.joint): (one.grade, one.reason) for one in case.ai}
    assert grades[Visit.BASELINE, review.RIGHT] == (None, "motion")
    assert grades[Visit.FOLLOWUP, review.RIGHT] == (3, "")
    assert "alone is not paired" in found.left_out[0]
    assert found.models == {"segmenter": "ab12"}


def test_single_reading_takes_every_study(out, review):
    found = find_cases(out, review.charter(reading="single"))

    assert [case.studies[0].source for case in found.cases] == [
        "early",
        "late",
        "alone",
    ]
    assert {case.studies[0].visit for case in found.cases} == {Visit.ONLY}


def test_a_comparison_says_what_belongs_together_and_what_was_refused(tmp_path, review):
    graded = tmp_path / "graded"
    for source in ("a", "bb", "ccc", "dddd"):
        write_study(graded, source, "", "2020-01-01")
    pairs = [
        {"pair": "1", "baseline_source": "bb", "followup_source": "a"},
        {"pair": "2", "baseline_source": "ccc", "followup_source": "dddd"},
    ]
    refusals = [(None, None), ("different-anatomy", "two patients")]
    for pair, (refused, explanation) in zip(pairs, refusals, strict=True):
        pair |= {"refused": refused, "explanation": explanation}
    (tmp_path / "compare.json").write_text(json.dumps({"pairs": pairs}))

    found = find_cases(tmp_path, review.charter())

    assert [s.folder for s in found.cases[0].studies] == [
        "graded/studies/bb",
        "graded/studies/a",
    ]
    assert found.left_out == ("pair 2 was refused: two patients",)


def test_nothing_to_read_is_told_with_the_reason(tmp_path, review):
    write_study(tmp_path, "alone", "P2", "2020-06-01")

    with pytest.raises(ReviewError, match="nothing to read: alone is not paired"):
        find_cases(tmp_path, review.charter())


def test_levels_of_the_charter_that_no_study_has_are_nothing_to_read(out, review):
    with pytest.raises(ReviewError, match="no study has a joint of these levels"):
        find_cases(out, review.charter(levels=["L1-L2"]))
