import numpy as np
import pytest

from facetgrade.compare.perimeter_change import compare_perimeters


def test_cells_that_went_came_and_stayed_are_told_apart():
    before, after = np.zeros((2, 72), np.int8), np.zeros((2, 72), np.int8)
    before[:, 0:4] = 1
    after[:, 2:8] = 1
    after[:, 70:] = -1

    change = compare_perimeters(before, after)

    # 2 of 70 sectors with soft tissue at both times resolved, 4 are new, 2 stayed
    assert change.resolved_share == pytest.approx(2 / 70)
    assert change.new_share == pytest.approx(4 / 70)
    assert change.both_share == pytest.approx(2 / 70)
    assert change.resolved.startswith("M0,0.000h2")


def test_heights_are_compared_as_shares():
    before, after = np.zeros((2, 72), np.int8), np.zeros((4, 72), np.int8)
    before[1] = 1
    after[2:] = 1
    change = compare_perimeters(before, after)
    assert (change.planes, change.resolved_share, change.new_share) == (4, 0.0, 0.0)
    assert change.both_share == 0.5


def test_without_a_map_there_is_no_difference():
    assert compare_perimeters(np.zeros((0, 72), np.int8), np.zeros((3, 72))) is None
