import dataclasses

import pytest

from facetgrade.compare.changes import (
    Change,
    Extent,
    compare_joint,
    deciding_extents,
)
from facetgrade.compare.pairing import Examination, Pair
from facetgrade.compare.tables import change_rows
from facetgrade.findings import Reason
from facetgrade.study import Sequence

PAIR = Pair(
    name="1",
    subject="subj-1",
    baseline=Examination(key="a", source="a", subject="", date="2024-05-17"),
    followup=Examination(key="b", source="b", subject="", date="2025-05-17"),
)


@pytest.fixture
def compare(pairs):
    def run(before, after, registration=None):
        found = registration or pairs.registration()
        return compare_joint(before, after, found, pairs.DETECTABLE, pairs.JOINT)

    return run


def test_a_lower_grade_is_improved_and_changes_are_followup_minus_baseline(
    pairs, compare
):
    before = pairs.graded(3, soft_mm3=900.0, perimeter=0.70, effusion_mm3=300.0)
    after = pairs.graded(2, soft_mm3=400.0, perimeter=0.30, effusion_mm3=250.0)

    found = compare(before, after)

    assert found.change is Change.IMPROVED
    assert (found.grade_baseline, found.grade_followup) == (3, 2)
    assert found.differences[Extent.PERIMETER_FRACTION].change == pytest.approx(-0.40)
    assert found.differences[Extent.EDEMA_MM3].change == pytest.approx(-500.0)
    assert found.differences[Extent.EFFUSION_MM3].change == pytest.approx(-50.0)
    assert found.reason == ""


def test_the_mean_grade_moves_within_a_grade(pairs, compare):
    before, after = (
        dataclasses.replace(pairs.graded(2), probabilities=p)
        for p in ((0.0, 0.1, 0.9, 0.0, 0.0), (0.0, 0.0, 0.6, 0.4, 0.0))
    )

    found = compare(before, after)

    # 1.9 and 2.4
    assert found.change is Change.UNCHANGED
    assert found.mean_grade_change == pytest.approx(0.5)
    row = change_rows(PAIR, [found])[0]
    assert row["mean_grade_change"] == "0.50"


def test_without_a_grade_the_mean_grade_has_no_change(pairs, compare):
    found = compare(pairs.graded(2), pairs.ungradable())
    assert found.mean_grade_change is None
    assert change_rows(PAIR, [found])[0]["mean_grade_change"] == ""


def test_a_higher_grade_is_worse(pairs, compare):
    after = pairs.graded(2, soft_mm3=500.0, perimeter=0.2)
    assert compare(pairs.graded(1), after).change is Change.WORSE


def test_an_equal_grade_is_unchanged_whatever_the_volumes_did(pairs, compare):
    found = compare(
        pairs.graded(2, soft_mm3=2000.0, perimeter=0.45),
        pairs.graded(2, soft_mm3=300.0, perimeter=0.10),
    )
    assert found.change is Change.UNCHANGED


def test_a_grade_across_a_threshold_without_a_real_change_is_within_error(
    pairs, compare
):
    # the perimeter went from 0.47 to 0.53: 0.06 is less than the detectable 0.10, and
    # the volume of edema does not decide between grades 2 and 3
    found = compare(
        pairs.graded(2, soft_mm3=500.0, perimeter=0.47),
        pairs.graded(3, soft_mm3=900.0, perimeter=0.53),
    )
    assert found.change is Change.WITHIN_ERROR
    assert found.reason == "below-smallest-detectable-change"
    assert "perimeter_fraction" in found.explanation


def test_one_real_deciding_extent_is_enough(pairs, compare):
    found = compare(
        pairs.graded(0, width_mm=0.9, effusion_mm3=100.0),
        pairs.graded(1, width_mm=1.1, effusion_mm3=260.0),
    )
    # width grew by 0.2 of 0.5 mm, the volume by 160 of 100 mm3
    assert found.change is Change.WORSE


def test_an_ungradable_joint_is_not_comparable_and_says_at_which_time(pairs, compare):
    found = compare(pairs.graded(2), pairs.ungradable(Reason.METAL))
    assert found.change is Change.NOT_COMPARABLE
    assert found.reason == "followup-metal"
    assert (found.grade_baseline, found.grade_followup) == (2, None)
    assert found.differences == {}


def test_two_ungradable_time_points_give_both_reasons(pairs, compare):
    found = compare(pairs.ungradable(), pairs.ungradable(Reason.METAL))
    assert found.reason == "baseline-not-in-view;followup-metal"


def test_a_failed_registration_is_not_comparable(pairs, compare):
    failed = pairs.registration(problem="correlation 0.20 is below 0.55")
    found = compare(pairs.graded(2), pairs.graded(3), failed)
    assert (found.change, found.reason) == (
        Change.NOT_COMPARABLE,
        "registration-failed",
    )
    assert "0.20" in found.explanation


def test_different_contrasts_are_not_comparable(pairs, compare):
    found = compare(pairs.graded(2), pairs.graded(1, sequence=Sequence.T1_FS_POST))
    assert found.reason == "no-common-contrast"


def test_grades_are_those_of_the_common_contrasts(pairs, compare):
    post = pairs.graded(4, sequence=Sequence.T1_FS_POST).best
    both = pairs.graded(2, others=(post,), soft_mm3=500.0, perimeter=0.2)
    found = compare(both, pairs.graded(1))
    assert (found.grade_baseline, found.grade_followup) == (2, 1)
    assert found.contrast is Sequence.T2_FS


@pytest.mark.parametrize(
    ("grades", "deciding"),
    [
        ((0, 1), {Extent.EFFUSION_MM3, Extent.EFFUSION_WIDTH_MM}),
        ((2, 1), {Extent.SOFT_TISSUE_EDEMA_MM3, Extent.ARTICULAR_MARROW_EDEMA_MM3}),
        ((2, 3), {Extent.PERIMETER_FRACTION}),
        ((4, 3), {Extent.EXTENSION_MM3}),
        ((2, 4), {Extent.PERIMETER_FRACTION, Extent.EXTENSION_MM3}),
        ((1, 1), set()),
    ],
)
def test_the_rules_between_two_grades_decide(grades, deciding):
    assert set(deciding_extents(*grades)) == deciding
