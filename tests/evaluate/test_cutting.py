import numpy as np

from facetgrade.evaluate.cutting import without_sacrum
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.study import Plane, Sequence, Series, Stack, Study

BODIES = {
    "L5": np.array([0.0, 0.0, 10.0]),
    "S1": np.array([0.0, 0.0, -26.0]),
}


def series(axes, spacing_mm, shape):
    """Build a series centered at z = 20 whose values are their height in mm."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=[3.0, -5.0, 20.0], axes=axes, spacing_mm=spacing_mm, shape=shape
    )
    heights = geometry.voxel_centers_lps_mm()[..., 2].astype(np.float32)
    return Series(
        uid="1.2",
        description="",
        sequence=Sequence.T2,
        plane=Plane.SAGITTAL,
        stacks=(Stack(volume=Volume(geometry=geometry, voxels=heights)),),
    )


def cut(one):
    study = Study(uid="1", source=".", subject="", date="", series=(one,))
    return without_sacrum(study, BODIES).series


def test_rows_below_the_middle_of_l5_and_s1_are_dropped():
    # slices to the left, rows downward, columns backward
    sagittal = series([[1, 0, 0], [0, 0, -1], [0, 1, 0]], (4.0, 2.0, 1.0), (5, 61, 40))

    (smaller,) = cut(sagittal)

    volume = smaller.stacks[0].volume
    # z from 80 down to -40 in steps of 2; the middle of 10 and -26 is -8
    assert volume.geometry.shape == (5, 44, 40)
    assert (volume.voxels.max(), volume.voxels.min()) == (80.0, -6.0)
    np.testing.assert_allclose(
        volume.geometry.voxel_centers_lps_mm()[..., 2], volume.voxels, atol=1e-4
    )


def test_axial_slices_that_grow_upward_lose_the_first_ones():
    axial = series([[0, 0, 1], [0, 1, 0], [1, 0, 0]], (4.0, 1.0, 1.0), (21, 6, 7))

    (smaller,) = cut(axial)

    volume = smaller.stacks[0].volume
    # z from -20 to 60 in steps of 4: -8 and above remain
    assert volume.geometry.shape == (18, 6, 7)
    assert volume.voxels.min() == -8.0


def test_a_stack_below_the_edge_goes_with_its_series():
    axial = series([[0, 0, -1], [0, 1, 0], [1, 0, 0]], (30.0, 1.0, 1.0), (3, 6, 7))
    assert cut(axial) == ()
