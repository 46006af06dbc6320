import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.evaluate.localization import check_joint
from facetgrade.findings import JointFrame

L3_L4_LEFT = FacetJoint(Level.L3_L4, Side.LEFT)
L4_L5_LEFT = FacetJoint(Level.L4_L5, Side.LEFT)
L4_L5_RIGHT = FacetJoint(Level.L4_L5, Side.RIGHT)


def frame(joint, x_mm, y_mm, z_mm):
    return JointFrame(
        center_lps_mm=np.array([x_mm, y_mm, z_mm]),
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([joint.side.sign, 0.0, 0.0]),
    )


TRUTH = {
    L3_L4_LEFT: frame(L3_L4_LEFT, 16.0, 40.0, 135.0),
    L4_L5_LEFT: frame(L4_L5_LEFT, 18.0, 40.0, 100.0),
    L4_L5_RIGHT: frame(L4_L5_RIGHT, -18.0, 40.0, 100.0),
}


def check(joint, center, tolerance_mm=10.0):
    position = None if center is None else np.array(center, float)
    return check_joint(joint, position, TRUTH, tolerance_mm=tolerance_mm)


def test_a_near_center_is_right_and_its_error_is_in_mm():
    result = check(L4_L5_LEFT, [21.0, 44.0, 100.0])

    assert result.right
    assert result.error_mm == pytest.approx(5.0)  # 3, 4, 5


def test_a_center_beyond_the_stated_distance_is_not_right():
    result = check(L4_L5_LEFT, [18.0, 51.0, 100.0])

    assert not result.right
    assert result.level_right
    assert result.side_right


def test_a_mirrored_joint_has_the_right_level_and_the_wrong_side():
    result = check(L4_L5_LEFT, [-18.0, 40.0, 100.0])

    assert (result.right, result.level_right, result.side_right) == (False, True, False)
    assert result.error_mm == pytest.approx(36.0)


def test_a_joint_one_level_up_has_the_wrong_level_and_the_right_side():
    result = check(L4_L5_LEFT, [16.0, 40.0, 135.0])

    assert (result.right, result.level_right, result.side_right) == (False, False, True)


def test_a_center_nearer_to_a_neighbor_is_wrong_at_any_tolerance():
    result = check(L4_L5_LEFT, [17.0, 40.0, 118.0], tolerance_mm=50.0)

    assert not result.right


def test_offsets_point_outward_on_both_sides():
    left = check(L4_L5_LEFT, [20.0, 39.0, 103.0])
    right = check(L4_L5_RIGHT, [-20.0, 39.0, 103.0])

    assert left.offset_mm == pytest.approx((3.0, -1.0, 2.0))
    assert right.offset_mm == pytest.approx((3.0, -1.0, 2.0))


def test_a_joint_that_was_not_located_is_wrong_without_an_error_in_mm():
    result = check(L4_L5_LEFT, None)

    assert (result.located, result.right) == (False, False)
    assert np.isnan(result.error_mm)


def test_a_joint_without_truth_is_refused():
    with pytest.raises(ValueError, match="truth must hold L5-S1 left"):
        check(FacetJoint(Level.L5_S1, Side.LEFT), [0.0, 0.0, 0.0])
