import json
import os
import re
import shutil
from pathlib import Path

import pytest

from facetgrade.batch.anchors import Anchors
from facetgrade.batch.masking import Masking
from facetgrade.batch.runner import study_folder_name
from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError, IngestError, ModelError, OutputError
from facetgrade.exchange.settings import ExchangeSettings
from facetgrade.request import Request
from tests.batch.builders import nothing_found, rows, run
from tests.ingest.builders import gradient_volume, write_series


def test_every_joint_of_every_study_gets_a_row(make_job):
    job = make_job()
    summary, events = run(job)
    assert summary.exit_code == 0
    assert events.of("graded") == ["anna", "bert"]
    # 2 studies x 2 levels x 2 sides
    assert len(rows(job)) == 8
    assert {row["reason"] for row in rows(job)} == {"not-found"}


def test_the_stages_of_a_study_are_told_and_timed(make_job):
    job = make_job()
    summary, events = run(job)
    assert events.of("stage")[:4] == ["search", "read", "localize", "report"]
    assert set(summary.entries[0].stage_seconds) == {"read", "localize", "report"}
    record = json.loads((job.out / "run.json").read_text())
    assert set(record["stage_seconds"]) == {"search", "read", "localize", "report"}


def test_every_input_has_a_hash_of_its_content(make_job, studies):
    def hashes(*inputs):
        job = make_job(inputs=inputs, force=True)
        run(job)
        record = json.loads((job.out / "run.json").read_text())
        return [entry["sha256"] for entry in record["inputs"]]

    anna, bert = hashes(studies / "anna", studies / "bert")
    assert len(anna) == len(bert) == 64
    assert anna != bert
    assert hashes(studies / "anna") == [anna]
    write_series(studies / "anna", gradient_volume(), study="anna", series="more")
    assert hashes(studies / "anna") != [anna]


def test_a_second_run_skips_what_is_done(make_job):
    run(make_job())
    summary, events = run(make_job(), grade=None)
    assert events.of("skipped") == ["anna", "bert"]
    assert (summary.exit_code, len(rows(make_job()))) == (0, 8)


def test_a_new_file_in_a_study_makes_it_new(make_job, studies):
    run(make_job())
    write_series(studies / "bert", gradient_volume(), study="bert", series="bert T1")
    _, events = run(make_job())
    assert events.of("skipped") == ["anna"]
    assert events.of("graded") == ["bert"]


def test_an_anchor_makes_its_study_new(make_job):
    run(make_job())
    anchors = Anchors(by_source={"anna": {"L5": (0.0, 1.0, 2.0)}})
    seen = {}

    def grade(study, request, watch):
        seen[study.source] = request.anchors
        return nothing_found(study, request, watch)

    run(make_job(anchors=anchors), grade)
    assert seen == {"anna": {"L5": (0.0, 1.0, 2.0)}}


def test_force_grades_again(make_job):
    run(make_job())
    _, events = run(make_job(force=True))
    assert events.of("graded") == ["anna", "bert"]


def test_other_levels_are_refused_without_force(make_job):
    run(make_job())
    other = Request(levels=("L5-S1",))
    with pytest.raises(OutputError, match=r"\(levels\).*--force"):
        run(make_job(request=other))


def test_force_replaces_the_results_of_another_version(make_job, studies):
    run(make_job())
    shutil.rmtree(studies / "bert")
    job = make_job(version="0.2", force=True)
    run(job)
    assert {row["source"] for row in rows(job)} == {"anna"}
    assert len(list((job.out / "studies").iterdir())) == 1


def test_one_bad_study_does_not_stop_the_rest(make_job):
    def grade(study, request, watch):
        if study.source == "anna":
            raise ModelError("no such model")
        return nothing_found(study, request, watch)

    job = make_job()
    summary, events = run(job, grade)
    assert (summary.exit_code, summary.bugs) == (3, 0)
    assert events.of("failed") == ["anna"]
    assert {row["source"] for row in rows(job)} == {"bert"}
    failures = json.loads((job.out / "run.json").read_text())["failures"]
    assert [f["message"] for f in failures] == ["no such model"]


def test_a_bug_is_told_without_its_message(make_job, caplog):
    patient_name = "Secret^Name"

    def grade(study, request, watch):
        if study.source == "bert":
            raise KeyError(patient_name)
        return nothing_found(study, request, watch)

    summary, _ = run(make_job(), grade)
    assert summary.exit_code == 1
    assert summary.failures[0].message.startswith("bug in facetgrade (KeyError)")
    assert "in grade" in caplog.text
    assert "Secret" not in caplog.text


def test_a_run_without_any_result_has_its_own_code(make_job):
    def grade(*_):
        raise OSError(28, "No space left on device")

    summary, _ = run(make_job(), grade)
    assert summary.exit_code == 2
    assert summary.failures[0].message == "a file failed: No space left on device"


def test_a_study_that_failed_is_tried_again(make_job):
    def grade(*_):
        raise MemoryError

    assert run(make_job(), grade)[0].failures[0].message == "not enough memory"
    assert run(make_job())[0].exit_code == 0


def test_an_interrupted_run_keeps_what_is_done(make_job):
    def grade(study, request, watch):
        if study.source == "bert":
            raise KeyboardInterrupt
        return nothing_found(study, request, watch)

    job = make_job()
    with pytest.raises(KeyboardInterrupt):
        run(job, grade)
    assert {row["source"] for row in rows(job)} == {"anna"}
    assert run(make_job())[1].of("skipped") == ["anna"]


def test_no_half_written_study_is_left(make_job, monkeypatch):
    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("facetgrade.report.write.write_study_json", broken)
    job = make_job()
    run(job)
    folders = list((job.out / "studies").iterdir())
    assert all(folder.name.endswith(".partial") for folder in folders)


def test_an_input_without_a_study_is_a_failure_beside_others(make_job, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    summary, _ = run(make_job(inputs=(tmp_path / "in", empty)))
    assert summary.exit_code == 3
    assert summary.failures[0].source == str(empty)


def test_inputs_without_any_study_are_an_error(make_job, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(IngestError, match=r"no MR study was found in .*empty"):
        run(make_job(inputs=(empty,)))


def test_files_that_nobody_could_read_fail_like_a_study(make_job, studies):
    (studies / "carl").mkdir()
    for name in ("1.dcm", "2.dcm"):
        (studies / "carl" / name).touch()
    (studies / "damaged.zip").write_bytes(b"PK\3\4" + bytes(100))
    (studies / "notes.txt").write_text("no image")
    job = make_job()
    summary, events = run(job)
    assert (summary.exit_code, summary.bugs) == (3, 0)
    assert events.of("failed") == ["carl", "damaged.zip"]
    failures = json.loads((job.out / "run.json").read_text())["failures"]
    assert "the copy was interrupted (and 1 more files)" in failures[0]["message"]
    assert "damaged, incomplete or locked" in failures[1]["message"]


def test_a_folder_without_permission_fails_like_a_study(make_job, studies, monkeypatch):
    (studies / "carl").mkdir()

    def scandir(path, scan=os.scandir):
        if str(path).endswith("carl"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)
    summary, _ = run(make_job())
    message = "carl cannot be read (Permission denied); check permissions and disk"
    assert [failure.message for failure in summary.failures] == [message]
    assert summary.exit_code == 3


def test_a_file_without_permission_leaves_a_hole_that_is_filled(make_job, monkeypatch):
    def read_bytes(path, read=Path.read_bytes):
        if path.name == "slice002.dcm" and "anna" in path.parts:
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    notes = {}

    def grade(study, request, watch):
        notes[study.source] = study.notes
        return nothing_found(study, request, watch)

    assert run(make_job(), grade)[0].exit_code == 0
    assert any("slice002.dcm cannot be read" in note for note in notes["anna"])
    assert notes["bert"] == ()


def test_an_input_of_links_to_images_elsewhere_is_not_empty(
    make_job, studies, tmp_path
):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "anna").symlink_to(studies / "anna")
    job = make_job(inputs=(tmp_path / "linked",))
    assert run(job)[0].exit_code == 0
    assert {row["source"] for row in rows(job)} == {"anna"}


def test_results_beside_the_images_are_not_graded(make_job, studies):
    for _ in range(2):
        summary, events = run(make_job(out=studies))
        assert (events.of("found"), events.of("problem")) == ([2], [])
        assert summary.exit_code == 0


def test_results_inside_the_input_are_not_graded(make_job, studies):
    job = make_job(out=studies / "results")
    run(job)
    summary, events = run(job)
    assert events.of("found") == [2]
    assert summary.exit_code == 0


def test_an_anchor_for_one_study_is_refused_for_two(make_job):
    anchors = Anchors(only_study={"L5": (0.0, 0.0, 0.0)})
    with pytest.raises(ConfigError, match="2 were found"):
        run(make_job(anchors=anchors))


def test_no_name_of_a_patient_reaches_the_results(make_job):
    job = make_job()
    run(job)
    for path in job.out.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert b"Secret" not in content
        assert b"patient-7" not in content


def test_a_folder_name_stays_inside_the_output():
    name = study_folder_name("../../etc/pass wd", "1.2")
    assert name.startswith("etc_pass_wd-")
    assert study_folder_name("..", "1.2").startswith("study-")
    assert len(study_folder_name("x" * 500, "1.2")) < 100


def test_studies_of_one_source_get_different_folders():
    assert study_folder_name(".", "1.2") != study_folder_name(".", "1.3")


def test_dicom_objects_are_written_and_listed(make_job, tmp_path):
    settings = shipped_path("configs/exchange.toml")
    labels = read_settings(settings, ExchangeSettings).dicom
    summary, _ = run(make_job(dicom=labels))
    for entry in summary.entries:
        folder = tmp_path / "out" / entry.folder
        record = json.loads((folder / "study.json").read_text())
        assert record["files"]["dicom"] == ["dicom/sr.dcm"]
        assert (folder / "dicom/sr.dcm").is_file()


def every_text(out):
    """Return all that a run wrote, names of files included.

    Hashes are named, since four digits of a year can be part of one by chance.
    """
    parts = []
    for path in out.rglob("*"):
        parts.append(str(path.relative_to(out)).encode())
        parts += [path.read_bytes()] if path.is_file() else []
    return re.sub(rb"[0-9a-f]{64}", b"SHA-256", b"\n".join(parts))


def test_masked_sources_are_running_numbers(make_job, studies):
    (studies / "anna" / "report_of_anna.dcm").write_bytes(b"no DICOM")
    job = make_job(masking=Masking(sources=True))
    _, events = run(job)
    assert events.of("graded") == ["1", "2"]
    assert {row["source"] for row in rows(job)} == {"1", "2"}
    # The series descriptions of this phantom hold the names; they are no sources.
    written = every_text(job.out).replace(b"anna T2", b"").replace(b"bert T2", b"")
    assert b"anna" not in written
    assert b"bert" not in written


def test_a_masked_study_keeps_its_number(make_job, studies):
    job = make_job(masking=Masking(sources=True))
    run(job)
    # Sorted before the others.
    write_series(studies / "aaron", gradient_volume(), study="aaron", series="T2")
    _, events = run(job)
    assert (events.of("skipped"), events.of("graded")) == (["1", "2"], ["3"])
    assert len(rows(job)) == 12


def test_masked_dates_count_from_the_first_study_of_a_subject(make_job, studies):
    for name, day in (("first", "20250101"), ("later", "20260101")):
        write_series(
            studies / name,
            gradient_volume(),
            study=name,
            series="T2",
            StudyDate=day,
            PatientID="pair",
        )
    job = make_job(masking=Masking(dates=True))
    run(job)
    dates = {row["source"]: row["study_date"] for row in rows(job)}
    # anna and bert are one patient on one day; 2025 has 365 days
    assert dates == {"anna": "0", "bert": "0", "first": "0", "later": "365"}
    assert b"2025-01-01" not in every_text(job.out)


def test_anchors_go_by_the_true_source_of_a_masked_study(make_job):
    seen = []

    def remember(study, request, watch):
        seen.append((study.source, dict(request.anchors)))
        return nothing_found(study, request, watch)

    anchors = Anchors(by_source={"bert": {"L5": (1.0, 2.0, 3.0)}})
    job = make_job(masking=Masking(sources=True), anchors=anchors)
    run(job, remember)
    assert seen == [("1", {}), ("2", {"L5": (1.0, 2.0, 3.0)})]
