import dataclasses

import numpy as np
import pytest

from facetgrade.compare.aligned import align_joint
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.rigid import RigidMotion
from facetgrade.study import Plane, Study

NO_IMAGES = TimePoint(
    study=Study(uid="1", source="a", subject="", date="", series=()), report=None
)
SHIFT = RigidMotion.from_parts(np.eye(3), np.array([0.0, 8.0, 0.0]))


@pytest.fixture
def aligned(pairs):
    first = pairs.graded(2)
    second = dataclasses.replace(
        first,
        location=dataclasses.replace(
            first.location, frame=SHIFT.move_frame(first.location.frame)
        ),
    )
    found = pairs.registration(motion=SHIFT)
    return align_joint(NO_IMAGES, NO_IMAGES, (first, second), found)


def test_both_time_points_move_half_the_way(aligned):
    # 8 mm apart in y: the baseline moves 4 mm forth, the follow-up 4 mm back
    origin = np.zeros(3)
    assert aligned.baseline.to_common.apply(origin).tolist() == [0.0, 4.0, 0.0]
    assert aligned.followup.to_common.apply(origin).tolist() == [0.0, -4.0, 0.0]
    np.testing.assert_allclose(aligned.frame.center_lps_mm, [-20.0, 34.0, 5.0])


def test_an_axial_picture_has_the_right_of_the_patient_on_the_left(aligned):
    grid = aligned.picture_grid(Plane.AXIAL, size_mm=40.0, pixel_mm=0.5)
    assert grid.shape == (1, 80, 80)
    np.testing.assert_allclose(grid.axes[1], [0.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(grid.axes[2], [1.0, 0.0, 0.0], atol=1e-12)


def test_a_distrusted_registration_is_not_used(pairs):
    first = pairs.graded(2)
    failed = pairs.registration(motion=SHIFT, problem="too far")
    found = align_joint(NO_IMAGES, NO_IMAGES, (first, first), failed)
    assert not found.registered
    np.testing.assert_allclose(found.baseline.to_common.matrix, np.eye(4))


def test_a_joint_that_was_not_located_twice_cannot_be_shown(pairs):
    outcomes = (pairs.graded(2), pairs.ungradable())
    assert align_joint(NO_IMAGES, NO_IMAGES, outcomes, None) is None
