import numpy as np
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest import shipped_settings
from facetgrade.ingest.choose import choose_series
from facetgrade.ingest.spaces import keep_one_space, overlap_fraction
from facetgrade.study import Plane, Sequence, Series, Stack

SETTINGS = shipped_settings()


def series(
    uid,
    *,
    x_mm=0.0,
    slices=10,
    size=100,
    frame="f",
    sequence=Sequence.T2,
    plane=Plane.SAGITTAL,
    missing=(),
):
    """One sagittal stack: slices 4 mm apart along x, `size` pixels over 200 mm."""
    grid = VolumeGeometry.from_axes(
        origin_lps_mm=(x_mm, 0.0, 0.0),
        axes=[[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        spacing_mm=(4.0, 200.0 / size, 200.0 / size),
        shape=(slices, size, size),
        frame_of_reference_uid=frame,
    )
    voxels = np.zeros(grid.shape, np.float32)
    stack = Stack(volume=Volume(geometry=grid, voxels=voxels), missing_slices=missing)
    return Series(
        uid=uid, description=uid, sequence=sequence, plane=plane, stacks=(stack,)
    )


def uids(found):
    return [one.uid for one in found]


def choose(*candidates):
    return choose_series(candidates, SETTINGS.series_rules.choice)


def test_overlap_is_the_share_of_the_smaller_box():
    # 40 mm and 20 mm wide, 10 mm in common: 10 / 20
    first, second = series("a"), series("b", x_mm=30.0, slices=5)

    assert overlap_fraction(first, second) == pytest.approx(0.5)


def test_different_frames_of_reference_with_overlap_are_one_space():
    kept, rejected, notes = keep_one_space(
        [series("a", frame="1"), series("b", frame="2")], SETTINGS.space
    )

    assert (uids(kept), rejected) == (["a", "b"], [])
    assert "2 frame-of-reference UIDs, but the positions overlap" in notes[0]


def test_series_in_another_space_is_rejected():
    kept, rejected, _ = keep_one_space(
        [series("far", frame="2", x_mm=900, slices=4), series("a"), series("b")],
        SETTINGS.space,
    )

    assert uids(kept) == ["a", "b"]
    assert rejected[0].uid == "far"
    assert "another frame of reference" in rejected[0].reason


def test_same_frame_of_reference_needs_no_overlap():
    kept, _, notes = keep_one_space(
        [series("a"), series("b", x_mm=900)], SETTINGS.space
    )

    assert uids(kept) == ["a", "b"]
    assert notes == []


def test_complete_series_beats_one_with_a_hole():
    chosen, losers = choose(series("hole", size=200, missing=(3,)), series("whole"))

    assert uids(chosen) == ["whole"]
    assert "no missing slices" in losers[0].reason


def test_larger_coverage_beats_finer_voxels():
    chosen, losers = choose(
        series("fine", slices=7, size=200), series("wide", slices=17)
    )

    assert uids(chosen) == ["wide"]
    assert "covers more" in losers[0].reason


def test_finer_voxels_decide_between_equal_coverage():
    chosen, losers = choose(series("coarse"), series("fine", size=200))

    assert uids(chosen) == ["fine"]
    assert "finer voxels" in losers[0].reason


def test_other_region_plane_or_contrast_is_kept():
    candidates = [
        series("a"),
        series("elsewhere", x_mm=60),
        series("axial", plane=Plane.AXIAL),
        series("t1", sequence=Sequence.T1),
        series("x", sequence=Sequence.OTHER),
        series("y", sequence=Sequence.OTHER),
    ]

    chosen, losers = choose(*candidates)

    assert uids(chosen) == uids(candidates)
    assert losers == []
