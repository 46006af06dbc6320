import pytest

from facetgrade.compare.changes import Change
from facetgrade.compare.cohort import (
    GRADE,
    MEASURES,
    CohortJoint,
    summarize_cohort,
    transition_table,
)
from facetgrade.compare.cohort_figures import alluvial, forest
from facetgrade.compare.settings import StatisticsSettings

SETTINGS = StatisticsSettings(
    resamples=200, permutations=1000, exact_tables=1000, coverage=0.95, seed=1
)


def joint(patient, before, after, *, level="L4-L5", side="left"):
    if before is None:
        change, changes = Change.NOT_COMPARABLE, {}
    else:
        step = after - before
        change = (
            Change.UNCHANGED
            if step == 0
            else (Change.IMPROVED if step < 0 else Change.WORSE)
        )
        changes = dict.fromkeys(MEASURES, 10.0 * step) | {GRADE: float(step)}
    return CohortJoint(
        patient=patient,
        level=level,
        side=side,
        change=change,
        before=before,
        after=after,
        changes=changes,
    )


COHORT = [
    joint("A", 3, 1),
    joint("A", 2, 1, side="right"),
    joint("B", 4, 2),
    joint("C", 1, 1),
    joint("C", None, None, side="right"),
]


def test_transitions_count_comparable_joints():
    table = transition_table(COHORT)
    assert table.sum() == 4
    assert (table[3, 1], table[4, 2], table[1, 1]) == (1, 1, 1)


def test_changes_have_means_and_patient_level_tests():
    found = summarize_cohort(COHORT, SETTINGS)
    # the mean of -2, -1, -2 and 0
    assert found["paired"][GRADE]["value"] == pytest.approx(-1.25)
    assert found["paired"][GRADE]["patients"] == 3
    assert found["counts"]["changes"]["not-comparable"] == 1
    assert found["shares"]["improved"]["value"] == pytest.approx(0.75)
    # sums per patient -3, -2, 0: of 8 flips 4 reach 5 or -5
    assert found["tests"]["mean_change"][GRADE] == pytest.approx(0.5)
    per_patient = found["tests"]["per_patient"][GRADE]
    assert (per_patient["up"], per_patient["down"]) == (0, 2)


def test_a_single_patient_has_neither_p_values_nor_intervals():
    found = summarize_cohort(COHORT[:2], SETTINGS)
    assert found["tests"] == {}
    assert found["paired"][GRADE]["low"] is None


def test_an_empty_cohort_is_described():
    found = summarize_cohort([joint("A", None, None)], SETTINGS)
    assert (found["paired"], found["tests"], found["groups"]) == ({}, {}, [])


def test_bands_of_the_alluvial_plot_fill_their_nodes():
    table = transition_table(COHORT).astype(int).tolist()
    plot = alluvial(table)
    assert [node.grade for node in plot.before] == [4, 3, 2, 1]
    assert [(b.before, b.after, b.joints) for b in plot.bands] == [
        (4, 2, 1),
        (3, 1, 1),
        (2, 1, 1),
        (1, 1, 1),
    ]
    assert {band.course for band in plot.bands} == {"improved", "unchanged"}
    assert alluvial([[0] * 5] * 5) is None


def test_a_forest_plot_puts_zero_in_the_middle():
    estimate = {"value": -1.0, "low": -2.0, "high": 0.0, "joints": 4}
    plot = forest("Grade", "grades", [("all", estimate)], places=1)
    (line,) = plot.lines
    # the axis reaches 1.1 times 2: -1 lies at 50 - 50 / 2.2
    assert line.value == pytest.approx(50 - 50 / 2.2)
    assert line.high == pytest.approx(50.0)
    assert line.text == "-1.0 [-2.0, +0.0]"
