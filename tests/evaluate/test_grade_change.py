import numpy as np
import pytest

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.change import (
    change_statistics,
    mean_grade_statistics,
    pair_rows,
)


def test_direction_is_judged_among_changed_pairs_only():
    # changes: 4->2 seen as 3->2, 1->3 seen as 2->1, 0->1 unseen, 2->2 kept, 3->3 not
    statistics = change_statistics(
        [4, 1, 0, 2, 3], [2, 3, 1, 2, 3], [3, 2, 0, 1, 3], [2, 1, 0, 1, 4]
    )

    assert statistics["direction_right"] == pytest.approx(1 / 3)
    assert statistics["opposite"] == pytest.approx(1 / 3)
    assert statistics["unchanged_right"] == pytest.approx(1 / 2)


def test_an_ungradable_prediction_is_a_wrong_direction():
    statistics = change_statistics([4, 4], [2, 2], [4, UNGRADABLE], [2, 0])

    assert statistics["direction_right"] == pytest.approx(1 / 2)


def test_pairs_without_both_true_grades_are_left_out():
    statistics = change_statistics([4, UNGRADABLE], [2, 2], [4, 0], [2, 4])

    assert statistics["direction_right"] == 1.0


def test_without_changed_pairs_the_share_is_undefined():
    assert np.isnan(change_statistics([1], [1], [1], [1])["direction_right"])


def test_rows_pair_by_patient_and_joint_from_first_to_last_time():
    pairs = pair_rows(
        ["p", "p", "p", "q", "p"],
        ["L4 left", "L4 left", "L4 left", "L4 left", "L4 right"],
        ["2024-06-01", "2025-06-01", "2024-09-01", "2024-06-01", "2024-06-01"],
    )

    assert list(zip(pairs.first, pairs.second, strict=True)) == [(0, 1)]


def test_the_mean_grade_shows_changes_within_one_grade():
    found = mean_grade_statistics(
        [1, 3, 2, 0], [2, 1, 2, 1], [1.6, 2.9, 2.0, 0.4], [1.9, 2.1, 2.0, 0.3]
    )
    assert found["mean_direction_right"] == pytest.approx(2 / 3)
    # changes 0.3, -0.8, 0.0, -0.1 against 1, -2, 0, 1
    assert found["mean_spearman"] == pytest.approx(0.63, abs=0.01)


def test_a_pair_without_a_mean_grade_counts_as_wrong():
    found = mean_grade_statistics([1, UNGRADABLE], [2, 1], [np.nan, 1.0], [1.9, 2.0])
    assert found["mean_direction_right"] == 0.0
    assert np.isnan(found["mean_spearman"])
