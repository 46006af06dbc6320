"""Folders of reports and segmentations become tables and masks again."""

import csv

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from facetgrade.cli import app
from facetgrade.errors import IngestError
from facetgrade.exchange.read_back import read_back, write_back
from facetgrade.exchange.read_seg import read_segments
from tests.exchange.builders import read


def test_a_folder_gives_its_joints_and_segments(written, tmp_path):
    folder, _, report, _ = written()
    (tmp_path / "note.txt").write_text("not DICOM")
    found = read_back([folder / "out", tmp_path])
    assert [one.joint for one in found.joints] == [o.joint for o in report.outcomes]
    assert len({one.seg_uid for one in found.segments}) == 3
    assert found.problems == []


def test_masks_are_written_where_they_were_drawn(written, tmp_path):
    folder, *_ = written()
    path = folder / "out/dicom/seg_02.dcm"
    table, *masks = write_back(read_back([path]), tmp_path)
    segments = read_segments(read(path))
    assert table.read_text().count("\n") == 1
    assert len(masks) == len(segments)
    image = nibabel.load(masks[0])
    voxels = np.argwhere(np.asarray(image.dataobj) > 0)
    ras = nibabel.affines.apply_affine(image.affine, voxels).mean(axis=0)
    mask = segments[0].mask
    lps = mask.geometry.to_lps(np.argwhere(mask.voxels)).mean(axis=0)
    np.testing.assert_allclose(ras * (-1, -1, 1), lps, atol=1e-3)


def test_a_folder_without_reports_is_an_error(tmp_path):
    with pytest.raises(IngestError, match="no report or segmentation of facetgrade"):
        read_back([tmp_path])


def test_images_are_passed_over_and_damaged_reports_named(written, tmp_path):
    folder, *_ = written()
    content = (folder / "out/dicom/sr.dcm").read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) // 2])
    found = read_back([folder / "in", tmp_path, folder / "out"])
    assert len(found.joints) == 4
    assert [problem.split()[0] for problem in found.problems] == ["cut.dcm"]


def test_the_command_prints_a_table_without_patient_attributes(written):
    folder, *_ = written()
    result = CliRunner().invoke(app, ["read-sr", str(folder / "out")])
    assert result.exit_code == 0
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["grade"] for row in rows] == ["2", "", "3", "4"]
    assert "SIM" not in result.stdout
