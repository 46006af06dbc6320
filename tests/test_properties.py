"""What must not change a grade: names, numbers and series of files; and a mirror."""

import random
from copy import deepcopy
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facetgrade.anatomy import Level
from facetgrade.config import read_config
from facetgrade.inference import choose_device, load_models
from facetgrade.ingest import Privacy, find_studies, load_study, shipped_settings
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.tables import joint_rows
from tests.ingest.builders import AXIAL, gradient_volume, image_dataset, save, uid

SAMPLE = Path(__file__).parents[1] / "data_samples" / "sim-0001_baseline" / "dicom"
SERIES = ("t2_tirm_sag", "t2_tse_fs_tra")
REQUEST = Request(levels=(Level.L4_L5,), accept_assumed_levels=True)
INGEST = shipped_settings()
PRIVACY = Privacy(key=b"k" * 32, keep_patient_id=False, mask_uids=False)


def load(folder):
    (files,) = find_studies(folder, settings=INGEST)
    return load_study(files, INGEST, PRIVACY)


@pytest.fixture(scope="module")
def sample():
    """Two fat-suppressed series of a study whose sides differ, decompressed."""
    datasets = [pydicom.dcmread(path) for path in sorted(SAMPLE.iterdir())]
    datasets = [one for one in datasets if one.SeriesDescription in SERIES]
    for dataset in datasets:
        dataset.decompress(generate_instance_uid=False)
    return datasets


@pytest.fixture(scope="module")
def grade(sample):
    """Write a changed copy of the sample and grade it into rows of joints.csv."""
    config = read_config()
    models = load_models(config, choose_device("cpu"))

    def run(folder, change):
        folder.mkdir()
        for number, dataset in enumerate(sample):
            changed = deepcopy(dataset)
            name = change(changed) or f"{number}.dcm"
            changed.save_as(folder / name, enforce_file_format=True)
        report = grade_study(load(folder), models, config, request=REQUEST)
        return {row["side"]: row for row in joint_rows(report)}

    return run


@pytest.fixture(scope="module")
def graded(grade, tmp_path_factory):
    return grade(tmp_path_factory.mktemp("plain") / "in", lambda _: None)


def mirror(dataset):
    """Turn the patient into its mirror image: x becomes -x."""
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [-x, y, z]
    signs = np.array([-1.0, 1.0, 1.0, -1.0, 1.0, 1.0])
    axes = np.array(dataset.ImageOrientationPatient, float) * signs
    dataset.ImageOrientationPatient = axes.tolist()


def center_mm(row):
    return np.array([float(row[name]) for name in ("x_mm", "y_mm", "z_mm")])


def test_a_mirrored_patient_has_mirrored_sides(grade, graded, tmp_path):
    mirrored = grade(tmp_path / "in", mirror)

    assert graded["left"]["grade"] != graded["right"]["grade"]
    for side, other in (("left", "right"), ("right", "left")):
        assert mirrored[side]["status"] == "graded"
        assert mirrored[side]["grade"] == graded[other]["grade"]
        expected = center_mm(graded[other]) * [-1.0, 1.0, 1.0]
        np.testing.assert_allclose(center_mm(mirrored[side]), expected, atol=3.0)


def test_names_numbers_and_series_of_files_do_not_change_a_grade(
    grade, graded, tmp_path
):
    names = random.Random(7)

    def disorder(dataset):
        if dataset.InstanceNumber % 2:
            dataset.SeriesInstanceUID += ".7"
        dataset.InstanceNumber = 1000 - dataset.InstanceNumber
        return f"{names.random()}.dcm"

    rows = grade(tmp_path / "in", disorder)

    for side, row in rows.items():
        assert row | {"series_used": ""} == graded[side] | {"series_used": ""}


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(8)), parts=st.lists(st.booleans(), min_size=8))
def test_slices_are_ordered_by_position_alone(tmp_path_factory, order, parts):
    folder = tmp_path_factory.mktemp("in")
    volume = gradient_volume((8, 6, 7))
    for k, number in enumerate(order):
        dataset = image_dataset(
            volume[k], (-20.0, -30.0, 4.4 * k), axes=AXIAL, number=number
        )
        dataset.SeriesInstanceUID = uid(f"part {parts[k]}")
        save(dataset, folder / f"{number}.dcm")

    (series,) = load(folder).series
    (stack,) = series.stacks

    np.testing.assert_array_equal(stack.volume.voxels, volume)
    np.testing.assert_allclose(stack.volume.geometry.to_lps((7, 0, 0))[2], 30.8)


@settings(max_examples=15, deadline=None)
@given(flips=st.tuples(st.booleans(), st.booleans()))
def test_a_flip_in_header_and_pixels_moves_no_voxel(tmp_path_factory, flips):
    folder = tmp_path_factory.mktemp("in")
    volume = gradient_volume((5, 6, 7))
    axes, origin = np.array(AXIAL), np.array([-20.0, -30.0, 0.0])
    spacing_mm = (0.8, 0.5)  # of columns, of rows; see SPACING_MM of the builders
    for axis, size in ((0, 7), (1, 6)):
        if flips[axis]:
            origin = origin + axes[axis] * spacing_mm[axis] * (size - 1)
            axes[axis] = -axes[axis]
            volume = np.flip(volume, 2 - axis)
    for k, pixels in enumerate(volume):
        place = origin + np.array([0.0, 0.0, 4.4 * k])
        dataset = image_dataset(np.ascontiguousarray(pixels), place, axes=axes)
        save(dataset, folder / f"{k}.dcm")

    image = load(folder).series[0].stacks[0].volume

    # voxel (3, 2, 4) of the unflipped volume lies at x -20 + 4 * 0.8, y -30 + 2 * 0.5
    index = image.geometry.to_index([-16.8, -29.0, 13.2])
    value = image.voxels[tuple(np.rint(index).astype(int))]
    assert value == gradient_volume((5, 6, 7))[3, 2, 4]
