import numpy as np
import pytest
from pydantic import ValidationError

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import check_settings, read_toml, shipped_path
from facetgrade.simulate.pathology import (
    PathologySettings,
    draw_followup_grades,
    draw_grades,
    draw_trial_case,
)

PATH = shipped_path("configs/simulate.toml")
SETTINGS = check_settings(read_toml(PATH)["pathology"], PathologySettings, PATH)
JOINTS = [FacetJoint(level, side) for level in Level for side in Side]
ALWAYS_2 = (0.0, 0.0, 1.0, 0.0, 0.0)


def test_grades_have_the_wanted_shares():
    shares = (0.4, 0.3, 0.1, 0.1, 0.1)
    settings = SETTINGS.model_copy(update={"grade_probabilities": shares})
    rng = np.random.default_rng(0)

    drawn = [g for _ in range(400) for g in draw_grades(rng, JOINTS, settings).values()]

    # 4000 correlated draws: a share of 0.4 has a standard error of about 0.015.
    np.testing.assert_allclose(np.bincount(drawn) / len(drawn), shares, atol=0.05)


def test_joints_of_one_patient_resemble_each_other():
    settings = SETTINGS.model_copy(update={"patient_correlation": 1.0})

    grades = draw_grades(np.random.default_rng(1), JOINTS, settings)

    assert len(set(grades.values())) == 1


def test_followup_follows_the_transitions():
    settings = SETTINGS.model_copy(update={"followup_transitions": (ALWAYS_2,) * 5})
    baseline = {JOINTS[0]: 4, JOINTS[1]: 0}

    later = draw_followup_grades(np.random.default_rng(0), baseline, settings)

    assert later == {JOINTS[0]: 2, JOINTS[1]: 2}


def test_trial_case_is_severe_on_the_right_of_l4_l5_and_lower_later():
    baseline, later = draw_trial_case(np.random.default_rng(2), JOINTS)
    severe = FacetJoint(Level.L4_L5, Side.RIGHT)
    suspected = [joint for joint in JOINTS if joint.level is Level.L3_L4]

    assert baseline[severe] == 4
    assert later[severe] < 4
    assert all(1 <= baseline[joint] <= 2 for joint in suspected)
    assert all(later[joint] < baseline[joint] for joint in suspected)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    values = SETTINGS.model_dump() | {"grade_probabilities": (0.5, 0.1, 0.1, 0.1, 0.1)}

    with pytest.raises(ValidationError, match="sum to 1"):
        PathologySettings(**values)
