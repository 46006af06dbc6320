"""Registrations of a comparison held against the truth beside the images."""

import json
from pathlib import Path

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.compare.rigid import RigidMotion
from facetgrade.evaluate.registration import (
    ComparisonError,
    RegisteredJoint,
    direction_of_change,
    motion_error,
    registration_errors,
    summarize_errors,
)
from facetgrade.evaluate.truth import read_truth
from facetgrade.findings import JointFrame

JOINT = FacetJoint(Level.L4_L5, Side.RIGHT)
FRAME = JointFrame(
    center_lps_mm=np.array([-20.0, 40.0, -30.0]),
    cranial=np.array([0.0, 0.0, 1.0]),
    posterior=np.array([0.0, 1.0, 0.0]),
    lateral=np.array([-1.0, 0.0, 0.0]),
)
SHIFT = RigidMotion.from_parts(np.eye(3), np.array([3.0, 0.0, 4.0]))


def quarter_turn(center):
    """A quarter turn about the body axis through a point."""
    rotation = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    return RigidMotion.from_parts(rotation, center - rotation @ center)


def test_a_shift_that_was_missed_is_the_whole_error():
    still = RigidMotion(np.eye(4))
    moved = SHIFT.move_frame(FRAME)
    # sqrt(9 + 16) at every point
    assert motion_error(still, FRAME, moved, radius_mm=10.0) == pytest.approx((5.0, 0))


def test_a_turn_about_the_center_moves_the_points_around_it():
    turn = quarter_turn(FRAME.center_lps_mm)
    found_mm, found_deg = motion_error(turn, FRAME, FRAME, radius_mm=7.0)
    # 4 of 7 points move by 7 * sqrt(2)
    assert found_mm == pytest.approx(4.0 * np.sqrt(2.0))
    assert found_deg == pytest.approx(90.0)


def truth(frame, grade):
    """What the simulator says of a study with one joint."""
    measures = ("effusion_mm3", "effusion_width_mm", "soft_tissue_edema_mm3")
    joint = dict.fromkeys([*measures, "marrow_edema_mm3", "perimeter_fraction"], 0.0)
    joint |= {"level": "L4-L5", "side": "right", "grade": grade, "metal_mm": None}
    joint |= {
        name: getattr(frame, name).tolist()
        for name in ("center_lps_mm", "cranial", "posterior", "lateral")
    }
    joint |= {"covered": {"1.1": 1.0}, "masks": {"lesions": "right.nii.gz"}}
    series = {"series_uid": "1.1", "sequence": "T2-FS", "plane": "axial"}
    series |= {"fat_suppression": "spectral", "field_t": 3.0, "motion": None}
    series |= {"slice_thickness_mm": 4.0}
    return {
        "version": 1,
        "study_uid": "1.2.3",
        "patient_id": "SIM-1",
        "habit": "ge",
        "provenance": {},
        "vertebrae": [],
        "lesion_labels": {},
        "joints": [joint],
        "series": [series | {"blocks": [{}]}],
    }


@pytest.fixture
def compared(tmp_path):
    """A comparison of one pair, improved from 3 to 1, and the truth of its studies."""
    for visit, frame, grade in (("a", FRAME, 3), ("b", SHIFT.move_frame(FRAME), 1)):
        folder = tmp_path / "studies" / visit / "truth"
        folder.mkdir(parents=True)
        (folder / "truth.json").write_text(json.dumps(truth(frame, grade)))
    out = tmp_path / "out"
    out.mkdir()
    pair = {"pair": "p", "baseline_source": "a/dicom", "followup_source": "b/dicom"}
    motion = {
        "level": "L4-L5",
        "side": "right",
        "followup_from_baseline": SHIFT.matrix.tolist(),
        "problem": "",
    }
    pair |= {"refused": None, "registrations": [motion]}
    (out / "compare.json").write_text(json.dumps({"pairs": [pair]}))
    (out / "changes.csv").write_text(
        "pair,level,side,grade_baseline,grade_followup\np,L4-L5,right,3,2\n"
    )
    return out, tmp_path / "studies"


def test_a_comparison_is_held_against_the_truth(compared):
    (one,) = registration_errors(*compared, radius_mm=10.0)
    assert (one.pair, one.joint, one.problem) == ("p", JOINT, "")
    assert one.error_mm == pytest.approx(0.0, abs=1e-9)


def test_the_direction_of_change_is_counted(compared):
    found = direction_of_change(*compared)
    assert (found["direction_right"], found["changed"], found["unchanged"]) == (1, 1, 0)


def test_only_trusted_registrations_are_summarized():
    joints = [
        RegisteredJoint(pair="p", joint=JOINT, error_mm=mm, error_deg=1.0, problem=why)
        for mm, why in ((0.2, ""), (0.4, ""), (9.0, "too far"))
    ]
    found = summarize_errors(joints)
    assert (found["joints"], found["trusted"]) == (3, 2)
    assert found["error_mm_median"] == pytest.approx(0.3)


def test_a_folder_without_a_comparison_is_named(tmp_path):
    with pytest.raises(ComparisonError, match=r"is .* a folder that `facetgrade comp"):
        registration_errors(tmp_path, tmp_path, radius_mm=10.0)


def test_studies_without_truth_are_named(compared, tmp_path):
    with pytest.raises(ComparisonError, match="no truth lies beside this study"):
        registration_errors(compared[0], tmp_path / "nowhere", radius_mm=10.0)


def test_a_comparison_of_an_earlier_version_is_named(tmp_path):
    (tmp_path / "compare.json").write_text('{"pairs": [{"pair": "p"}]}')
    with pytest.raises(ComparisonError, match="an earlier version wrote it"):
        registration_errors(tmp_path, tmp_path, radius_mm=10.0)


def test_the_truth_of_the_sample_studies_can_be_read():
    folder = Path(__file__).parents[2] / "data_samples"
    truth = read_truth(folder / "sim-0001_baseline" / "truth")
    assert truth.joints[JOINT].grade in range(5)
    assert truth.joints[JOINT].metal_mm == np.inf
