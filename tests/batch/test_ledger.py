import pytest

from facetgrade.batch.ledger import FailedStudy, Ledger, fingerprint
from facetgrade.errors import OutputError
from facetgrade.report import Failure, StudyEntry

MADE_BY = {"config": {"a": 1}, "models": {"m": "ff"}}


def entry(out, folder="studies/a"):
    (out / folder).mkdir(parents=True, exist_ok=True)
    (out / folder / "study.json").write_text("{}")
    return StudyEntry(
        folder=folder,
        source="a",
        study_uid="1.2",
        content_sha256="c0",
        rows=({"level": "L3-L4"},),
        stage_seconds={"read": 1.5},
    )


def test_a_finished_study_is_found_again_and_marked_as_skipped(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.claim(MADE_BY, start_over=False)
        ledger.record(entry(tmp_path), "c0")
    with Ledger(tmp_path) as ledger:
        ledger.claim(MADE_BY, start_over=False)
        found = ledger.find("studies/a", "c0")
    assert found.skipped
    assert found.rows == ({"level": "L3-L4"},)


def test_a_study_with_other_content_is_not_done(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.record(entry(tmp_path), "c0")
        assert ledger.find("studies/a", "c1") is None


def test_a_study_whose_files_were_removed_is_not_done(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.record(entry(tmp_path), "c0")
        (tmp_path / "studies/a/study.json").unlink()
        assert ledger.find("studies/a", "c0") is None
        assert ledger.entries() == ()


def test_another_configuration_is_refused_and_named(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.claim(MADE_BY, start_over=False)
        with pytest.raises(OutputError, match=r"other settings \(config\).*--force"):
            ledger.claim({**MADE_BY, "config": {"a": 2}}, start_over=False)


def test_starting_over_forgets_the_studies_of_another_configuration(tmp_path):
    with Ledger(tmp_path) as ledger:
        ledger.claim(MADE_BY, start_over=False)
        ledger.record(entry(tmp_path), "c0")
        assert ledger.claim(MADE_BY, start_over=True) == ()
        assert ledger.claim({"config": {}}, start_over=True) == ("studies/a",)
        assert ledger.find("studies/a", "c0") is None
        ledger.claim({"config": {}}, start_over=False)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Ledger(path)


def test_a_damaged_ledger_is_refused(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match="unusable"):
        Ledger(tmp_path)


def test_the_fingerprint_does_not_depend_on_the_order_of_keys():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_disk_that_fills_up_under_the_ledger_is_one_line(tmp_path):
    long = Failure(source="a", message="x" * 100_000, stage="read")
    failed = FailedStudy(
        folder="studies/a",
        failure=long,
        cause="data",
        attempts=1,
        files_key="",
        kept_out=False,
    )

    def fill(ledger):
        with ledger:
            ledger._database.execute("PRAGMA max_page_count = 14")
            ledger.record_failure(failed)

    with pytest.raises(OutputError, match=r"ledger.sqlite: unusable .*is full.*again"):
        fill(Ledger(tmp_path))
