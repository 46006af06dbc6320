import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facetgrade.compare.rigid import RigidMotion, points_around
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry

CENTER = np.array([10.0, 20.0, 30.0])


def turn(axis, angle_deg, shift_mm=(0.0, 0.0, 0.0)):
    rotation = Rotation.from_euler(axis, angle_deg, degrees=True).as_matrix()
    return RigidMotion.from_parts(rotation, np.array(shift_mm))


def frame(motion):
    axes = motion.rotation @ np.eye(3)
    return JointFrame(
        center_lps_mm=motion.apply(CENTER),
        cranial=axes[:, 2],
        posterior=axes[:, 1],
        lateral=axes[:, 0],
    )


def test_a_frame_is_laid_upon_its_moved_self():
    moved = turn("z", 20.0, (3.0, -4.0, 5.0))

    found = RigidMotion.between(frame(turn("z", 0.0)), frame(moved))

    np.testing.assert_allclose(found.matrix, moved.matrix, atol=1e-9)


def test_a_motion_followed_by_its_inverse_moves_nothing():
    motion = turn("x", 30.0, (1.0, 2.0, 3.0))
    np.testing.assert_allclose(
        motion.then(motion.inverse()).matrix, np.eye(4), atol=1e-12
    )


def test_half_a_motion_is_half_the_turn_and_half_the_way():
    motion = turn("z", 90.0, (0.0, 0.0, 8.0))

    half = motion.half(CENTER)

    assert half.angle_deg == pytest.approx(45.0)
    # (10, 20, 30) goes to (-20, 10, 38); its middle is (-5, 15, 34)
    np.testing.assert_allclose(half.apply(CENTER), [-5.0, 15.0, 34.0])


def test_distances_are_those_of_the_moved_points():
    points = points_around(np.zeros(3), 10.0)
    apart_mm = turn("z", 90.0).distances_mm(turn("z", 0.0), points)
    # points on the axis of the turn stay, the others move by 10 * sqrt(2)
    assert sorted(apart_mm.tolist()) == pytest.approx([0.0] * 3 + [14.142136] * 4)


def test_a_moved_grid_keeps_its_voxels():
    grid = VolumeGeometry.from_axes(
        origin_lps_mm=(1.0, 2.0, 3.0),
        axes=np.eye(3)[::-1],
        spacing_mm=(4.0, 0.5, 0.7),
        shape=(3, 4, 5),
    )
    motion = turn("y", 10.0, (5.0, 6.0, 7.0))

    moved = motion.move_grid(grid)

    assert moved.spacing_mm.tolist() == pytest.approx([4.0, 0.5, 0.7])
    np.testing.assert_allclose(
        moved.to_lps((1, 2, 3)), motion.apply(grid.to_lps((1, 2, 3)))
    )
