"""joints.csv for statistics packages and trial databases."""

import csv
import io
from datetime import date

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from facetgrade.cli import app
from facetgrade.errors import IngestError
from facetgrade.exchange.columns import JOINT_COLUMNS
from facetgrade.exchange.tables import (
    DICTIONARY_HEADER,
    parquet_bytes,
    read_joints_csv,
    record_id,
    redcap_dictionary,
    redcap_records,
)
from facetgrade.findings import Flag
from facetgrade.report.tables import COLUMNS, joint_rows, write_joints_csv
from tests.report import builders as phantom

ROWS = joint_rows(phantom.report())
RIGHT_L45 = 7


def parquet(rows):
    return pyarrow.parquet.read_table(io.BytesIO(parquet_bytes(rows)))


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_every_column_is_described():
    assert tuple(JOINT_COLUMNS) == COLUMNS


def test_parquet_has_types_and_nulls():
    found = parquet(ROWS)
    row = found.to_pylist()[RIGHT_L45]
    assert row["study_date"] == date(2024, 5, 17)
    assert row["grade"] == "4"
    assert row["perimeter_fraction"] == 0.81
    assert row["grade_set"] == [3, 4]
    assert row["extension"] == ["foramen"]
    assert row["borderline"] is False
    ungraded = found.to_pylist()[3]
    assert (ungraded["reason"], ungraded["grade"]) == ("not-found", None)
    assert ungraded["effusion_mm3"] is None
    label = found.schema.field("effusion_mm3").metadata[b"description"]
    assert label == b"Volume of the effusion (mm3)"


def test_masked_dates_are_days():
    rows = [{**row, "study_date": "365"} for row in ROWS]
    assert parquet(rows).to_pylist()[0]["study_date"] == 365
    fields = {f["Variable / Field Name"]: f for f in table(redcap_dictionary(rows))}
    kind = fields["study_date"]["Text Validation Type OR Show Slider Number"]
    assert kind == "integer"


def test_records_have_the_fields_of_the_dictionary():
    records = table(redcap_records(ROWS))
    fields = table(redcap_dictionary(ROWS))
    wanted = []
    for entry in fields:
        name = entry["Variable / Field Name"]
        if entry["Field Type"] == "checkbox":
            choices = entry["Choices, Calculations, OR Slider Labels"].split(" | ")
            wanted += [f"{name}___{c.split(', ')[0]}" for c in choices]
        else:
            wanted.append(name)
    assert list(records[0]) == [*wanted, "facet_joint_complete"]
    assert tuple(fields[0]) == DICTIONARY_HEADER
    assert len(DICTIONARY_HEADER) == 18


def test_choices_of_records_are_codes_of_the_dictionary():
    fields = table(redcap_dictionary(ROWS))
    radios = {
        f["Variable / Field Name"]: {
            choice.split(", ")[0]
            for choice in f["Choices, Calculations, OR Slider Labels"].split(" | ")
        }
        for f in fields
        if f["Field Type"] == "radio"
    }
    assert set(radios) == {"level", "side", "status", "reason", "grade"}
    for record in table(redcap_records(ROWS)):
        for name, codes in radios.items():
            assert record[name] in {*codes, ""}


def test_flags_are_checkboxes():
    record = table(redcap_records(ROWS))[4]
    checked = {name for name in record if "flags___" in name and record[name] == "1"}
    assert checked == {"flags___rule_vs_probability", "flags___sagittal_only"}
    assert sum("flags___" in name for name in record) == len(Flag)


def test_records_are_named_by_subject_study_and_joint():
    assert len({record_id(row) for row in ROWS}) == len(ROWS)
    assert record_id(ROWS[RIGHT_L45]).endswith("_L4L5_R")
    assert record_id({**ROWS[0], "subject": ""}).startswith("study_")


def test_what_leads_to_a_patient_is_an_identifier():
    fields = table(redcap_dictionary(ROWS))
    marked = {f["Variable / Field Name"] for f in fields if f["Identifier?"] == "y"}
    assert marked == {"source", "study_uid", "subject", "study_date", "series_used"}


def test_the_command_writes_all_files(tmp_path):
    write_joints_csv(tmp_path / "joints.csv", ROWS)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["export", str(tmp_path), "-o", str(out)])
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert names == {"joints.parquet", "redcap_records.csv", "redcap_dictionary.csv"}


def test_another_table_is_refused(tmp_path):
    (tmp_path / "joints.csv").write_text("a,b\n1,2\n")
    with pytest.raises(IngestError, match="has other columns than joints"):
        read_joints_csv(tmp_path / "joints.csv")
