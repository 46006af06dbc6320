import gzip
import struct

import numpy as np
import pytest

from facetgrade.findings import JointFrame
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.review.web.patches import (
    SHAPE,
    SPACING_MM,
    View,
    neutral_nifti,
    patch_grid,
    sample_view,
    views_of,
)
from facetgrade.study import Plane, Sequence, Series, Stack, Study

FRAME = JointFrame(
    center_lps_mm=np.array([-20.0, 35.0, -12.0]),
    cranial=np.array([0.0, 0.0, 1.0]),
    posterior=np.array([0.0, 1.0, 0.0]),
    lateral=np.array([-1.0, 0.0, 0.0]),
)
AXIAL = View(Sequence.T2_FS, Plane.AXIAL)


def study_of(voxels, geometry, *, sequence=Sequence.T2_FS, plane=Plane.AXIAL):
    stack = Stack(volume=Volume(geometry=geometry, voxels=voxels.astype(np.float32)))
    series = Series(
        uid="1.2", description="", sequence=sequence, plane=plane, stacks=(stack,)
    )
    return Study(uid="1", source="s", subject="", date="", series=(series,))


def around(spacing_mm=(4.0, 1.0, 1.5), shape=(21, 90, 70)):
    """A left-handed-looking acquisition: rows grow to the left, columns backward."""
    return VolumeGeometry.centered(
        center_lps_mm=FRAME.center_lps_mm,
        axes=[[0, 0, 1], [0, 1, 0], [1, 0, 0]],
        spacing_mm=spacing_mm,
        shape=shape,
    )


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_grid_grows_up_forward_and_to_the_right_on_either_side(side):
    frame = JointFrame(
        center_lps_mm=FRAME.center_lps_mm,
        cranial=FRAME.cranial,
        posterior=FRAME.posterior,
        lateral=np.array([side, 0.0, 0.0]),
    )
    expected = [[0, 0, 1], [0, -1, 0], [-1, 0, 0]]
    np.testing.assert_allclose(patch_grid(frame).axes, expected, atol=1e-12)
    np.testing.assert_allclose(patch_grid(frame).center_lps_mm, FRAME.center_lps_mm)


def test_a_bright_spot_is_found_where_it_is():
    geometry = around()
    # 8 mm above, 5 mm behind, 6 mm to the left of the joint
    place = np.array([6.0, 5.0, 8.0]) + FRAME.center_lps_mm
    distance_mm = np.linalg.norm(geometry.voxel_centers_lps_mm() - place, axis=-1)
    voxels = 500.0 * np.exp(-((distance_mm / 6.0) ** 2))
    block = sample_view(study_of(voxels, geometry), AXIAL, patch_grid(FRAME))
    peak = np.argwhere(block > 200).mean(axis=0)
    middle = (np.array(SHAPE) - 1) / 2
    np.testing.assert_allclose(
        (peak - middle) * SPACING_MM, [8.0, -5.0, -6.0], atol=0.5
    )


def test_what_was_not_acquired_is_zero_and_all_else_is_not():
    geometry = around(shape=(5, 90, 70))
    voxels = np.random.default_rng(1).uniform(10, 20, geometry.shape)
    block = sample_view(study_of(voxels, geometry), AXIAL, patch_grid(FRAME))
    # 5 slices of 4 mm reach 10 mm up and down
    heights = (np.arange(SHAPE[0]) - (SHAPE[0] - 1) / 2) * SPACING_MM
    assert not block[np.abs(heights) > 10.0].any()
    assert block[np.abs(heights) < 9.9].min() > 0


def test_brightness_of_the_scanner_does_not_matter():
    geometry = around()
    voxels = np.random.default_rng(2).uniform(0, 100, geometry.shape)
    grid = patch_grid(FRAME)
    first = sample_view(study_of(voxels, geometry), AXIAL, grid)
    second = sample_view(study_of(7.0 * voxels + 300.0, geometry), AXIAL, grid)
    assert np.abs(first.astype(int) - second.astype(int)).max() <= 1


def test_views_beside_the_joint_or_with_too_little_are_left_out():
    far = VolumeGeometry.centered(
        center_lps_mm=[200.0, 0.0, 0.0],
        axes=np.eye(3)[::-1],
        spacing_mm=(4.0, 1.0, 1.0),
        shape=(5, 30, 30),
    )
    thin = around(shape=(1, 90, 70))
    grid = patch_grid(FRAME)
    assert views_of(study_of(np.zeros(far.shape), far), grid) == ()
    assert views_of(study_of(np.zeros(thin.shape), thin), grid) == ()
    assert views_of(study_of(np.zeros(around().shape), around()), grid) == (AXIAL,)


def test_the_file_is_nifti_with_its_center_at_the_origin():
    voxels = np.zeros(SHAPE, np.uint8)
    voxels[1, 2, 3] = 9
    content = gzip.decompress(neutral_nifti(voxels))
    assert struct.unpack_from("<8h", content, 40)[:4] == (3, *SHAPE[::-1])
    rows = [struct.unpack_from("<4f", content, 280 + 16 * k) for k in range(3)]
    affine = np.array([*rows, (0, 0, 0, 1)])
    middle = (np.array(SHAPE[::-1]) - 1) / 2
    np.testing.assert_allclose(affine @ [*middle, 1], [0, 0, 0, 1], atol=1e-5)
    # x (columns) runs fastest
    assert content[352 + 3 + SHAPE[2] * (2 + SHAPE[1] * 1)] == 9


def test_the_same_block_gives_the_same_bytes():
    voxels = np.arange(np.prod(SHAPE), dtype=np.uint32).astype(np.uint8).reshape(SHAPE)
    assert neutral_nifti(voxels) == neutral_nifti(voxels.copy())
