import numpy as np

from facetgrade.evaluate.typicality import flagged_typicality, minimum_typicality


def test_flagged_is_a_quantile_rounded_down():
    typicality = np.linspace(0.5, 1.0, 101)
    # the third smallest of 101: 0.5 + 2 * 0.005
    assert flagged_typicality(typicality, 0.02) == 0.51


def test_where_grades_are_always_better_than_chance_the_limit_stays():
    typicality = np.linspace(0.6, 0.9, 40)
    every = np.ones(40, bool)
    assert minimum_typicality(typicality, every, chance=0.25, lowest=0.3) == 0.3


def test_a_few_wrong_grades_are_no_evidence():
    typicality = np.linspace(0.6, 0.99, 40)
    # 7 of the 10 least typical are right
    exact = np.arange(40) >= 3
    assert minimum_typicality(typicality, exact, chance=0.25, lowest=0.3) == 0.3


def test_the_limit_rises_to_where_grades_beat_chance():
    typicality = np.linspace(0.5, 0.99, 50)
    exact = np.arange(50) >= 15
    # the first 15 are wrong; with 5 right ones after them 5 of 20 are right
    assert minimum_typicality(typicality, exact, chance=0.25, lowest=0.3) == 0.7
