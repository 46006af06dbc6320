from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import shipped_path
from facetgrade.config_files import read_shipped
from facetgrade.simulate.placement import (
    axial_blocks,
    axial_stack,
    move_scene,
    sagittal_stack,
)
from facetgrade.simulate.protocols import draw_protocol
from facetgrade.simulate.settings import SimulateSettings
from tests.simulate.toy_scene import toy_scene

SCENE = toy_scene()


@pytest.fixture(scope="module")
def config():
    assert shipped_path("configs/simulate.toml").exists()
    return read_shipped("configs/simulate.toml", SimulateSettings)


def protocol(config, name):
    rng = np.random.default_rng(4)
    return draw_protocol(
        name, config.protocols[name], field_t=3.0, scanner=config.scanner, rng=rng
    )


def test_a_drawn_protocol_lies_in_its_ranges(config):
    drawn = protocol(config, "sagittal_stir")
    assert 3500 <= drawn.tr_ms <= 6000
    assert drawn.spacing_mm[0] == pytest.approx(4.0 + drawn.gap_mm)
    assert (drawn.ti_ms == 0) or (200 <= drawn.ti_ms <= 230)


def test_the_sagittal_stack_reaches_all_facets_of_both_sides(config):
    stack = sagittal_stack(
        SCENE, protocol(config, "sagittal_t2"), np.random.default_rng(1)
    )
    centers = np.array([frame.center_lps_mm for frame in SCENE.joints.values()])
    assert stack.contains(centers).all()
    assert stack.axes[0, 0] > 0.9
    assert stack.axes[1, 2] < -0.9


def test_the_axial_stack_is_seen_from_below(config):
    stack = axial_stack(SCENE, protocol(config, "axial_t2"), np.random.default_rng(1))
    assert stack.axes[2, 0] > 0.9
    assert stack.axes[1, 1] > 0.9


def test_a_short_axial_stack_is_lengthened_to_reach_the_third_last_body(config):
    drawn = replace(protocol(config, "axial_t2"), slices=5)
    stack = axial_stack(SCENE, drawn, np.random.default_rng(1))
    # The last four bodies span 3 * 36 = 108 mm.
    assert stack.shape[0] * stack.spacing_mm[0] == pytest.approx(108.0, abs=5.0)


def test_blocks_are_centered_on_their_discs(config):
    drawn = replace(protocol(config, "axial_t2"), slices=30)
    blocks = axial_blocks(SCENE, drawn, blocks=3, rng=np.random.default_rng(1))
    heights = [block.center_lps_mm[2] for block in blocks]
    # Body centers are 36 mm apart around 23: discs at 41, 5 and -31.
    assert heights == pytest.approx([41.0, 5.0, -31.0], abs=6.0)
    assert all(block.shape[0] == 10 for block in blocks)


def test_blocks_of_a_steep_sacrum_stay_axial(config):
    # The whole patient leans by 60 degrees; a block may follow by 36 plus jitter.
    lean = Rotation.from_euler("x", 60.0, degrees=True)
    steep = move_scene(SCENE, rotation=lean, shift_mm=np.zeros(3))
    drawn = protocol(config, "axial_t2")
    blocks = axial_blocks(steep, drawn, blocks=4, rng=np.random.default_rng(1))
    for block in blocks:
        assert abs(block.axes[0, 2]) > np.cos(np.deg2rad(42.0))


def test_a_moved_scene_keeps_joints_on_their_labels():
    rotation = Rotation.from_euler("xyz", [5.0, -4.0, 3.0], degrees=True)
    moved = move_scene(SCENE, rotation=rotation, shift_mm=np.array([4.0, -2.0, 9.0]))
    joint = FacetJoint(Level.L4_L5, Side.RIGHT)
    before = SCENE.column.geometry.to_index(SCENE.joints[joint].center_lps_mm)
    after = moved.column.geometry.to_index(moved.joints[joint].center_lps_mm)
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert moved.column.tissue is SCENE.column.tissue
