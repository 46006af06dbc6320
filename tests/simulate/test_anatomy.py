import tomllib

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side, Structure
from facetgrade.config import shipped_path
from facetgrade.simulate.anatomy import AnatomySettings, build_scene
from facetgrade.simulate.scene import Tissue


def coarse_settings(**changes):
    text = shipped_path("configs/simulate.toml").read_text(encoding="utf-8")
    section = tomllib.loads(text)["anatomy"]
    section |= {"body_spacing_mm": 3.0, "column_spacing_mm": 1.0, **changes}
    return AnatomySettings(**section)


@pytest.fixture(scope="module")
def scene():
    return build_scene(coarse_settings(), "parametric", np.random.default_rng(11))


def structures_around(scene, joint, reach_mm):
    grid = scene.column
    index = np.round(grid.geometry.to_index(scene.joints[joint].center_lps_mm))
    reach = int(reach_mm / grid.geometry.spacing_mm[0])
    box = tuple(slice(int(i) - reach, int(i) + reach + 1) for i in index)
    return grid.structure[box]


def test_every_lumbar_joint_of_both_sides_is_there(scene):
    assert list(scene.joints) == [FacetJoint(x, s) for x in Level for s in Side]


def test_left_joints_lie_to_the_left_of_right_joints(scene):
    for level in Level:
        left = scene.joints[FacetJoint(level, Side.LEFT)].center_lps_mm
        right = scene.joints[FacetJoint(level, Side.RIGHT)].center_lps_mm
        assert 15.0 < left[0] - right[0] < 60.0


def test_levels_descend_from_the_top(scene):
    heights = [v.center_lps_mm[2] for v in scene.vertebrae]
    names = [v.name for v in scene.vertebrae]
    assert names == ["T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "S1"]
    assert (np.diff(heights) < -15.0).all()


def test_joints_lie_behind_the_bodies(scene):
    centers = {v.name: v.center_lps_mm for v in scene.vertebrae}
    for joint, frame in scene.joints.items():
        ends = [
            centers[joint.level.upper_vertebra],
            centers[joint.level.lower_vertebra],
        ]
        middle = np.mean(ends, axis=0)
        assert 20.0 < frame.center_lps_mm[1] - middle[1] < 48.0


def test_joint_axes_are_orthonormal_and_point_as_named(scene):
    for joint, frame in scene.joints.items():
        axes = np.stack([frame.cranial, frame.posterior, frame.lateral])
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-9)
        assert frame.cranial[2] > 0.5
        assert frame.posterior[1] > 0.5
        assert frame.lateral[0] * joint.side.sign > 0.8


def test_joint_space_lies_between_both_articular_processes(scene):
    for joint in scene.joints:
        assert Structure.JOINT_SPACE in structures_around(scene, joint, 2.0)
        around = structures_around(scene, joint, 6.0)
        assert Structure.SUPERIOR_ARTICULAR_PROCESS in around
        assert Structure.INFERIOR_ARTICULAR_PROCESS in around


def test_the_body_in_the_middle_of_each_vertebra_has_its_name(scene):
    grid = scene.body
    codes = [
        grid.vertebra[
            tuple(np.round(grid.geometry.to_index(v.center_lps_mm)).astype(int))
        ]
        for v in scene.vertebrae[1:]
    ]
    assert codes == [2, 3, 4, 5, 6, 7, 8, 10]  # 1 + index of T11 .. L5, S1


def test_the_back_is_covered_by_skin_and_air_lies_behind(scene):
    tissue = scene.body.tissue
    last = tissue[:, -1, tissue.shape[2] // 2]
    assert (last == Tissue.AIR).all()
    assert (tissue == Tissue.SKIN).any()


def test_the_same_seed_gives_the_same_scene(scene):
    again = build_scene(coarse_settings(), "parametric", np.random.default_rng(11))
    np.testing.assert_array_equal(again.column.tissue, scene.column.tissue)
    np.testing.assert_array_equal(again.body.structure, scene.body.structure)
    assert again.provenance == scene.provenance


def test_joint_centers_hardly_depend_on_the_spacing(scene):
    fine = build_scene(
        coarse_settings(column_spacing_mm=0.8),
        "parametric",
        np.random.default_rng(11),
    )
    for joint, frame in scene.joints.items():
        shift = fine.joints[joint].center_lps_mm - frame.center_lps_mm
        assert np.linalg.norm(shift) < 0.6


def test_an_unknown_source_is_refused():
    with pytest.raises(ValueError, match="source must be one of"):
        build_scene(coarse_settings(), "phantom", np.random.default_rng(0))
