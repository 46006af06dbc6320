import numpy as np
import pytest

from facetgrade.evaluate.calibration import (
    calibration_errors,
    every_grade,
    probability_scores,
    reliability,
    set_statistics,
    top_label,
)


def test_bins_hold_equal_numbers_of_joints():
    table = reliability(np.linspace(0.01, 1.0, 100), np.zeros(100), bins=10)

    assert [b.joints for b in table] == [10] * 10
    assert table[0].confidence == pytest.approx(0.055)  # mean of .01 ... .10


def test_equal_confidences_share_a_bin_in_any_order():
    confidence = np.array([0.9, 0.2, 0.9, 0.9, 0.9, 0.9])
    right = np.array([1, 0, 1, 0, 1, 1])

    table = reliability(confidence, right, bins=3)

    assert table == reliability(confidence[::-1], right[::-1], bins=3)
    assert [b.joints for b in table] == [1, 5]
    assert table[1].share_right == pytest.approx(4 / 5)


def test_error_is_the_mean_gap_weighted_by_joints():
    # gaps: 2 joints at .2, none right: .2; 6 joints at .9, 3 right: .4
    confidence = [0.2] * 2 + [0.9] * 6
    right = [0, 0, 1, 1, 1, 0, 0, 0]

    errors = calibration_errors(confidence, right, bins=2)

    assert errors["ece"] == pytest.approx((2 * 0.2 + 6 * 0.4) / 8)


def test_squared_error_is_corrected_by_the_variance_of_each_bin():
    # gap .3, share .5 of 4: .3^2 - .5 * .5 / (4 - 1) = .09 - .08333
    errors = calibration_errors([0.8] * 4, [1, 1, 0, 0], bins=10)

    assert errors["rms_corrected"] == pytest.approx(np.sqrt(0.09 - 0.25 / 3))
    assert errors["ece_corrected"] < errors["ece"]


def test_correction_removes_most_of_what_chance_adds_to_perfect_calibration():
    rng = np.random.default_rng(4)
    errors = []
    for _ in range(100):
        confidence = rng.uniform(0.3, 1.0, 300)
        errors.append(calibration_errors(confidence, rng.random(300) < confidence))

    plain = np.mean([e["ece"] for e in errors])
    corrected = np.mean([e["ece_corrected"] for e in errors])
    assert plain > 0.05
    assert corrected < 0.7 * plain
    assert np.median([e["rms_corrected"] for e in errors]) < 0.03


def test_correction_keeps_a_true_error():
    rng = np.random.default_rng(4)
    confidence = np.full(4000, 0.9)
    errors = calibration_errors(confidence, rng.random(4000) < 0.7)

    assert errors["ece_corrected"] == pytest.approx(0.2, abs=0.02)
    assert errors["rms_corrected"] == pytest.approx(0.2, abs=0.02)


def test_top_label_is_the_most_probable_grade():
    confidence, right = top_label([1, 4], [[0.2, 0.5, 0.3, 0, 0], [0, 0, 0, 0.6, 0.4]])

    assert confidence.tolist() == [0.5, 0.6]
    assert right.tolist() == [True, False]


def test_every_grade_gives_five_statements_a_joint():
    confidence, right = every_grade([1], [[0.2, 0.5, 0.3, 0, 0]])

    assert confidence.tolist() == [0.2, 0.5, 0.3, 0, 0]
    assert right.tolist() == [False, True, False, False, False]


def test_ranked_score_punishes_a_distant_grade_more_than_a_near_one():
    near = probability_scores([0], [[0, 1, 0, 0, 0]])
    far = probability_scores([0], [[0, 0, 0, 0, 1]])

    assert near["brier"] == far["brier"] == 2.0
    assert near["ranked_probability"] == pytest.approx(1 / 4)
    assert far["ranked_probability"] == pytest.approx(1.0)


def test_coverage_counts_sets_that_hold_the_truth():
    statistics = set_statistics([2, 4, 0, 1], [(2, 3), (3,), (0,), (0, 1, 2)])

    assert statistics["coverage"] == pytest.approx(3 / 4)
    assert statistics["mean_size"] == pytest.approx(7 / 4)
    assert statistics["single_share"] == pytest.approx(2 / 4)


def test_without_joints_nothing_is_defined():
    assert np.isnan(calibration_errors([], [])["ece"])
    assert np.isnan(set_statistics([], [])["coverage"])
