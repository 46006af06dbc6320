import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from facetgrade.cli import app
from facetgrade.review.errors import ReviewError
from facetgrade.review.training import decode_mask, write_training_set
from facetgrade.train.manifest import read_manifest
from facetgrade.train.masks import read_annotation


@pytest.fixture
def files(tmp_path):
    return {"key_file": tmp_path / "audit.key", "head_file": tmp_path / "head.json"}


@pytest.fixture
def store(files, tmp_path, review):
    """A review of two cases in a file, begun."""
    from facetgrade.review.store import open_store

    opened = open_store(f"sqlite:///{tmp_path / 'review.sqlite'}", **files)
    cases = [review.case(1), review.case(2)]
    opened.begin(review.charter(), cases, review.SYSTEM)
    yield opened
    opened.close()


@pytest.fixture
def images(tmp_path, review):
    """A folder with the sources of all studies."""
    root = tmp_path / "images"
    for number in (1, 2):
        for study in review.case(number).studies:
            (root / study.source).mkdir(parents=True)
    return root


@pytest.fixture
def run(files):
    def call(*arguments):
        options = ["--audit-key", str(files["key_file"])]
        return CliRunner().invoke(app, ["review", *map(str, arguments), *options])

    return call


def test_an_edited_mask_becomes_a_row_that_train_takes(
    store, review, mask_of_one_voxel, images, tmp_path
):
    item = store.work_list("ann")[0]
    store.save_mask(mask_of_one_voxel(item), review.origin("ann"))
    read = review.submission(item, review.LEFT, 3)
    store.submit(read, review.origin("ann"))

    manifest = read_manifest(write_training_set(store, tmp_path / "set", [images]))

    (row,) = manifest.rows
    assert (row.grade, row.reader, row.joint) == (3, "ann", review.LEFT)
    assert row.sources[0].resolve().is_dir()
    # The middle of 2 x 3 x 4 voxels on the identity grid: indices (0.5, 1, 1.5).
    assert row.center_lps_mm == (0.5, 1.0, 1.5)
    annotation = read_annotation(row)
    (effusion,) = annotation.masks[next(iter(annotation.masks))]
    assert np.argwhere(effusion.voxels).tolist() == [[1, 2, 3]]
    np.testing.assert_allclose(effusion.geometry.index_to_lps, np.eye(4), atol=1e-6)
    assert {kind.value for kind in annotation.known} == {
        "effusion",
        "soft_tissue_edema",
        "marrow_edema",
    }


def test_a_mask_of_a_read_that_is_not_locked_is_not_exported(
    store, review, mask_of_one_voxel, images, tmp_path
):
    item = store.work_list("ann")[0]
    store.save_mask(mask_of_one_voxel(item), review.origin("ann"))

    with pytest.raises(ReviewError, match="no locked read has an edited mask"):
        write_training_set(store, tmp_path / "set", [images])


def test_missing_images_are_named(store, review, mask_of_one_voxel, tmp_path):
    item = store.work_list("ann")[0]
    store.save_mask(mask_of_one_voxel(item), review.origin("ann"))
    store.submit(review.submission(item), review.origin("ann"))

    with pytest.raises(ReviewError, match="its images are not found"):
        write_training_set(store, tmp_path / "set", [tmp_path / "elsewhere"])


def test_a_stored_mask_comes_back_as_it_was(store, mask_of_one_voxel, review):
    mask = mask_of_one_voxel(store.work_list("ann")[0])

    record = store.save_mask(mask, review.origin("ann"))
    lesions, geometry = decode_mask(record.nifti)

    np.testing.assert_array_equal(lesions, mask.lesions)
    np.testing.assert_allclose(geometry.index_to_lps, np.eye(4), atol=1e-6)


def test_the_export_holds_every_read_and_audit_entry(store, review, run, tmp_path):
    item = store.work_list("ann")[0]
    origin = review.origin("ann")
    store.submit(review.submission(item, comment="=1+1"), origin)
    store.submit(review.submission(item, grades=2, correction_reason="slip"), origin)

    result = run(
        "export",
        tmp_path / "review.sqlite",
        *("-o", tmp_path / "out", "--no-agreement"),
        *("--head", tmp_path / "head.json"),
    )

    assert result.exit_code == 0, result.output
    with (tmp_path / "out" / "reads.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["current"] for row in rows] == ["no", "no", "yes", "yes"]
    assert rows[0]["comment"] == "'=1+1"
    assert [row["correction_reason"] for row in rows] == ["", "", "slip", "slip"]
    record = json.loads((tmp_path / "out" / "review.json").read_text())
    assert len(record["audit"]) == len(store.audit())
    assert record["charter"]["title"] == "Test"


def test_verify_tells_what_was_altered_by_its_exit_code(store, run, tmp_path, review):
    arguments = ("verify", tmp_path / "review.sqlite", "--head", tmp_path / "head.json")
    untouched = run(*arguments)
    assert untouched.exit_code == 0, untouched.output
    assert "rows checked" in untouched.output

    connection = store.trail.engine.raw_connection()
    connection.execute("DROP TRIGGER trial_case_no_delete")
    connection.execute("DELETE FROM trial_case WHERE id = 'case1'")
    connection.close()
    altered = run(*arguments)

    assert altered.exit_code == 3
    assert "trial_case/case1: was removed" in altered.output
    assert review.case(1).case_id == "case1"


@pytest.mark.usefixtures("store")
def test_an_account_is_made_for_people_of_the_charter_only(run, tmp_path):
    password = tmp_path / "password"
    password.write_text("correct horse\n")
    options = ("--password-file", password, "--head", tmp_path / "head.json")

    made = run("account", tmp_path / "review.sqlite", "ann", *options)
    refused = run("account", tmp_path / "review.sqlite", "eve", *options)

    assert made.exit_code == 0, made.output
    assert "ann: reader" in made.output
    assert "eve is not in the charter" in str(refused.exception)


def test_a_database_that_is_not_there_is_not_made(run, tmp_path):
    result = run("verify", tmp_path / "none.sqlite")

    assert "no such database" in str(result.exception)
    assert not (tmp_path / "none.sqlite").exists()
