import numpy as np
import pytest

from facetgrade.evaluate.numbering import (
    best_probabilities,
    choose_minimum,
    choose_sacrum_vote,
    fit_temperature,
    true_probabilities,
)
from facetgrade.evaluate.observations import ObservedNumbering, true_lowest_name
from facetgrade.findings import LocatedVertebra

BODIES = {
    name: np.array([3.0, 10.0, 120.0 - 34.0 * k])
    for k, name in enumerate(("L2", "L3", "L4", "L5", "S1"))
}


def numbering(true, **totals):
    return ObservedNumbering(totals=totals, sacrum_vote=0.9, true_lowest=true)


def located(*numbers, offset_mm=4.0):
    """Bodies of `BODIES` by number, found a little too high."""
    points = list(BODIES.values())
    return [
        LocatedVertebra(
            name="?", center_lps_mm=points[n] + [0, 0, offset_mm], probability=1.0
        )
        for n in numbers
    ]


def test_the_true_name_of_the_lowest_body_is_counted_from_the_sacrum():
    assert true_lowest_name(located(1, 2, 3, 4), BODIES) == "S1"
    assert true_lowest_name(located(0, 1, 2), BODIES) == "L4"


def test_a_body_below_the_true_ones_does_not_change_the_names_above():
    below = LocatedVertebra(
        name="?", center_lps_mm=np.array([3.0, 10.0, -50.0]), probability=1.0
    )
    assert true_lowest_name([*located(2, 3, 4), below], BODIES) == "S2"


def test_bodies_far_from_every_true_one_have_no_true_name():
    assert true_lowest_name(located(4, offset_mm=-40.0), BODIES) == ""


def test_probabilities_follow_votes_and_temperature():
    one = numbering("S1", S1=np.log(6.0), L5=np.log(2.0), S2=0.0)
    # 6 / (6 + 2 + 1); at temperature 0.5 the shares are squared: 36 / (36 + 4 + 1)
    assert best_probabilities([one], 1.0) == pytest.approx([6 / 9])
    assert true_probabilities([one], 0.5) == pytest.approx([36 / 41])


def test_overconfident_votes_get_a_high_temperature():
    # margins of 10 are right three times in four: log(3) = 10 / T, T = 9.1
    observed = [numbering("S1" if n % 4 else "L5", S1=10.0, L5=0.0) for n in range(400)]
    assert fit_temperature(observed, 8.0) == pytest.approx(9.1, abs=0.3)


def test_without_a_true_numbering_the_start_is_kept():
    assert fit_temperature([numbering("", S1=1.0, L5=0.0)], 6.0) == pytest.approx(
        6.0, rel=1e-3
    )


def test_the_minimum_lets_as_many_through_as_the_share_allows():
    probabilities = np.array([0.99, 0.95, 0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, True, True, False, True])
    # with all six 5 of 6 are right, with the first four all
    minimum = choose_minimum(probabilities, right, right_share=0.98, lowest=0.5)
    assert minimum == pytest.approx(0.75)
    lenient = choose_minimum(probabilities, right, right_share=0.8, lowest=0.5)
    assert lenient == pytest.approx(0.55)


def test_no_probability_below_the_lowest_is_decided():
    minimum = choose_minimum(
        np.array([0.9, 0.4]), np.array([True, True]), right_share=0.98, lowest=0.5
    )
    assert minimum == pytest.approx(0.65)


def test_nothing_is_decided_where_the_surest_numbering_is_wrong():
    minimum = choose_minimum(
        np.array([0.9, 0.8]), np.array([False, True]), right_share=0.98, lowest=0.5
    )
    assert minimum == 1.0


def test_the_sacrum_vote_lies_between_studies_with_and_without_a_sacrum():
    in_view = np.array([0.9, 0.5, 0.3, 0.05])
    cut = np.array([0.0, 0.02, 0.1])
    # 2 % of three may not exceed it: above 0.1, below 0.3
    assert choose_sacrum_vote(in_view, cut, claimed=0.02) == pytest.approx(0.2)
    # a third may: above 0.02, below 0.05
    assert choose_sacrum_vote(in_view, cut, claimed=0.5) == pytest.approx(0.035)
