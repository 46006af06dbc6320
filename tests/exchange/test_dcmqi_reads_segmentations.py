"""dcmqi, an independent reader, finds every mask voxel where it was drawn."""

import json
import shutil
import subprocess

import nibabel
import numpy as np
import pytest

from facetgrade.exchange.segments import draw_segments
from facetgrade.report.nifti import ras_affine
from facetgrade.simulate.vendors import Habit

WAYS = [
    (Habit.PHILIPS, (1, 2)),
    (Habit.ENHANCED, (0, 1, 2)),
    (Habit.STRIPPED, (2,)),
]

pytestmark = pytest.mark.skipif(
    shutil.which("segimage2itkimage") is None, reason="dcmqi is not installed"
)


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.mark.parametrize(("habit", "flip"), WAYS)
def test_masks_of_every_stack_come_back(written, tmp_path, habit, flip):
    folder, study, report, _ = written(habit, flip)
    stacks = [stack for series in study.series for stack in series.stacks]
    for k, stack in enumerate(stacks, start=1):
        out = tmp_path / str(k)
        out.mkdir()
        source = folder / f"out/dicom/seg_{k:02d}.dcm"
        command = ["segimage2itkimage", "--inputDICOM", source, "-t", "nii"]
        run(*command, "-p", "x", "--outputDirectory", out)
        geometry = stack.volume.geometry
        drawn = draw_segments(geometry, report.outcomes)
        labels = json.loads((out / "x-meta.json").read_text())["segmentAttributes"]
        assert [one[0]["SegmentLabel"] for one in labels] == [s.label for s in drawn]
        for number, segment in enumerate(drawn, start=1):
            image = nibabel.load(out / f"x-{number}.nii.gz")
            there = np.argwhere(np.asarray(image.dataobj) > 0)
            to_index = np.linalg.inv(ras_affine(geometry)) @ image.affine
            index = nibabel.affines.apply_affine(to_index, there)[:, ::-1]
            assert np.abs(index - np.rint(index)).max() < 1e-3
            back = np.zeros(geometry.shape, bool)
            back[tuple(np.rint(index).astype(int).T)] = True
            np.testing.assert_array_equal(back, segment.voxels)


def test_the_report_is_read_by_dcmqi(written, tmp_path):
    folder, *_ = written()
    out = tmp_path / "report.json"
    source = folder / "out/dicom/sr.dcm"
    run("tid1500reader", "--inputDICOM", source, "--outputMetadata", out)
    groups = json.loads(out.read_text())["Measurements"]
    assert [one["TrackingIdentifier"] for one in groups][-1] == "L4L5_R"
