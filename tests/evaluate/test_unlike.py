import numpy as np
import pytest

from facetgrade.evaluate.unlike import ALL_CHANGES, MISREAD, changed_study
from facetgrade.study import Sequence, Study
from tests.grade.disturbed import series_of, textured


def study():
    voxels = textured()
    series = tuple(
        series_of(voxels, contrast, name=contrast.value)
        for contrast in (Sequence.T1, Sequence.T2, Sequence.T2_FS)
    )
    return Study(uid="1", source="s", subject="", date="", series=series, rejected=())


@pytest.mark.parametrize("change", [c for c in ALL_CHANGES if c != MISREAD])
def test_images_change_and_their_places_do_not(change):
    before = study()
    after = changed_study(before, change, np.random.default_rng(1))
    for old, new in zip(before.series, after.series, strict=True):
        a, b = old.stacks[0].volume, new.stacks[0].volume
        assert new.sequence is old.sequence
        assert b.voxels.shape == a.voxels.shape
        assert b.voxels.dtype == np.float32
        assert b.geometry == a.geometry
        assert np.array_equal(a.voxels, b.voxels) == (change == "as it is")


def test_front_and_back_are_exchanged_along_the_patient():
    before = study()
    after = changed_study(before, "front and back exchanged", np.random.default_rng(1))
    # Columns of the sagittal slices run from front to back.
    np.testing.assert_array_equal(
        after.series[0].stacks[0].volume.voxels,
        before.series[0].stacks[0].volume.voxels[:, :, ::-1],
    )


def test_t1_is_taken_for_what_shows_edema_and_that_is_left_out():
    after = changed_study(study(), MISREAD, np.random.default_rng(1))
    assert [one.sequence for one in after.series] == [Sequence.T2_FS, Sequence.T2]
    assert [one.uid for one in after.series] == ["T1", "T2"]
