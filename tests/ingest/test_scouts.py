from dataclasses import replace

import numpy as np
import pytest

from facetgrade.ingest import find_studies, load_study
from facetgrade.ingest.scouts import set_scouts_apart
from facetgrade.study import Plane
from tests.ingest.builders import (
    AXIAL,
    SAGITTAL,
    gradient_volume,
    image_dataset,
    save,
    write_series,
)
from tests.ingest.test_candidates import SETTINGS, series, uids

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


def stretched(one, *, length_mm, spacing_mm):
    """Return a series of another length and slice spacing."""
    (stack,) = one.stacks
    grid = stack.volume.geometry
    scale = np.diag([spacing_mm / 4.0, length_mm / 200.0, length_mm / 200.0, 1.0])
    geometry = replace(grid, index_to_lps=grid.index_to_lps @ scale)
    volume = replace(stack.volume, geometry=geometry)
    return replace(one, stacks=(replace(stack, volume=volume),))


@pytest.mark.parametrize(
    ("slices", "spacing_mm", "length_mm", "is_scout"),
    [
        (5, 8.0, 400.0, True),
        (5, 5.0, 400.0, False),  # slices as close as those that are graded
        (15, 8.0, 400.0, False),  # as many slices
        (5, 8.0, 340.0, False),  # no longer than lumbar protocols
    ],
)
def test_long_coarse_series_without_a_name_are_scouts(
    slices, spacing_mm, length_mm, is_scout
):
    fine = stretched(series("fine"), length_mm=280.0, spacing_mm=4.0)
    long = stretched(
        series("long", slices=slices), length_mm=length_mm, spacing_mm=spacing_mm
    )

    kept, scouts = set_scouts_apart([fine, long], SETTINGS.scout)

    assert uids(scouts) == (["long"] if is_scout else [])
    assert uids(kept) == (["fine"] if is_scout else ["fine", "long"])


def test_a_long_coarse_series_is_kept_where_there_is_no_other_sagittal_one():
    long = stretched(series("long", slices=5), length_mm=400.0, spacing_mm=8.0)
    axial = series("axial", plane=Plane.AXIAL)

    assert set_scouts_apart([long, axial], SETTINGS.scout) == ([long, axial], [])
