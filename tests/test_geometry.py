import numpy as np

from facetgrade.geometry import block_mean


def test_blocks_are_averaged_and_what_is_left_over_is_cut_off():
    voxels = np.arange(2 * 4 * 5, dtype=np.float32).reshape(2, 4, 5)

    means = block_mean(voxels, (1, 2, 2))

    # rows 0-1, columns 0-1 of the first slice: (0 + 1 + 5 + 6) / 4; column 4 is left
    assert means[0, 0, 0] == 3.0
    np.testing.assert_array_equal(
        means, voxels[:, :, :4].reshape(2, 2, 2, 2, 2).mean(axis=(2, 4))
    )
