import numpy as np
import pytest

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.localize.canonical import (
    AXES,
    canonical_geometry,
    normalize,
    to_canonical,
)


def sagittal(left_to_right: bool) -> Volume:
    """17 slices of 4.4 mm, 2 mm pixels, brighter toward the patient's left."""
    step = -1.0 if left_to_right else 1.0
    geometry = VolumeGeometry.from_axes(
        origin_lps_mm=[-step * 8 * 4.4 + 7.0, -90.0, 130.0],
        axes=[[step, 0, 0], [0, 0, -1], [0, 1, 0]],
        spacing_mm=[4.4, 2.0, 2.0],
        shape=(17, 120, 100),
    )
    x_mm = geometry.voxel_centers_lps_mm()[..., 0]
    return Volume(geometry=geometry, voxels=x_mm.astype(np.float32))


@pytest.mark.parametrize("left_to_right", [False, True])
def test_values_stay_at_their_place_whatever_the_slice_order(left_to_right):
    volume = sagittal(left_to_right)
    grid = canonical_geometry([volume.geometry])

    image, coverage = to_canonical([volume], grid)

    inside = coverage.copy()
    inside[[0, -1]] = False
    x_mm = grid.voxel_centers_lps_mm()[..., 0]
    np.testing.assert_allclose(image[inside], x_mm[inside], atol=0.6)
    assert (grid.axes == AXES).all()


def test_grid_covers_the_stack_up_to_the_largest_size():
    grid = canonical_geometry([sagittal(False).geometry], largest=(8, 64, 200))

    # 74.8 mm -> 19 slices, cut to 8; 240 mm -> 120 rows, cut to 64; 200 mm fit
    assert grid.shape == (8, 64, 100)
    np.testing.assert_allclose(grid.center_lps_mm[0], 7.0, atol=1e-6)


def test_normalized_image_does_not_change_with_gain_and_is_zero_outside():
    rng = np.random.default_rng(0)
    image = rng.uniform(50, 150, (4, 20, 20)).astype(np.float32)
    coverage = np.ones(image.shape, bool)
    coverage[0] = False

    first, second = normalize(image, coverage), normalize(image * 7, coverage)

    np.testing.assert_allclose(first, second, atol=1e-4)
    assert (first[0] == 0).all()


def test_empty_coverage_gives_zeros():
    image = np.ones((2, 4, 4), np.float32)
    assert not normalize(image, np.zeros(image.shape, bool)).any()
