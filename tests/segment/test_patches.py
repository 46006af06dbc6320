import numpy as np

from facetgrade.findings import JointFrame
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.segment.patches import GRID_SHAPE, joint_grid, sample_series

FRAME = JointFrame(
    center_lps_mm=np.array([16.0, 40.0, -20.0]),
    cranial=np.array([0.0, 0.0, 1.0]),
    posterior=np.array([0.0, 1.0, 0.0]),
    lateral=np.array([1.0, 0.0, 0.0]),
)


def axial(center_z_mm: float, slices: int = 16) -> Volume:
    """Axial slices 4 mm apart whose value is the LPS x coordinate."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=[0.0, 40.0, center_z_mm],
        axes=[[0, 0, -1], [0, 1, 0], [1, 0, 0]],
        spacing_mm=[4.0, 0.6, 0.6],
        shape=(slices, 160, 200),
    )
    x_mm = geometry.voxel_centers_lps_mm()[..., 0]
    return Volume(geometry=geometry, voxels=x_mm.astype(np.float32))


def test_image_grows_laterally_as_the_patient_does():
    stack = sample_series([axial(-20.0)], joint_grid(FRAME))

    assert stack is not None
    assert stack.shape == (3, *GRID_SHAPE)
    assert (np.diff(stack[0], axis=2) > 0).all()


def test_a_right_joint_is_seen_mirrored():
    right = JointFrame(
        center_lps_mm=FRAME.center_lps_mm * [-1, 1, 1],
        cranial=FRAME.cranial,
        posterior=FRAME.posterior,
        lateral=-FRAME.lateral,
    )

    stack = sample_series([axial(-20.0)], joint_grid(right))

    assert stack is not None
    assert (np.diff(stack[0], axis=2) < 0).all()


def test_slice_centers_are_closest():
    stack = sample_series([axial(-20.0, slices=17)], joint_grid(FRAME))

    assert stack is not None
    # the middle slice lies at z = -20, between rows 14 and 15 of the grid (1.5 mm)
    np.testing.assert_allclose(stack[2, 14], 1 - 2 * 0.75 / 4.0, atol=1e-5)
    assert stack[1].max() == np.float32(1.5 / 4.0)


def test_blocks_of_a_series_complete_each_other():
    upper, lower = axial(-5.0, slices=5), axial(-25.0, slices=5)

    both = sample_series([upper, lower], joint_grid(FRAME))
    one = sample_series([upper], joint_grid(FRAME))

    assert both is not None
    assert one is not None
    assert (both[1] > 0).sum() > (one[1] > 0).sum()


def test_a_stack_far_away_gives_nothing():
    assert sample_series([axial(200.0)], joint_grid(FRAME)) is None
