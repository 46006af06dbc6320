from dataclasses import replace

import numpy as np
import pytest

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.by_factor import factor_section
from facetgrade.evaluate.summary import Bootstrap
from tests.evaluate.test_benchmark_results import DEFINITIONS, joint

BOOTSTRAP = Bootstrap(resamples=20, seed=1, coverage=0.95)
MOVED, STILL = {"motion": "yes"}, {"motion": "no"}


def by_motion(rows):
    return factor_section(rows, BOOTSTRAP, DEFINITIONS)["motion"]


def diseased(patient, factors, *, width_mm=2.0, **dice):
    return replace(
        joint(patient, factors=factors),
        truth={"effusion_mm3": 90.0, "effusion_width_mm": width_mm, "edema_mm3": 90.0},
        overlap={name: {"dice": value} for name, value in dice.items()},
    )


def visit(patient, timepoint, factors, *, truth, mean):
    """A joint whose probabilities have that mean: all on the grades beside it."""
    low = int(mean)
    shares = np.zeros(5)
    shares[low], shares[low + 1] = 1.0 - (mean - low), mean - low
    return joint(
        patient,
        truth=truth,
        timepoint=timepoint,
        study=f"{patient}_{timepoint}",
        factors=factors,
        probabilities=shares.tolist(),
    )


def test_dice_is_told_for_each_value_over_joints_with_the_lesion():
    rows = [
        diseased("p0", MOVED, effusion=0.4, edema=0.6),
        diseased("p1", MOVED),  # nothing outlined: 0
        diseased("p2", STILL, effusion=0.9, edema=0.8),
        diseased("p3", STILL, effusion=0.3, edema=0.8, width_mm=0.5),
    ]

    found = by_motion(rows)

    assert found["yes"]["effusion_dice"]["value"] == pytest.approx(0.2)
    assert found["yes"]["edema_dice"]["value"] == pytest.approx(0.3)
    # the film of 0.5 mm is fluid only
    assert found["no"]["effusion_dice"]["value"] == pytest.approx(0.9)
    assert found["no"]["effusion_dice"]["rows"] == 1
    assert found["no"]["fluid_dice"]["value"] == pytest.approx(0.6)


def test_dice_by_value_leaves_out_joints_that_nobody_could_grade():
    lost = replace(diseased("p1", MOVED, effusion=0.1), truth_grade=UNGRADABLE)
    rows = [diseased("p0", MOVED, effusion=0.7), lost, diseased("p2", STILL)]

    found = by_motion(rows)["yes"]

    assert found["effusion_dice"]["value"] == pytest.approx(0.7)
    assert found["effusion_dice"]["rows"] == 1
    assert found["effusion_dice_anywhere"]["value"] == pytest.approx(0.4)


def test_fields_are_told_apart_and_in_order():
    rows = [
        joint(f"p{number}", factors={"field": field})
        for number, field in enumerate(("3 T", "1.5 T", "1 T", "1 T"))
    ]

    found = factor_section(rows, BOOTSTRAP, DEFINITIONS)["field"]

    assert list(found) == ["1 T", "1.5 T", "3 T"]
    assert found["1 T"]["right"]["rows"] == 2


def test_a_figure_that_no_joint_has_is_left_out():
    found = by_motion([joint("p0", factors=MOVED), joint("p1", factors=STILL)])
    assert "edema_dice" not in found["yes"]
    assert "mean_direction_right" not in found["yes"]


def test_a_pair_counts_for_a_value_that_both_visits_have():
    rows = [
        visit("p0", "1", MOVED, truth=1, mean=1.2),
        visit("p0", "2", MOVED, truth=3, mean=1.4),  # rises like the truth
        visit("p1", "1", MOVED, truth=3, mean=2.0),
        visit("p1", "2", MOVED, truth=1, mean=2.5),  # rises though the truth falls
        visit("p2", "1", MOVED, truth=2, mean=2.0),
        visit("p2", "2", MOVED, truth=2, mean=2.5),  # truly unchanged
        visit("p3", "1", MOVED, truth=0, mean=0.5),
        visit("p3", "2", STILL, truth=4, mean=3.5),  # moved at one visit only
    ]

    found = by_motion(rows)

    assert found["yes"]["mean_direction_right"]["value"] == 0.5
    assert found["yes"]["mean_direction_right"]["rows"] == 2
    assert "mean_direction_right" not in found["no"]


def test_a_changed_pair_without_a_grade_counts_as_wrong():
    rows = [
        joint("p0", truth=1, grade=1, factors=MOVED),
        joint("p0", truth=4, grade=UNGRADABLE, factors=MOVED, timepoint="2"),
        joint("p1", factors=STILL),
    ]

    assert by_motion(rows)["yes"]["mean_direction_right"]["value"] == 0.0


def test_coverage_counts_joints_with_a_set_and_a_true_grade():
    rows = [
        joint("p0", factors=MOVED, grade_set=(1, 2)),
        joint("p1", factors=MOVED, grade=UNGRADABLE),
        joint("p2", factors=MOVED, truth=UNGRADABLE),
        joint("p3", factors=STILL),
    ]

    coverage = by_motion(rows)["yes"]["coverage"]

    assert (coverage["value"], coverage["rows"]) == (1.0, 1)


def test_calibration_is_told_with_a_hundred_joints():
    rows = [joint(f"p{i}", factors=MOVED) for i in range(100)]
    rows += [joint(f"q{i}", factors=STILL) for i in range(99)]

    found = by_motion(rows)

    # all are sure and right
    assert found["yes"]["ece_corrected"]["value"] == 0.0
    assert found["no"]["ece_corrected"]["value"] is None
    assert found["no"]["ece_corrected"]["rows"] == 99


def test_kappa_is_undefined_where_all_true_grades_are_equal():
    rows = [joint("p0", truth=2, grade=1, factors=MOVED)]
    rows += [joint(f"q{g}", truth=g, grade=g, factors=STILL) for g in (0, 4)]

    found = by_motion(rows)

    assert found["yes"]["kappa_quadratic"]["value"] is None
    assert found["no"]["kappa_quadratic"]["value"] == 1.0
