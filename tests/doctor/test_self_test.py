import dataclasses

import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import read_settings, shipped_path
from facetgrade.doctor.self_test import (
    SETTINGS,
    SelfTestSettings,
    differences,
    judge,
)
from tests.report.builders import graded, joint_center_lps_mm, not_found

JOINT = FacetJoint(Level.L4_L5, Side.LEFT)


def expected(*, grade, shift_mm=0.0):
    x, y, z = joint_center_lps_mm(JOINT.level, JOINT.side).tolist()
    return SelfTestSettings.model_validate(
        {
            "study": "unused",
            "tolerance_mm": 5.0,
            "grade_tolerance": 1,
            "joints": [
                {
                    "level": "L4-L5",
                    "side": "left",
                    "center_lps_mm": [x + shift_mm, y, z],
                    "grade": grade,
                }
            ],
        }
    )


def with_grade(grade, *, borderline=False):
    outcome = graded(
        JOINT.level,
        JOINT.side,
        grade=2,
        fraction=0.4,
        probabilities=(0.0, 0.0, 1.0, 0.0, 0.0),
    )
    best = dataclasses.replace(outcome.best, grade=grade, borderline=borderline)
    return {JOINT: dataclasses.replace(outcome, best=best)}


def test_a_joint_at_its_place_may_be_one_grade_off():
    assert list(judge(with_grade(2), expected(grade=3))) == []


def test_a_joint_two_grades_off_is_told():
    (problem,) = judge(with_grade(1), expected(grade=3))
    assert problem.endswith("has grade 1, not 3")


def test_a_joint_beside_its_place_is_told():
    (problem,) = judge(with_grade(3), expected(grade=3, shift_mm=6.0))
    assert problem.endswith("is found 6.0 mm from its place")


def test_a_joint_that_was_not_graded_is_told():
    outcomes = {JOINT: not_found(JOINT.level, JOINT.side)}
    (problem,) = judge(outcomes, expected(grade=3))
    assert problem.endswith("is not graded (not-found)")


@pytest.mark.parametrize(("borderline", "count"), [(False, 1), (True, 0)])
def test_other_grades_on_two_devices_count_unless_borderline(borderline, count):
    first, second = with_grade(2), with_grade(3, borderline=borderline)
    assert len(list(differences(first, second))) == count


def test_a_grade_beside_none_is_a_difference():
    second = {JOINT: not_found(JOINT.level, JOINT.side)}
    assert len(list(differences(with_grade(2), second))) == 1


def test_the_shipped_study_has_the_joints_of_the_trial():
    settings = read_settings(shipped_path(SETTINGS), SelfTestSettings)
    joints = {expected.joint for expected in settings.joints}
    assert len(joints) == 4
    assert {joint.level for joint in joints} == {Level.L3_L4, Level.L4_L5}
    assert shipped_path(settings.study).stat().st_size < 1_500_000
