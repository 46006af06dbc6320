import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from facetgrade.ingest import find_studies, load_study
from facetgrade.study import Plane, Sequence
from tests.ingest.builders import (
    AXIAL,
    gradient_volume,
    image_dataset,
    save,
    uid,
    write_series,
)


def load_one(folder, settings, privacy):
    (files,) = find_studies(folder, settings=settings)
    return load_study(files, settings, privacy)


def test_sagittal_folder_becomes_one_stack_in_patient_mm(tmp_path, settings, privacy):
    write_series(tmp_path, gradient_volume(), SeriesDescription="SAG T2")

    (series,) = load_one(tmp_path, settings, privacy).series

    volume = series.stacks[0].volume
    assert (series.sequence, series.plane) == (Sequence.T2, Plane.SAGITTAL)
    # origin (-20, -30, 40); slices 4.4 mm to the left, rows 0.5 down, columns 0.8 back
    np.testing.assert_allclose(
        volume.geometry.to_lps([2, 3, 4]), [-11.2, -26.8, 38.5], atol=1e-6
    )
    # 1000 * 2 + 37 * 3 + 3 * 4 + 5
    assert volume.voxels[2, 3, 4] == 2128


def test_slices_with_too_many_gaps_are_rejected_with_their_place(
    tmp_path, settings, privacy
):
    write_series(tmp_path / "a", gradient_volume(), SeriesDescription="SAG T2")
    files = write_series(
        tmp_path / "b",
        gradient_volume((11, 8, 10)),
        series="b",
        SeriesDescription="SAG STIR",
    )
    for number in (2, 5, 8):
        files[number].unlink()

    (rejected,) = load_one(tmp_path, settings, privacy).rejected

    assert "8 slices" in rejected.reason
    assert "gaps" in rejected.reason
    assert rejected.sequence is Sequence.T2_FS
    low, high = rejected.bounds_lps_mm
    # slices from -20 mm, 4.4 mm apart
    assert low[0] == pytest.approx(-20.0)
    assert high[0] == pytest.approx(-20.0 + 10 * 4.4)


def test_study_names_date_subject_and_source(tmp_path, settings, privacy):
    write_series(tmp_path / "p" / "dicom", gradient_volume())

    study = load_one(tmp_path, settings, privacy)

    assert (study.source, study.date) == ("p/dicom", "2025-03-04")
    assert study.subject == privacy.subject("patient-7")
    assert "patient" not in study.subject


def test_axial_description_with_fs_is_fat_suppressed(tmp_path, settings, privacy):
    write_series(tmp_path, gradient_volume(), axes=AXIAL, SeriesDescription="T2_FS tra")

    (series,) = load_one(tmp_path, settings, privacy).series

    assert (series.sequence, series.plane) == (Sequence.T2_FS, Plane.AXIAL)
    assert series.stacks[0].volume.geometry.spacing_mm == pytest.approx([4.4, 0.5, 0.8])


@given(
    names=st.permutations(range(6)),
    numbers=st.permutations(range(6)),
    second=st.sets(st.integers(0, 5), max_size=3),
)
@hypothesis_settings(max_examples=10, deadline=None)
def test_names_numbers_and_split_uids_do_not_change_the_study(
    tmp_path_factory, settings, privacy, names, numbers, second
):
    volume = gradient_volume((6, 8, 10))
    folder = tmp_path_factory.mktemp("study")
    for k in range(6):
        position = (-20.0 + 4.4 * k, -30.0, 40.0)
        series = "b" if k in second else "a"
        dataset = image_dataset(
            volume[k],
            position,
            number=numbers[k],
            series=series,
            instance=f"i{k}",
            SeriesDescription="T2",
        )
        save(dataset, folder / f"{names[k]}.dcm")

    (series,) = load_one(folder, settings, privacy).series

    (stack,) = series.stacks
    np.testing.assert_array_equal(stack.volume.voxels, volume)
    assert stack.volume.geometry.to_lps([5, 7, 9]) == pytest.approx([2, -22.8, 36.5])
    assert stack.instance_uids == tuple(uid(f"i{k}") for k in range(6))
