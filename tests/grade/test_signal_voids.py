import numpy as np
import pytest

from facetgrade.grade.metal import largest_voids
from facetgrade.study import Sequence
from tests.grade.disturbed import CENTER_LPS_MM, series_of, study_of, tissue_with_bar


@pytest.fixture(name="metal")
def _metal(shipped):
    return shipped.acceptance.metal


def size(settings, *series):
    (void,) = largest_voids(study_of(*series), [CENTER_LPS_MM], settings)
    return 0.0 if void is None else void.size(settings)


def test_a_void_is_measured_across_and_in_its_plane(metal):
    (void,) = largest_voids(
        study_of(series_of(tissue_with_bar(20.0, 6.0))), [CENTER_LPS_MM], metal
    )
    # 6 x 20 mm = 120 mm2, give or take the pixels at its edge.
    assert void.width_mm == pytest.approx(6.0, abs=0.7)
    assert void.area_mm2 == pytest.approx(120.0, rel=0.15)
    # The middle of the bar lies 6 mm behind the joint.
    assert void.distance_mm < 12.0
    assert void.sequence is Sequence.T1


@pytest.mark.parametrize(
    ("height_mm", "width_mm", "is_metal"),
    [
        (20.0, 6.0, True),
        (40.0, 3.0, False),  # thin as cortex or a ligament
        (10.0, 6.0, False),  # 60 mm2, small as a sclerotic spot
    ],
)
def test_metal_is_thick_and_large(metal, height_mm, width_mm, is_metal):
    series = series_of(tissue_with_bar(height_mm, width_mm))
    assert (size(metal, series) >= 1.0) == is_metal


# The limit is 0.4 of the dark tissue, 40 of 100.
@pytest.mark.parametrize(("value", "is_metal"), [(30.0, True), (50.0, False)])
def test_a_void_is_darker_than_muscle(metal, value, is_metal):
    series = series_of(tissue_with_bar(20.0, 8.0, value))
    assert (size(metal, series) >= 1.0) == is_metal


# A bar from 2 to 10 mm behind the joint is within its reach of 18 mm, one from 22 on
# is not.
@pytest.mark.parametrize(("behind_mm", "is_metal"), [(6.0, True), (26.0, False)])
def test_metal_far_from_the_joint_does_not_count(metal, behind_mm, is_metal):
    series = series_of(tissue_with_bar(20.0, 8.0, behind_mm=behind_mm))
    assert (size(metal, series) >= 1.0) == is_metal


@pytest.mark.parametrize(("on_t2", "is_metal"), [(10.0, True), (500.0, False)])
def test_what_is_bright_on_t2_is_fluid(metal, on_t2, is_metal):
    t1 = series_of(tissue_with_bar(20.0, 8.0))
    t2 = series_of(tissue_with_bar(20.0, 8.0, on_t2), Sequence.T2)
    assert (size(metal, t1, t2) >= 1.0) == is_metal


@pytest.mark.parametrize("sequence", [Sequence.T2, Sequence.T2_FS, Sequence.T1_FS_POST])
def test_a_contrast_on_which_muscle_is_dark_shows_no_metal(metal, sequence):
    series = series_of(tissue_with_bar(20.0, 8.0), sequence)
    assert size(metal, series) == 0.0


def test_a_joint_outside_the_series_has_no_void(metal):
    study = study_of(series_of(tissue_with_bar(20.0, 8.0)))
    far = CENTER_LPS_MM + np.array([0.0, 0.0, 90.0])
    assert largest_voids(study, [far], metal) == (None,)


def test_uniform_tissue_has_no_void(metal):
    voxels = np.full((5, 90, 80), 100.0, np.float32)
    assert size(metal, series_of(voxels)) == 0.0
