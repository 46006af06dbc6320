from dataclasses import replace

import numpy as np
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest import find_studies, load_study, shipped_settings
from facetgrade.ingest.fat import compare_fat, tell_fat_apart
from facetgrade.study import Plane, Sequence, Series, Stack
from tests.ingest import builders
from tests.ingest.phantom import AXIAL, SAGITTAL, SIGNALS, patient

RULES = shipped_settings().series_rules.pixels


def series(signals, sequence, axes=AXIAL, **shading):
    """One stack of the phantom that was given a class."""
    stack = Stack(volume=patient(SIGNALS[signals], axes, **shading))
    plane = Plane.AXIAL if axes is AXIAL else Plane.SAGITTAL
    return Series(
        uid=signals, description="T2", sequence=sequence, plane=plane, stacks=(stack,)
    )


def classes(*found):
    return [one.sequence for one in tell_fat_apart(found, found, RULES)]


@pytest.fixture(scope="module")
def plain():
    return series("T2", Sequence.T2)


@pytest.fixture(scope="module")
def suppressed():
    return series("T2-FS", Sequence.T2)


def test_suppression_loses_more_than_the_whole_contrast_of_fat(plain, suppressed):
    found = compare_fat(plain, suppressed)

    # (0.49 / 0.04) / (0.03 / 0.11) = 45, less by the noise of 0.01 in dark tissue
    assert np.log(10) < found.drop < np.log(45)
    assert found.loss > 1.2


def test_contrast_is_unknown_where_nothing_is_in_common(plain):
    grid = plain.stacks[0].volume.geometry
    affine = grid.index_to_lps.copy()
    affine[0, 3] += 900.0
    far = VolumeGeometry(shape=grid.shape, index_to_lps=affine)
    volume = Volume(geometry=far, voxels=plain.stacks[0].volume.voxels)
    elsewhere = replace(plain, stacks=(Stack(volume=volume),))

    assert np.isnan(compare_fat(plain, elsewhere).loss)


def test_of_two_series_called_t2_the_one_with_dark_fat_is_suppressed(plain, suppressed):
    assert classes(plain, suppressed) == [Sequence.T2, Sequence.T2_FS]
    assert classes(suppressed, plain) == [Sequence.T2_FS, Sequence.T2]


def test_plain_t2_that_was_read_as_suppressed_is_corrected(plain, suppressed):
    misread = replace(plain, sequence=Sequence.T2_FS)
    right = replace(suppressed, sequence=Sequence.T2_FS)

    expected = [Sequence.T2, Sequence.T2, Sequence.T2_FS]
    assert classes(plain, misread, right) == expected


def test_another_shading_of_the_same_contrast_is_no_suppression(plain):
    shaded = series("T2", Sequence.T2, shade_mm=90.0)

    assert classes(plain, shaded) == [Sequence.T2, Sequence.T2]


@pytest.mark.parametrize("called", [Sequence.T1, Sequence.T1_FS_POST])
@pytest.mark.parametrize("axes", [AXIAL, SAGITTAL], ids=["axial", "sagittal"])
def test_fat_of_t1_is_judged_beside_plain_t2_of_any_plane(plain, called, axes):
    dark, bright = series("T1-FS", called, axes), series("T1", called, axes)

    assert classes(plain, dark, bright)[1:] == [Sequence.T1_FS_POST, Sequence.T1]


def test_series_whose_header_tells_keeps_its_class(plain, suppressed):
    kept = tell_fat_apart([plain, suppressed], [plain], RULES)

    assert kept == [plain, suppressed]


def test_nothing_is_judged_without_a_plain_t2():
    lone = series("T1-FS", Sequence.T1)

    assert classes(lone) == [Sequence.T1]


def test_the_reason_is_kept(plain, suppressed):
    _, judged = tell_fat_apart([plain, suppressed], [suppressed], RULES)

    assert "of the contrast of fat over muscle in the plain T2" in judged.evidence[-1]


def write(folder, signals, uid, **elements):
    volume = patient(SIGNALS[signals], AXIAL)
    builders.write_series(
        folder,
        (volume.voxels * 1000).astype(np.uint16),
        axes=builders.AXIAL,
        origin=volume.geometry.to_lps((0, 0, 0)),
        gap_mm=4.0,
        name=uid,
        series=uid,
        Modality=None,
        PixelSpacing=[2.0, 2.0],
        **elements,
    )


def test_stripped_series_called_t2_is_no_duplicate_of_the_plain_one(
    tmp_path, settings, privacy
):
    for uid, signals in (("1", "T2"), ("2", "T2-FS")):
        write(tmp_path, signals, uid, SeriesDescription="T2")

    (files,) = find_studies(tmp_path, settings=settings)
    study = load_study(files, settings, privacy)

    assert {one.sequence for one in study.series} == {Sequence.T2, Sequence.T2_FS}
    assert study.rejected == ()


def test_stripped_series_called_t1_with_dark_fat_is_taken_as_post_contrast(
    tmp_path, settings, privacy
):
    write(tmp_path, "T2", "1", SeriesDescription="T2")
    write(tmp_path, "T1", "2", SeriesDescription="T1")
    write(tmp_path, "T1-FS", "3", SeriesDescription="T1")

    (files,) = find_studies(tmp_path, settings=settings)
    study = load_study(files, settings, privacy)

    classes = [one.sequence for one in study.series]
    assert sorted(classes) == [Sequence.T1, Sequence.T1_FS_POST, Sequence.T2]
