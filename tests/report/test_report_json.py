import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from facetgrade.errors import OutputError
from facetgrade.report import (
    Failure,
    ReportSettings,
    RunInput,
    RunRecord,
    StudyEntry,
    read_study_entry,
    write_run,
    write_study,
)
from facetgrade.report.atomic import finite, write_bytes, write_json
from facetgrade.report.study_json import read_schema, study_record
from facetgrade.scouts import ScoutReading, ScoutVerdict


def forbidden(name):
    raise ValueError(f"{name} is no JSON number")


def read_strictly(path):
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=forbidden)


def validate(record, name):
    schema = read_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(record)


def run_record(phantom, *entries, failures=()):
    return RunRecord(
        started_at="2024-05-17T10:00:00+00:00",
        finished_at="2024-05-17T10:01:00+00:00",
        inputs=(RunInput(path="phantoms"), RunInput(path="a.zip", sha256="d" * 64)),
        studies=entries,
        failures=failures,
        stage_seconds={"startup": 1.5},
        context=phantom.context(),
    )


def test_study_json_follows_its_schema(written_folder):
    validate(read_strictly(written_folder / "study.json"), "study")


def test_study_json_names_the_scout_and_what_it_said(phantom, phantom_study):
    scout = replace(phantom_study.series[1], uid="1.2.3.8", description="Sag Loc")
    reading = ScoutReading((scout.uid,), ScoutVerdict.DECIDES)
    report = phantom.report()
    report = replace(report, localization=replace(report.localization, scout=reading))

    record = finite(
        study_record(
            report,
            replace(phantom_study, scouts=(scout,)),
            context=phantom.context(),
            files_written={},
        )
    )

    validate(record, "study")
    assert record["numbering"]["scout"] == {"series": ["1.2.3.8"], "verdict": "decides"}
    (series,) = record["series_for_numbering"]
    assert (series["description"], series["joints"]) == ("Sag Loc", [])
    assert "1.2.3.8" not in [one["uid"] for one in record["series_used"]]


def test_study_json_holds_grade_extents_and_trace(written_folder):
    record = read_strictly(written_folder / "study.json")

    joint = record["joints"][7]
    assert (joint["level"], joint["side"], joint["grade"]) == ("L4-L5", "right", 4)
    assert joint["extents"]["perimeter_fraction"] == {
        "value": 0.81,
        "low": 0.73,
        "high": 0.88,
    }
    assert joint["trace"][0].startswith("Effusion of 212 mm3")
    assert [s["sequence"] for s in joint["per_sequence"]] == ["T2-FS", "T1-FS-post"]
    # 0.81 * 72 = 58 sectors, then 2 normal, 6 without soft tissue, 6 normal
    assert joint["extents"]["sector_map"][1] == "1" * 58 + "0" * 2 + "-" * 6 + "0" * 6


def test_study_json_lists_every_located_joint_with_its_number(written_folder):
    located = read_strictly(written_folder / "study.json")["located_joints"]

    assert [(j["number"], j["level"], j["side"]) for j in located[:3]] == [
        (1, "L1-L2", "left"),
        (1, "L1-L2", "right"),
        (2, "L2-L3", "left"),
    ]
    assert (located[9]["x_mm"], located[9]["y_mm"], located[9]["z_mm"]) == (
        -16,
        38,
        -70,
    )


def test_what_a_contrast_cannot_show_is_null(written_folder):
    joint = read_strictly(written_folder / "study.json")["joints"][1]

    assert joint["reason"] == "no-fat-suppression"
    assert joint["extents"]["effusion_mm3"]["value"] == 150.0
    assert joint["extents"]["soft_tissue_edema_mm3"] is None
    assert joint["extents"]["sector_map"] is None


def test_study_json_says_which_series_were_used_and_which_not(written_folder):
    record = read_strictly(written_folder / "study.json")

    assert record["series_rejected"][0]["reason"] == "fewer than 5 slices"
    assert "L4-L5 right" in record["series_used"][0]["joints"]
    assert record["numbering"]["alternative"][0] == "T12"


def test_named_mask_files_exist(written_folder):
    files = read_strictly(written_folder / "study.json")["files"]

    assert len(files["1.2.3.1"]) == 2
    assert all((written_folder / name).is_file() for f in files.values() for name in f)


def test_a_finished_study_is_read_back_for_the_batch(written_folder):
    entry = read_study_entry(written_folder, written_folder.parent)

    assert (entry.folder, entry.source, entry.skipped) == (
        "ring_01",
        "phantoms/ring_01",
        True,
    )
    assert len(entry.rows) == 10
    assert entry.stage_seconds["segment"] == 1.9


def test_a_damaged_study_is_named(tmp_path):
    (tmp_path / "study.json").write_text('{"schema_version": "1"')

    with pytest.raises(OutputError, match="not a finished study"):
        read_study_entry(tmp_path, tmp_path)


def test_run_json_follows_its_schema(phantom, written_folder, tmp_path):
    entry = read_study_entry(written_folder, written_folder.parent)
    failure = Failure(source="broken", message="no slices", stage="ingest")

    write_run(tmp_path, run_record(phantom, entry, failures=(failure,)))

    record = read_strictly(tmp_path / "run.json")
    validate(record, "run")
    assert record["failures"] == [
        {"source": "broken", "stage": "ingest", "message": "no slices"}
    ]
    assert record["inputs"][1]["sha256"] == "d" * 64


def test_run_json_adds_the_stages_of_studies_graded_now(phantom, tmp_path):
    entries = [
        StudyEntry(
            folder=name,
            source=name,
            study_uid=name,
            content_sha256="",
            rows=(),
            stage_seconds={"segment": seconds},
            skipped=skipped,
        )
        for name, seconds, skipped in (
            ("a", 2.0, False),
            ("b", 9.0, True),
            ("c", 1.0, False),
        )
    ]

    write_run(tmp_path, run_record(phantom, *entries))

    seconds = read_strictly(tmp_path / "run.json")["stage_seconds"]
    assert seconds == {"startup": 1.5, "segment": 3.0}


def test_writing_a_study_again_gives_the_same_bytes(
    phantom, phantom_study, written_folder, tmp_path
):
    write_study(
        phantom.report(),
        phantom_study,
        tmp_path,
        context=phantom.context(),
        settings=phantom.SETTINGS,
    )

    first, second = (
        {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*")}
        for folder in (written_folder, tmp_path)
    )
    assert first == second


def test_shipped_settings_of_the_report_are_complete(phantom):
    path = Path(__file__).parents[2] / "configs" / "pipeline.toml"
    section = tomllib.loads(path.read_text(encoding="utf-8"))["report"]

    assert ReportSettings.model_validate(section).field_of_view_mm == 60.0
    assert set(section) == set(phantom.SETTINGS.model_dump())


def test_numbers_are_finite():
    assert finite({"a": [math.nan, math.inf, 1.0000000001]}) == {"a": [None, None, 1.0]}


def test_a_name_that_is_no_utf8_is_still_written(tmp_path):
    write_json(tmp_path / "a.json", {"source": "caf\udce9"})

    assert read_strictly(tmp_path / "a.json") == {"source": "caf\ufffd"}


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")

    with pytest.raises(TypeError):
        write_bytes(path, "text, not bytes")

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
