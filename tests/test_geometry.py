import numpy as np
import pytest

from facetgrade.geometry import VolumeGeometry, block_mean, covered


def test_blocks_are_averaged_and_what_is_left_over_is_cut_off():
    voxels = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)

    means = block_mean(voxels, (1, 2, 2))

    # rows 0-1, columns 0-1 of the first slice: (0 + 1 + 5 + 6) / 4; column 4 is left
    assert means[0, 0, 0] == 3.0
    np.testing.assert_array_equal(
        means, voxels[:, :, :4].reshape(2, 2, 2, 2, 2).mean(axis=(2, 4))
    )


@pytest.mark.parametrize("shift_mm", [0.0, 6.0, 40.0])
def test_covered_centers_are_those_that_the_source_contains(shift_mm):
    source = VolumeGeometry.from_axes(
        origin_lps_mm=[-10.0, 5.0, 2.0],
        axes=[[0, 0, 1], [0, 1, 0], [1, 0, 0]],
        spacing_mm=(2.0, 1.0, 1.0),
        shape=(8, 16, 16),
    )
    # Turned by 36.87 degrees; the middles of both are at (-2.5, 12.5, 9).
    target = VolumeGeometry.from_axes(
        origin_lps_mm=[-2.5 - 0.2 * 2.0 + shift_mm, 12.5 - 1.4 * 2.0, 7.0],
        axes=[[0, 0, 1], [-0.6, 0.8, 0], [0.8, 0.6, 0]],
        spacing_mm=(1.0, 1.0, 1.0),
        shape=(5, 5, 5),
    )
    inside = source.contains(target.voxel_centers_lps_mm())
    assert (inside.all(), inside.any()) == {
        0.0: (True, True),
        6.0: (False, True),
        40.0: (False, False),
    }[shift_mm]
    np.testing.assert_array_equal(covered(source, target), inside)
