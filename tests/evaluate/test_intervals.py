import time

import numpy as np
import pytest

from facetgrade.evaluate.agreement import agreement_statistics
from facetgrade.evaluate.intervals import cluster_bootstrap


def mean_of(values):
    array = np.asarray(values, float)
    return lambda rows: {"mean": float(array[rows].mean())}


def test_value_is_that_of_the_whole_sample():
    result = cluster_bootstrap(["a", "a", "b"], mean_of([1, 2, 6]), seed=1)

    assert result["mean"].value == pytest.approx(3.0)
    assert (result["mean"].rows, result["mean"].clusters) == (3, 2)


def test_joints_of_one_patient_are_drawn_together():
    # two patients, all joints of one alike: a resample's mean is 0, 0.5 or 1
    seen = set()

    def spy(rows):
        seen.add(float(np.array([0, 0, 0, 1, 1, 1])[rows].mean()))
        return {"mean": 0.0}

    cluster_bootstrap(["a"] * 3 + ["b"] * 3, spy, seed=1, resamples=200)

    assert seen == {0.0, 0.5, 1.0}


def test_clustered_interval_is_wider_by_the_design_effect():
    # 50 patients of 8 alike joints: the variance of a mean is 8 times that of 400
    # independent joints (Kish: 1 + (8 - 1) * 1), so the interval is sqrt(8) wider
    values = np.repeat(np.random.default_rng(3).normal(size=50), 8)
    together = cluster_bootstrap(
        [f"p{row // 8}" for row in range(400)], mean_of(values), seed=1
    )["mean"]
    apart = cluster_bootstrap(
        [str(row) for row in range(400)], mean_of(values), seed=1
    )["mean"]

    ratio = (together.high - together.low) / (apart.high - apart.low)
    assert ratio == pytest.approx(np.sqrt(8), rel=0.1)


def test_interval_of_a_mean_is_that_of_the_normal_approximation():
    values = np.random.default_rng(5).normal(size=200)
    estimate = cluster_bootstrap(
        [str(row) for row in range(200)], mean_of(values), seed=1
    )["mean"]

    half_width = 1.96 * values.std() / np.sqrt(200)
    assert estimate.low == pytest.approx(values.mean() - half_width, abs=0.01)
    assert estimate.high == pytest.approx(values.mean() + half_width, abs=0.01)


@pytest.mark.slow
def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(11)
    covered = 0
    for trial in range(200):
        patients = np.repeat(rng.normal(size=40), 4)
        values = patients + rng.normal(size=160)
        estimate = cluster_bootstrap(
            [str(row // 4) for row in range(160)],
            mean_of(values),
            seed=trial,
            resamples=300,
        )["mean"]
        covered += estimate.low <= 0.0 <= estimate.high

    assert 0.89 <= covered / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval():
    first = cluster_bootstrap(list("abcd"), mean_of([1, 2, 3, 4]), seed=7)
    second = cluster_bootstrap(list("abcd"), mean_of([1, 2, 3, 4]), seed=7)

    assert first == second


def test_one_patient_gives_no_interval():
    estimate = cluster_bootstrap(["a", "a"], mean_of([1, 2]), seed=1)["mean"]

    assert estimate.value == 1.5
    assert np.isnan([estimate.low, estimate.high]).all()


def test_a_statistic_that_is_mostly_undefined_gives_no_interval():
    def only_with_first(rows):
        return {"share": 1.0 if (rows == 0).sum() > 1 else float("nan")}

    estimate = cluster_bootstrap(list("abcdef"), only_with_first, seed=1)["share"]

    assert np.isnan(estimate.low)


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="at least one row"):
        cluster_bootstrap([], mean_of([]), seed=1)


@pytest.mark.slow
def test_two_thousand_resamples_of_400_joints_take_seconds():
    rng = np.random.default_rng(2)
    truth, predicted = rng.integers(0, 5, (2, 400))
    start_s = time.process_time()
    cluster_bootstrap(
        [str(row // 4) for row in range(400)],
        lambda rows: agreement_statistics(truth[rows], predicted[rows]),
        seed=1,
    )

    assert time.process_time() - start_s < 10.0
