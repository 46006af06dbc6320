from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side, Structure
from facetgrade.findings import (
    Flag,
    Graded,
    JointFrame,
    Localization,
    LocatedJoint,
    LocatedVertebra,
    Reason,
    SegmentedJoint,
)
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.grade import grade_joints
from facetgrade.study import Plane, Sequence, Series, Stack, Study

LEFT = FacetJoint(Level.L4_L5, Side.LEFT)
RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)
CENTER_LPS_MM = np.array([12.0, -34.0, 56.0])


def frame():
    lateral, posterior, cranial = np.eye(3)
    return JointFrame(
        center_lps_mm=CENTER_LPS_MM,
        cranial=cranial,
        posterior=posterior,
        lateral=lateral,
    )


def located(joint, level_probability=0.99):
    return LocatedJoint(
        number=4,
        level=joint.level,
        side=joint.side,
        frame=frame(),
        score=0.9,
        level_probability=level_probability,
    )


def localization(*joints, names=("L3", "L4", "L5", "S1"), level_assumed=False):
    return Localization(
        vertebrae=tuple(
            LocatedVertebra(
                name=name,
                center_lps_mm=np.array([0.0, 0.0, 60.0 - 30.0 * i]),
                probability=0.9,
            )
            for i, name in enumerate(names)
        ),
        joints=joints,
        numbering_probability=0.62,
        level_assumed=level_assumed,
    )


def study_of(
    sequence=Sequence.T2_FS, slices=9, first_x_mm=-4.0, missing=(), spacing_mm=4.0
):
    """One sagittal series of 4 mm slices, from x = -4 mm on toward the left."""
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=(first_x_mm, -134.0, 156.0),
        axes=[[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        spacing_mm=(spacing_mm, 5.0, 5.0),
        shape=(slices, 40, 40),
    )
    stack = Stack(
        volume=Volume(geometry=geometry, voxels=np.zeros(geometry.shape, np.float32)),
        missing_slices=missing,
    )
    series = Series(
        uid="1.2.3",
        description="",
        sequence=sequence,
        plane=Plane.SAGITTAL,
        stacks=(stack,),
    )
    return Study(uid="1.2", source=".", subject="", date="", series=(series,))


def segmented(*masks, joint=LEFT, **changes):
    record = SegmentedJoint(
        joint=joint, location=located(joint), masks=masks, series_used=("1.2.3",)
    )
    return {joint: replace(record, **changes)}


def grade(found, shipped, *, where=None, study=None, joints=(LEFT,), accept=False):
    return grade_joints(
        study or study_of(),
        where or localization(*[s.location for s in found.values()]),
        found,
        shipped,
        joints,
        accept_assumed_levels=accept,
    )


def half_ring(grid):
    return grid.ring(9.0, 13.0) * (grid.degrees < 150)


def test_a_joint_is_graded_with_probabilities_and_trace(build_joint, shipped):
    found = segmented(build_joint(edema=half_ring))
    (outcome,) = grade(found, shipped)
    assert isinstance(outcome, Graded)
    assert outcome.best.grade == 2
    assert sum(outcome.probabilities) == pytest.approx(1.0)
    assert 2 in outcome.grade_set
    assert outcome.flags == ()
    assert outcome.series_used == ("1.2.3",)


def test_every_requested_joint_has_one_outcome_in_table_order(build_joint, shipped):
    upper = FacetJoint(Level.L3_L4, Side.RIGHT)
    found = segmented(build_joint())
    outcomes = grade(found, shipped, joints=(RIGHT, LEFT, upper, LEFT))
    assert [outcome.joint for outcome in outcomes] == [upper, LEFT, RIGHT]


def test_the_highest_grade_of_the_contrasts_is_reported(build_joint, shipped):
    fluid = build_joint(effusion=lambda g: g.slab(2.0))
    enhancing = build_joint(edema=half_ring, sequence=Sequence.T1_FS_POST)
    (outcome,) = grade(segmented(fluid, enhancing), shipped)
    assert [g.grade for g in outcome.per_sequence] == [1, 2]
    assert outcome.best.sequence is Sequence.T1_FS_POST
    assert outcome.masks is enhancing


def test_a_joint_that_was_missed_is_not_found(shipped):
    (outcome,) = grade({}, shipped, where=localization())
    assert outcome.reason is Reason.NOT_FOUND
    assert outcome.location is None


def test_a_level_beyond_the_images_is_not_in_view(shipped):
    where = localization(names=("L1", "L2", "L3", "L4"))
    (outcome,) = grade({}, shipped, where=where)
    assert outcome.reason is Reason.NOT_IN_VIEW
    assert outcome.explanation == "L5 is not in the images, which show L1 to L4"


def test_a_joint_beside_a_narrow_slab_is_not_in_view(shipped):
    # The usual place of the left joint is 16.5 mm left of the bodies, of the right one
    # 16.5 mm right; slices see from -6 to 30 mm.
    outcomes = grade({}, shipped, where=localization(), joints=(LEFT, RIGHT))
    reasons = [outcome.reason for outcome in outcomes]
    assert reasons == [Reason.NOT_FOUND, Reason.NOT_IN_VIEW]


def test_a_study_without_vertebrae_has_no_joint(shipped):
    (outcome,) = grade({}, shipped, where=localization(names=()))
    assert outcome.reason is Reason.NOT_FOUND


def test_a_located_joint_that_no_series_covers_keeps_its_location(shipped):
    (outcome,) = grade(segmented(), shipped)
    assert outcome.reason is Reason.NOT_IN_VIEW
    assert outcome.location is not None


@pytest.mark.parametrize(("edge_mm", "gradable"), [(8.0, True), (4.0, False)])
def test_a_joint_cut_by_the_edge_is_not_in_view(
    build_joint, shipped, edge_mm, gradable
):
    # Posterior edge of view; the outline reaches from -9 to 9 mm. Cut at 8 mm it loses
    # about 4 %, at 4 mm more than 20 %.
    masks = build_joint(in_view=lambda g: g.posterior < edge_mm)
    (outcome,) = grade(segmented(masks), shipped)
    assert isinstance(outcome, Graded) == gradable
    if not gradable:
        assert outcome.reason is Reason.NOT_IN_VIEW


def test_a_joint_whose_surroundings_are_cut_is_not_in_view(build_joint, shipped):
    masks = build_joint(in_view=lambda g: (g.radius < 9.5) | (g.lateral > 4.0))
    (outcome,) = grade(segmented(masks), shipped)
    assert outcome.reason is Reason.NOT_IN_VIEW
    assert "tissue around the joint" in outcome.explanation


def test_without_fat_suppression_the_effusion_is_still_measured(build_joint, shipped):
    masks = build_joint(effusion=lambda g: g.slab(1.8), sequence=Sequence.T2)
    (outcome,) = grade(segmented(masks), shipped, study=study_of(Sequence.T2))
    assert outcome.reason is Reason.NO_FAT_SUPPRESSION
    assert outcome.extents.effusion_width_mm.value == pytest.approx(1.8, abs=0.1)


def test_an_assumed_level_is_not_graded_but_kept(build_joint, shipped):
    found = segmented(build_joint(edema=half_ring))
    where = localization(found[LEFT].location, level_assumed=True)
    (outcome,) = grade(found, shipped, where=where)
    assert outcome.reason is Reason.LEVEL_UNCERTAIN
    assert outcome.flags == (Flag.LEVEL_ASSUMED,)
    assert outcome.masks is found[LEFT].masks[0]
    assert outcome.extents.perimeter_fraction.value == pytest.approx(30 / 72)


def test_an_accepted_assumed_level_is_graded_with_its_flag(build_joint, shipped):
    found = segmented(build_joint())
    where = localization(found[LEFT].location, level_assumed=True)
    (outcome,) = grade(found, shipped, where=where, accept=True)
    assert isinstance(outcome, Graded)
    assert outcome.flags == (Flag.LEVEL_ASSUMED,)


@pytest.mark.parametrize(
    ("probability", "flags"), [(0.9, ()), (0.89, (Flag.LEVEL_UNCERTAIN,))]
)
def test_an_unsure_level_is_flagged(build_joint, shipped, probability, flags):
    found = segmented(build_joint(), location=located(LEFT, probability))
    (outcome,) = grade(found, shipped)
    assert outcome.flags == flags


@pytest.mark.parametrize(
    ("typicality", "gradable", "flags"),
    [
        (0.50, True, ()),
        (0.49, True, (Flag.UNLIKE_TRAINING,)),
        (0.30, True, (Flag.UNLIKE_TRAINING,)),
        (0.29, False, (Flag.UNLIKE_TRAINING,)),
    ],
)
def test_a_joint_unlike_training_is_flagged_then_refused(
    build_joint, shipped, typicality, gradable, flags
):
    (outcome,) = grade(segmented(build_joint(), typicality=typicality), shipped)
    assert isinstance(outcome, Graded) == gradable
    assert outcome.flags == flags
    if not gradable:
        assert outcome.reason is Reason.UNLIKE_TRAINING


# The center lies at x = 12 mm: slices within 7 mm of it are at 8, 12 and 16 mm.
@pytest.mark.parametrize(
    ("study", "gradable"),
    [
        (study_of(slices=9), True),
        (study_of(slices=5), True),
        (study_of(slices=4), False),
    ],
)
def test_one_slice_through_the_joint_is_too_few(build_joint, shipped, study, gradable):
    (outcome,) = grade(segmented(build_joint()), shipped, study=study)
    assert isinstance(outcome, Graded) == gradable
    if not gradable:
        assert outcome.reason is Reason.TOO_FEW_SLICES


def test_a_joint_beyond_the_last_slice_is_not_in_view(build_joint, shipped):
    # Slices at 14.5, 16.5 and 18.5 mm pass near the center at 12 mm; none holds it.
    study = study_of(slices=9, first_x_mm=14.5, spacing_mm=2.0)
    (outcome,) = grade(segmented(build_joint()), shipped, study=study)
    assert outcome.reason is Reason.NOT_IN_VIEW
    assert "beyond the T2-FS slices" in outcome.explanation


@pytest.mark.parametrize(("missing", "gradable"), [((3,), True), ((3, 4), False)])
def test_a_joint_between_missing_slices_has_bad_geometry(
    build_joint, shipped, missing, gradable
):
    study = study_of(slices=9, missing=missing)
    (outcome,) = grade(segmented(build_joint()), shipped, study=study)
    assert isinstance(outcome, Graded) == gradable
    if not gradable:
        assert outcome.reason is Reason.BAD_GEOMETRY
        assert outcome.explanation.startswith("2 of 3 T2-FS slices")


def test_how_the_joint_was_imaged_is_flagged(build_joint, shipped):
    found = segmented(build_joint(), sagittal_only=True, missing_slices=True)
    (outcome,) = grade(found, shipped)
    assert outcome.flags == (Flag.SAGITTAL_ONLY, Flag.MISSING_SLICES)


def test_a_cyst_is_flagged(build_joint, shipped):
    masks = build_joint(cyst=lambda g: g.ring(9.0, 14.0) * (g.degrees < 60))
    (outcome,) = grade(segmented(masks), shipped)
    assert outcome.best.grade == 0
    assert outcome.flags == (Flag.CYST,)


def test_a_grade_that_is_not_the_most_probable_is_flagged(build_joint, change_settings):
    biased = {"offset": -2.0, "scale": 0.1}
    settings = change_settings(confidence__majority=biased)
    (outcome,) = grade(segmented(build_joint(edema=half_ring)), settings)
    assert outcome.best.grade == 2
    assert np.argmax(outcome.probabilities) == 3
    assert outcome.flags == (Flag.RULE_VS_PROBABILITY,)


def test_masks_without_joint_space_are_not_found(build_joint, shipped):
    masks = build_joint(label={Structure.SOFT_TISSUE: lambda g: g.radius < 99.0})
    (outcome,) = grade(segmented(masks), shipped)
    assert outcome.reason is Reason.NOT_FOUND
    assert outcome.extents is None
