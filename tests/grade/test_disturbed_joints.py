import numpy as np
import pytest

from facetgrade.findings import (
    Graded,
    Localization,
    LocatedVertebra,
    Reason,
    SegmentedJoint,
)
from facetgrade.grade import grade_joints
from facetgrade.study import RejectedSeries, Sequence
from tests.grade.disturbed import (
    CENTER_LPS_MM,
    LEFT,
    located,
    moved,
    series_of,
    study_of,
    textured,
    tissue_with_bar,
)

STILL = textured()
MOVED = moved(STILL, 7)
AROUND = (tuple(CENTER_LPS_MM - 30.0), tuple(CENTER_LPS_MM + 30.0))


@pytest.fixture(name="outcome")
def _outcome(shipped):
    """Grade the joint of a study on the given masks."""

    def graded(study, *masks):
        found = SegmentedJoint(
            joint=LEFT,
            location=located(),
            masks=masks,
            series_used=tuple(series.uid for series in study.series),
        )
        vertebrae = tuple(
            LocatedVertebra(name=name, center_lps_mm=np.zeros(3), probability=0.9)
            for name in ("L4", "L5")
        )
        where = Localization(
            vertebrae=vertebrae, joints=(found.location,), numbering_probability=0.9
        )
        (one,) = grade_joints(
            study, where, {LEFT: found}, shipped, [LEFT], accept_assumed_levels=False
        )
        return one

    return graded


def test_a_joint_beside_metal_is_not_graded(outcome, build_joint):
    t1 = series_of(tissue_with_bar(30.0, 8.0), Sequence.T1)
    stir = series_of(tissue_with_bar(30.0, 8.0), Sequence.T2_FS, name="STIR")
    found = outcome(study_of(t1, stir), build_joint())
    assert found.reason is Reason.METAL
    assert "mm wide" in found.explanation
    assert found.masks is not None


def test_a_joint_on_the_only_series_that_moved_is_not_graded(outcome, build_joint):
    study = study_of(series_of(MOVED, Sequence.T2_FS, name="STIR"))
    found = outcome(study, build_joint())
    assert found.reason is Reason.MOTION
    assert "moved during STIR" in found.explanation


def test_a_clean_series_of_the_contrast_judges_in_place_of_one_that_moved(
    outcome, build_joint
):
    study = study_of(
        series_of(MOVED, Sequence.T2_FS, name="STIR"),
        series_of(STILL, Sequence.T2_FS, name="axial FS"),
    )
    found = outcome(study, build_joint())
    assert isinstance(found, Graded)
    assert "moved during STIR" in found.best.trace[-1]
    assert "axial FS is clean" in found.best.trace[-1]


def test_another_contrast_judges_in_place_of_one_that_moved(outcome, build_joint):
    study = study_of(
        series_of(MOVED, Sequence.T2_FS, name="STIR"),
        series_of(STILL, Sequence.T1_FS_POST, name="post"),
    )
    masks = (build_joint(), build_joint(sequence=Sequence.T1_FS_POST))
    found = outcome(study, *masks)
    assert [grade.sequence for grade in found.per_sequence] == [Sequence.T1_FS_POST]


def test_a_series_that_moved_and_was_left_out_is_still_the_reason(outcome, build_joint):
    study = study_of(
        series_of(MOVED, Sequence.T2_FS, name="STIR"),
        series_of(STILL, Sequence.T2, name="T2"),
    )
    found = outcome(study, build_joint(sequence=Sequence.T2))
    assert found.reason is Reason.MOTION


# Steps of 4 mm: shifted 3 mm along the rows, atan(3/4) = 37 degrees; 5 mm, 51 degrees.
@pytest.mark.parametrize(("shift_mm", "gradable"), [(3.0, True), (5.0, False)])
def test_slices_stacked_along_themselves_have_bad_geometry(
    outcome, build_joint, shift_mm, gradable
):
    step = np.array([4.0, shift_mm, 0.0])
    axes = np.array([step / np.linalg.norm(step), [0, 0, -1.0], [0, 1.0, 0]])
    study = study_of(series_of(STILL, Sequence.T2_FS, axes=axes))
    found = outcome(study, build_joint())
    assert isinstance(found, Graded) == gradable
    if not gradable:
        assert found.reason is Reason.BAD_GEOMETRY
        assert "51 degrees" in found.explanation


@pytest.mark.parametrize(
    ("sequence", "bounds", "reason"),
    [
        (Sequence.T2_FS, AROUND, Reason.BAD_GEOMETRY),
        (None, AROUND, Reason.BAD_GEOMETRY),
        (Sequence.T1, AROUND, Reason.NO_FAT_SUPPRESSION),
        (Sequence.T2_FS, None, Reason.NO_FAT_SUPPRESSION),
        (Sequence.T2_FS, (AROUND[0], AROUND[0]), Reason.NO_FAT_SUPPRESSION),
    ],
)
def test_a_joint_on_slices_that_could_not_be_placed_has_bad_geometry(
    outcome, build_joint, sequence, bounds, reason
):
    rejected = RejectedSeries(
        uid="9",
        description="STIR",
        reason="4 of 12 slices are missing",
        sequence=sequence,
        bounds_lps_mm=bounds,
    )
    study = study_of(series_of(STILL, Sequence.T2), rejected=(rejected,))
    found = outcome(study, build_joint(sequence=Sequence.T2))
    assert found.reason is reason


def test_bad_geometry_is_told_from_being_out_of_view(outcome):
    rejected = RejectedSeries(
        uid="9", description="", reason="uneven slices", bounds_lps_mm=AROUND
    )
    assert outcome(study_of(rejected=(rejected,))).reason is Reason.BAD_GEOMETRY
    assert outcome(study_of()).reason is Reason.NOT_IN_VIEW
