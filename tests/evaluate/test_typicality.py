import numpy as np

from facetgrade.evaluate.typicality import flagged_typicality, minimum_typicality


def test_flagged_is_a_quantile_rounded_down():
    typicality = np.linspace(0.5, 1.0, 101)
    # the third smallest of 101: 0.5 + 2 * 0.005
    assert flagged_typicality(typicality, 0.02) == 0.51


def test_where_grades_are_always_better_than_chance_the_least_typical_is_the_limit():
    typicality = np.linspace(0.6, 0.9, 40)
    every = np.ones(40, bool)
    assert minimum_typicality(typicality, every, every, chance=0.25) == 0.6


def test_a_wrong_joint_is_not_the_least_typical_one_that_counts():
    typicality = np.linspace(0.6, 0.99, 40)
    right = np.arange(40) >= 3
    limit = minimum_typicality(typicality, right, right, chance=0.0)
    # 0.6 + 3 * 0.01
    assert limit == 0.63


def test_the_limit_rises_to_where_grades_beat_chance():
    typicality = np.linspace(0.5, 0.99, 50)
    exact = np.arange(50) >= 15
    every = np.ones(50, bool)
    # the first 15 are wrong; with 5 right ones after them 5 of 20 are right
    assert minimum_typicality(typicality, every, exact, chance=0.25) == 0.7
