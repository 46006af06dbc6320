from dataclasses import replace
from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from facetgrade.config_files import read_shipped
from facetgrade.simulate import simulate_study
from facetgrade.simulate.movement import (
    displacement_lps,
    move_between,
    series_of_truth,
)
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.truth_files import covered_share
from facetgrade.simulate.vendors import draw_patient
from facetgrade.study import Sequence
from facetgrade.train.segmenter_cases import acquire_joint
from tests.simulate.toy_scene import toy_scene

SCENE = toy_scene(edema=1.0)
JOINT = sorted(SCENE.joints)[2]
SHIPPED = read_shipped("configs/simulate.toml", SimulateSettings)
STILL = {"shift_between_mm": (0.0, 0.0), "rotation_between_deg": (0.0, 0.0)}


def habits(probability, **changes):
    return SHIPPED.study.model_copy(
        update={"shift_between_probability": probability, **changes}
    )


def small(study):
    """Two small series, of which the second shows edema, on a clean scanner."""
    protocols = {
        name: ranges.model_copy(update={"matrix": (64,), "slices": (9, 9)})
        for name, ranges in SHIPPED.protocols.items()
        if name in ("sagittal_t1", "sagittal_stir")
    }
    study = study.model_copy(update={"always": tuple(protocols), "sometimes": {}})
    return SHIPPED.model_copy(update={"protocols": protocols, "study": study})


def scanned(study):
    rng = np.random.default_rng(4)
    return simulate_study(
        SCENE,
        draw_patient(1, rng),
        draw_subject_tissue(rng),
        study_date=date(2021, 1, 5),
        config=small(study),
        rng=rng,
    )


def test_without_shifts_the_patient_is_the_same_object_in_all_series():
    poses = move_between(SCENE, 4, habits(0.0), np.random.default_rng(1))
    assert all(pose is SCENE for pose in poses)


def test_who_moved_stays_moved():
    poses = move_between(SCENE, 40, habits(0.5), np.random.default_rng(1))
    new = [after is not before for before, after in pairwise(poses)]
    assert 10 <= sum(new) <= 30
    # Forty shifts of 0.3 to 2.5 mm add up; each alone is within its range.
    steps = [
        np.linalg.norm(
            after.vertebrae[2].center_lps_mm - before.vertebrae[2].center_lps_mm
        )
        for before, after in pairwise(poses)
        if after is not before
    ]
    assert min(steps) > 0.25  # rotations turn about a point nearby
    assert max(steps) < 2.6


def test_movements_leave_all_other_draws_as_they_are():
    with_draws, without = scanned(habits(1.0, **STILL)), scanned(habits(0.0))
    for moved, plain in zip(with_draws.series, without.series, strict=True):
        assert moved.uid == plain.uid
        # Positions differ by rounding alone, so gray values by one step of the texture.
        np.testing.assert_allclose(
            moved.volumes[0].voxels, plain.volumes[0].voxels, atol=1.0
        )


def test_slices_stay_where_they_were_planned():
    far = habits(1.0, shift_between_mm=(150.0, 150.0))
    moved, still = scanned(far), scanned(habits(0.0))
    planned = np.mean([v.center_lps_mm for v in still.scene.vertebrae], axis=0)
    for one in moved.series:
        grid = one.volumes[0].geometry
        middle = grid.to_lps((np.array(grid.shape) - 1.0) / 2.0)
        # Slices are centered some 25 mm behind and above the bodies, sd 11 mm.
        assert np.linalg.norm(middle - planned) < 75.0


def test_truth_is_in_the_pose_of_the_first_series_that_shows_edema():
    far = habits(1.0, shift_between_mm=(9.0, 9.0), rotation_between_deg=(0.0, 0.0))
    moved, still = scanned(far), scanned(habits(0.0))
    first, second = moved.series
    assert second.displacement_lps is None
    # Truth is two shifts from the plan; the first series one shift back from it.
    back = first.displacement_lps[:3, 3]
    assert np.linalg.norm(back) == pytest.approx(9.0)
    planned = still.scene.vertebrae[0].center_lps_mm
    during_first = moved.scene.vertebrae[0].center_lps_mm + back
    assert np.linalg.norm(during_first - planned) == pytest.approx(9.0)


def test_the_images_show_the_patient_displaced():
    far = habits(1.0, shift_between_mm=(20.0, 20.0), rotation_between_deg=(0.0, 0.0))
    moved, still = scanned(far), scanned(habits(0.0))
    # The first slices of both studies lie at the same place.
    t1, plain = moved.series[0].volumes[0], still.series[0].volumes[0]
    to_first = displacement_lps(still.scene, moved.scene)[:3, 3]
    to_first = to_first + moved.series[0].displacement_lps[:3, 3]
    np.testing.assert_array_equal(t1.geometry.index_to_lps, plain.geometry.index_to_lps)
    steps = np.rint(t1.geometry.axes @ to_first / t1.geometry.spacing_mm).astype(int)
    back = np.roll(t1.voxels, tuple(-steps), axis=(0, 1, 2))
    inner = (4, slice(14, 50), slice(14, 50))
    apart = np.abs(t1.voxels[inner] - plain.voxels[inner]).mean()
    assert np.abs(back[inner] - plain.voxels[inner]).mean() < 0.8 * apart


def test_a_displaced_joint_is_covered_where_it_was():
    series = scanned(habits(0.0)).series[0]
    frame = SCENE.joints[JOINT]
    away = np.eye(4)
    away[2, 3] = 400.0
    gone = replace(series, displacement_lps=away)
    assert covered_share(frame, series) > 0.9
    assert covered_share(frame, gone) == 0.0


def test_truth_follows_the_first_contrast_that_shows_edema():
    t1, t2, stir = Sequence.T1, Sequence.T2, Sequence.T2_FS
    assert series_of_truth([t1, t2, stir, Sequence.T1_FS_POST]) == 2
    assert series_of_truth([t1, t2]) == 0


def test_training_joints_have_a_truth_for_every_pose():
    far = habits(1.0, shift_between_mm=(6.0, 6.0), rotation_between_deg=(0.0, 0.0))
    rng = np.random.default_rng(2)
    joint = acquire_joint(SCENE, JOINT, small(far), rng)
    assert joint.pose.tolist() == [0, 1]
    # One label per pose, of the same size, elsewhere.
    bone = joint.structures > 0
    assert bone[0].sum() == pytest.approx(bone[1].sum(), rel=0.3)
    assert (bone[0] != bone[1]).mean() > 0.02


def test_training_joints_without_shifts_share_one_truth():
    joint = acquire_joint(SCENE, JOINT, small(habits(0.0)), np.random.default_rng(2))
    assert joint.pose.tolist() == [0, 0]
    assert joint.structures.shape[0] == joint.lesions.shape[0] == 1
