import numpy as np
import pydicom
import pytest

from facetgrade.ingest import find_studies, load_study
from facetgrade.study import Plane
from tests.ingest.builders import (
    AXIAL,
    SAGITTAL,
    gradient_volume,
    image_dataset,
    save,
    write_series,
)

CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))


def load(folder, settings, privacy):
    (files,) = find_studies(folder, settings=settings)
    return load_study(files, settings, privacy)


def write_scout(folder, *, slices=3, gap_mm=9.0, middle_mm=-11.2, **options):
    """Write a sagittal localizer whose middle is that of five slices of T2."""
    write_series(folder / "t2", gradient_volume(), SeriesDescription="SAG T2")
    write_series(
        folder / "scout",
        gradient_volume((slices, 8, 10)),
        series="scout",
        origin=(middle_mm - gap_mm * (slices - 1) / 2, -30.0, 40.0),
        gap_mm=gap_mm,
        **({"SeriesDescription": "localizer"} | options),
    )


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"SeriesDescription": "T2", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    ],
)
def test_a_sagittal_localizer_is_kept_for_the_numbering_only(
    tmp_path, settings, privacy, elements
):
    write_scout(tmp_path, **elements)

    study = load(tmp_path, settings, privacy)

    (scout,) = study.scouts
    assert [one.description for one in study.series] == ["SAG T2"]
    assert study.rejected == ()
    assert scout.plane is Plane.SAGITTAL
    assert scout.evidence[0].startswith("localizer (")
    # origin (-20.2, -30, 40); slices 9 mm apart
    grid = scout.stacks[0].volume.geometry
    np.testing.assert_allclose(grid.to_lps([2, 0, 0]), [-2.2, -30.0, 40.0], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({"FrameOfReferenceUID": "1.2.3"}, "another frame of reference"),
        ({"gap_mm": 18.0}, "its slices are 18 mm apart"),
        ({"middle_mm": 19.8}, "its nearest slice is 22 mm from the middle"),
    ],
)
def test_a_localizer_that_cannot_be_compared_is_rejected(
    tmp_path, settings, privacy, options, obstacle
):
    write_scout(tmp_path, **options)

    study = load(tmp_path, settings, privacy)

    assert study.scouts == ()
    assert study.rejected[0].reason.startswith(
        f"localizer (description); not read for the numbering: {obstacle}"
    )


@pytest.mark.parametrize("axes", [AXIAL, CORONAL])
def test_localizers_of_other_planes_are_rejected_as_before(
    tmp_path, settings, privacy, axes
):
    write_scout(tmp_path, axes=axes)

    study = load(tmp_path, settings, privacy)

    assert study.scouts == ()
    assert study.rejected[0].reason == "localizer (description) (3 files)"


def test_too_few_sagittal_slices_are_rejected_as_before(tmp_path, settings, privacy):
    write_scout(tmp_path, slices=2)

    study = load(tmp_path, settings, privacy)

    assert study.scouts == ()
    assert study.rejected[0].reason == "localizer (description) (2 files)"


def test_only_the_sagittal_slices_of_three_planes_are_kept(tmp_path, settings, privacy):
    write_scout(tmp_path)
    for number, axes in enumerate((AXIAL, CORONAL), start=20):
        dataset = image_dataset(
            gradient_volume()[0],
            (-20.0, -30.0, 40.0),
            axes=axes,
            series="scout",
            number=number,
            SeriesDescription="localizer",
        )
        save(dataset, tmp_path / f"{number}.dcm")

    study = load(tmp_path, settings, privacy)

    (scout,) = study.scouts
    assert scout.stacks[0].volume.geometry.shape == (3, 8, 10)
    assert study.rejected[0].reason == "localizer (description) (2 files)"


def test_three_planes_without_a_name_give_a_scout_too(tmp_path, settings, privacy):
    write_series(tmp_path / "t2", gradient_volume(), SeriesDescription="SAG T2")
    for number, axes in enumerate((SAGITTAL, AXIAL, CORONAL)):
        write_series(
            tmp_path / str(number),
            gradient_volume((3, 8, 10)),
            axes=axes,
            series="planes",
            SeriesDescription="planes",
        )

    study = load(tmp_path, settings, privacy)

    (scout,) = study.scouts
    assert scout.stacks[0].volume.geometry.shape == (3, 8, 10)
    assert "sagittal, axial and coronal" in study.rejected[0].reason


def test_a_damaged_localizer_is_rejected_without_a_note(tmp_path, settings, privacy):
    write_scout(tmp_path)
    for file in (tmp_path / "scout").iterdir():
        file.write_bytes(file.read_bytes()[:-50])

    study = load(tmp_path, settings, privacy)

    assert (study.scouts, study.notes) == ((), ())
    assert study.rejected[0].reason == "localizer (description) (3 files)"


def test_of_two_localizers_the_one_that_shows_more_of_the_series_is_read(
    tmp_path, settings, privacy
):
    write_scout(tmp_path)
    write_series(
        tmp_path / "other",
        gradient_volume((3, 8, 10)),
        series="other",
        origin=(-20.2, -30.0, 39.7),
        gap_mm=9.0,
        SeriesDescription="localizer",
    )

    study = load(tmp_path, settings, privacy)

    (scout,) = study.scouts
    assert scout.stacks[0].volume.geometry.to_lps([0, 0, 0])[2] == pytest.approx(40.0)
    assert study.rejected[0].reason.endswith("another localizer shows at least as much")


def test_a_localizer_of_another_part_of_the_spine_is_not_read(
    tmp_path, settings, privacy
):
    write_scout(tmp_path)
    for file in (tmp_path / "scout").iterdir():
        dataset = pydicom.dcmread(file)
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [x, y, z + 300.0]
        dataset.save_as(file)

    study = load(tmp_path, settings, privacy)

    assert study.scouts == ()
    assert study.rejected[0].reason.endswith("it shows another part of the spine")
