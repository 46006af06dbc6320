import numpy as np

from facetgrade.grade.window import block_around, window_around

SPACING_MM = np.array([2.0, 0.5, 1.0])


def test_window_adds_the_margin_in_voxels_of_each_axis():
    place = np.zeros((9, 20, 12), bool)
    place[4, 8:10, 6] = True
    # 2 mm are 1, 4 and 2 voxels.
    assert window_around(place, SPACING_MM, 2.0) == (
        slice(3, 6),
        slice(4, 14),
        slice(4, 9),
    )


def test_window_stops_at_the_edge_of_the_grid():
    place = np.zeros((3, 4, 5), bool)
    place[0, 0, 4] = True
    window = window_around(place, SPACING_MM, 1.0)
    assert place[window].shape == (2, 3, 2)


def test_window_of_nothing_is_empty():
    place = np.zeros((3, 4, 5), bool)
    assert place[window_around(place, SPACING_MM, 1.0)].size == 0


def test_block_of_a_plane_adds_the_margin_in_voxels_of_each_axis():
    place = np.zeros((20, 12), bool)
    place[8:10, 1] = True
    # 2 mm are 4 rows and 2 columns; one column is there.
    assert block_around(place, SPACING_MM[1:], 2.0) == (slice(4, 14), slice(0, 4))
