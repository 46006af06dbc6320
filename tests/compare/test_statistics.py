import numpy as np
import pytest
from scipy import stats

from facetgrade.compare.statistics import (
    bowker_statistics,
    flip_p_value,
    flip_table_p_value,
    mcnemar_bowker,
    patient_flips,
    pratt_signed_ranks,
    stuart_maxwell,
)

# Unaided distance vision of 7477 women, right eye by left eye: Stuart A. Biometrika
# 1953;40:105; the textbooks give Stuart-Maxwell 11.96 (3 degrees) and Bowker 19.11 (6).
VISION = np.array(
    [
        [1520, 266, 124, 66],
        [234, 1512, 432, 78],
        [117, 362, 1772, 205],
        [36, 82, 179, 492],
    ]
)
EXACT = {"exact_tables": 100_000, "seed": 1}


def test_stuart_maxwell_of_the_vision_data():
    test = stuart_maxwell(VISION)
    assert test.statistic == pytest.approx(11.957, abs=5e-4)
    assert (test.degrees, round(test.p_value, 4)) == (3, 0.0075)


def test_bowker_of_the_vision_data():
    test = mcnemar_bowker(VISION, **EXACT)
    assert test.statistic == pytest.approx(19.107, abs=5e-4)
    assert test.degrees == 6
    # so many pairs that the exact p-value nears that of chi-squared, 0.0040
    assert test.p_value == pytest.approx(0.0040, abs=6e-4)


def test_bowker_of_two_grades_is_the_exact_sign_test():
    # 1 against 7 of 8 discordant pairs: 2 * (1 + 8) / 2^8
    test = mcnemar_bowker([[4, 1], [7, 3]], **EXACT)
    assert test.p_value == pytest.approx(18 / 256)


def test_tables_without_change_have_no_test():
    for test in (stuart_maxwell(np.eye(5)), mcnemar_bowker(np.eye(5), **EXACT)):
        assert np.isnan(test.statistic)
        assert test.degrees == 0


def test_zeros_take_the_lowest_ranks_and_drop_out():
    # |0|, |0| share ranks 1 and 2; then -1 is 3, 2 is 4, -5 is 5
    ranks = pratt_signed_ranks([0, 0, -1, 2, -5])
    assert ranks.tolist() == [0.0, 0.0, -3.0, 4.0, -5.0]


def test_signed_ranks_agree_with_scipy():
    changes = [0, -1, -2, 1, 0, -3, -2, -1]
    ranks = pratt_signed_ranks(changes)
    found = stats.wilcoxon(changes, zero_method="pratt", method="asymptotic")
    smaller = min(ranks[ranks > 0].sum(), -ranks[ranks < 0].sum())
    assert found.statistic == smaller


def test_all_flips_of_three_patients_are_eight():
    flips, every = patient_flips(3, permutations=100, seed=1)
    assert every
    assert flips.shape == (8, 3)
    assert flips[0].tolist() == [1.0, 1.0, 1.0]


def test_a_flip_p_value_counts_sums_as_far_from_zero():
    flips, _ = patient_flips(3, permutations=100, seed=1)
    # sums of +-1 +-2 +-3: six or minus six are 2 of 8
    assert flip_p_value([-1.0, -2.0, -3.0], flips) == pytest.approx(2 / 8)
    # 1 + 2 - 3 = 0: every sum is at least as far from zero
    assert flip_p_value([1.0, 2.0, -3.0], flips) == 1.0


def test_many_patients_are_flipped_at_random_with_a_seed():
    flips, every = patient_flips(30, permutations=999, seed=4)
    again, _ = patient_flips(30, permutations=999, seed=4)
    assert not every
    assert len(flips) == 1000
    np.testing.assert_array_equal(flips, again)
    assert flip_p_value(np.ones(30), flips) == pytest.approx(1 / 1000)


def test_flipping_a_patient_turns_its_table():
    tables = np.zeros((2, 2, 2))
    tables[0, 1, 0] = 3.0
    tables[1, 1, 0] = 1.0
    flips, _ = patient_flips(2, permutations=100, seed=1)
    # Bowker's statistic: 4^2 / 4 = 4 together, (3 - 1)^2 / 4 = 1 with one flipped
    assert flip_table_p_value(tables, flips, bowker_statistics) == pytest.approx(2 / 4)
