"""Results as a BIDS derivatives dataset, judged by the BIDS validator."""

import csv
import json
import shutil
import subprocess

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from facetgrade.anatomy import FacetJoint, Level, Side, Structure
from facetgrade.cli import app
from facetgrade.errors import OutputError
from facetgrade.exchange.bids import write_bids
from facetgrade.exchange.bids_names import visits
from facetgrade.report import write_study
from facetgrade.report.nifti import structure_label
from facetgrade.report.tables import write_joints_csv
from tests.report import builders as phantom

RIGHT_L45 = FacetJoint(Level.L4_L5, Side.RIGHT)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Grade a study twice; the second one is a year younger."""
    folder = tmp_path_factory.mktemp("results")
    report = phantom.report(phantom.outcomes()[6:8])
    one = folder / "studies" / "b"
    context = phantom.context()
    study = phantom.study()
    write_study(report, study, one, context=context, settings=phantom.SETTINGS)
    record = json.loads((one / "study.json").read_text())
    record["study_date"], record["source"] = "2023-05-18", "phantoms/ring_00"
    shutil.copytree(one, folder / "studies" / "c")
    (folder / "studies" / "c" / "study.json").write_text(json.dumps(record))
    write_joints_csv(folder / "joints.csv", record["table"])
    return folder


@pytest.fixture(scope="module")
def dataset(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("bids") / "dataset"
    summary = write_bids(results, out)
    assert (summary.participants, summary.studies) == (1, 2)
    assert summary.without_probabilities == 0
    return out


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def only(dataset, pattern):
    (path,) = dataset.rglob(pattern)
    return path


def record(**values):
    empty = {"source": "a", "subject": "", "study_date": "", "study_uid": "1.2"}
    return empty | values


def test_the_validator_finds_no_error(dataset):
    program = shutil.which("bids-validator-deno")
    if program is None:
        pytest.skip("bids-validator-deno is not installed")
    run = subprocess.run(
        [program, dataset, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=dataset,
    )
    issues = json.loads(run.stdout)["issues"]["issues"]
    assert [one for one in issues if one["severity"] == "error"] == []
    assert {one["code"] for one in issues} <= {
        "SIDECAR_KEY_RECOMMENDED",
        "TOO_FEW_AUTHORS",
    }


def test_sessions_count_in_the_order_of_time(dataset):
    sessions = table(only(dataset, "sub-*_sessions.tsv"))
    # 18 May 2023 to 17 May 2024 with 29 February between: 365 days
    assert [list(row.values()) for row in sessions] == [
        ["ses-01", "0"],
        ["ses-02", "365"],
    ]


def test_every_column_of_the_joints_is_in_the_dictionary(dataset):
    rows = table(only(dataset, "*_ses-02_desc-joints_dseg.tsv"))
    described = json.loads((dataset / "desc-joints_dseg.json").read_text())
    assert set(rows[0]) == set(described)
    assert rows[1]["index"] == "8"
    assert (rows[1]["level"], rows[1]["side"], rows[1]["grade"]) == (
        "L4-L5",
        "right",
        "4",
    )
    assert described["effusion_mm3"]["Units"] == "mm^3"
    assert described["grade"]["Levels"].keys() == set("01234")


def test_nothing_that_leads_to_a_patient_is_in_the_dataset(dataset):
    for path in dataset.rglob("*.tsv"):
        assert "2024" not in path.read_text()
        assert "ring_0" not in path.read_text()


def test_a_map_of_joints_agrees_with_table_and_structures(dataset):
    maps = {
        kind: np.asarray(
            nibabel.load(
                only(dataset, f"*_ses-01_acq-sagittalT2FS_desc-{kind}_dseg.nii.gz")
            ).dataobj
        )
        for kind in ("structures", "lesions", "joints")
    }
    numbers = {int(row["index"]) for row in table(only(dataset, "*ses-01*joints*.tsv"))}
    assert set(np.unique(maps["joints"])) - {0} == numbers
    labelled = (maps["structures"] > 0) | (maps["lesions"] > 0)
    np.testing.assert_array_equal(maps["joints"] > 0, labelled)
    bone = structure_label(RIGHT_L45, Structure.SUPERIOR_ARTICULAR_PROCESS)
    assert set(np.unique(maps["joints"][maps["structures"] == bone])) == {8}


def test_labels_are_named(dataset):
    rows = {row["index"]: row for row in table(dataset / "desc-structures_dseg.tsv")}
    bone = structure_label(RIGHT_L45, Structure.SUPERIOR_ARTICULAR_PROCESS)
    assert rows[str(bone)]["name"] == "L4-L5 right superior articular process"
    assert len(table(dataset / "desc-lesions_dseg.tsv")) == 40


def test_probabilities_lie_on_the_grid_of_their_joint(dataset):
    start = "*_ses-01_space-L4L5right_"
    path = only(dataset, f"{start}label-effusion_probseg.nii.gz")
    image = nibabel.load(path)
    sidecar = json.loads(path.with_name(path.name[:-7] + ".json").read_text())
    reference = dataset / sidecar["SpatialReference"].removeprefix("bids::")
    assert np.asarray(image.dataobj).max() == pytest.approx(1.0)
    np.testing.assert_array_equal(image.affine, nibabel.load(reference).affine)


def test_labels_of_a_bids_source_are_kept():
    found = visits(
        [
            record(source="sub-07/ses-b/anat", study_uid="1"),
            record(source="in.zip/sub-07/ses-a/anat", study_uid="2"),
            record(source="sub-08/anat", study_uid="3"),
        ]
    )
    assert [visit.stem for visit in found] == ["sub-07_ses-b", "sub-07_ses-a", "sub-08"]
    assert found[2].folder == "sub-08/anat"


def test_participants_without_an_identifier_stand_alone():
    found = visits([record(study_uid="1"), record(study_uid="2")])
    assert len({visit.participant for visit in found}) == 2
    assert {visit.session for visit in found} == {"01"}


def test_subjects_that_differ_only_in_signs_stay_apart():
    found = visits([record(subject="A-1"), record(subject="A1"), record(subject="A-1")])
    first, second, third = (visit.stem for visit in found)
    assert first == "sub-A1_ses-01"
    assert third == "sub-A1_ses-02"
    assert second.startswith("sub-A1")
    assert second != first


def test_masked_dates_order_sessions():
    found = visits(
        [
            record(subject="P1", study_date="365", study_uid="1"),
            record(subject="P1", study_date="0", study_uid="2"),
            record(subject="P1", study_date="", study_uid="3"),
        ]
    )
    assert [(visit.session, visit.day) for visit in found] == [
        ("02", 365),
        ("01", 0),
        ("03", None),
    ]


def test_the_command_writes_and_replaces_the_dataset(results, tmp_path):
    command = ["export", str(results), "-o", str(tmp_path), "--bids"]
    for _ in range(2):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert "2 studies of 1 participants" in result.output
    assert {path.name for path in tmp_path.iterdir()} >= {"bids", "joints.parquet"}
    assert not list(tmp_path.glob(".*"))


def test_a_folder_of_something_else_is_not_replaced(results, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="holds something else than a BIDS dataset"):
        write_bids(results, tmp_path)
    assert (tmp_path / "notes.txt").exists()


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(OutputError, match="holds no finished study"):
        write_bids(tmp_path, tmp_path / "out")


def test_a_lost_mask_is_named(results, tmp_path):
    shutil.copytree(results, tmp_path / "results")
    for path in (tmp_path / "results").rglob("*effusion_probability*"):
        path.unlink()
    with pytest.raises(OutputError, match=r"cannot be read \(No such file"):
        write_bids(tmp_path / "results", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_place_that_cannot_be_written_is_one_sentence(results, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        write_bids(results, tmp_path / "file" / "bids")
