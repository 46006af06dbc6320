from dataclasses import replace

import numpy as np
import pytest

from facetgrade.simulate.imperfections import Motion, Pose
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.truth_files import metal_distance_mm, motion_entry
from tests.simulate.toy_scene import toy_scene


def test_a_still_patient_has_no_motion_in_the_truth():
    assert motion_entry(None) is None


def test_the_truth_tells_when_and_how_far_the_patient_moved():
    motion = Motion(shots=9, poses=(Pose(start=0.5, shift_mm=(2, 0), rotation_deg=1),))
    assert motion_entry(motion) == {
        "shots": 9,
        "poses": ({"start": 0.5, "shift_mm": (2, 0), "rotation_deg": 1},),
    }


def test_the_truth_tells_how_far_metal_is_from_a_joint():
    scene = toy_scene()
    joint = min(scene.joints)
    frame = scene.joints[joint]
    assert metal_distance_mm(scene, frame) is None
    tissue = scene.column.tissue.copy()
    where = scene.column.geometry.to_index(frame.center_lps_mm + np.array([0, 9, 0]))
    tissue[tuple(np.rint(where).astype(int))] = Tissue.METAL
    scene = replace(scene, column=replace(scene.column, tissue=tissue))
    # A voxel of 1 mm, 9 mm behind the joint.
    assert metal_distance_mm(scene, frame) == pytest.approx(9.0, abs=0.9)
