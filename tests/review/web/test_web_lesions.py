import numpy as np
import pytest

from facetgrade.anatomy import Level, Side
from facetgrade.config import read_config
from facetgrade.review.web.lesions import CODES, drawn_on, extent_values, paint, regrade
from facetgrade.review.web.patches import patch_grid
from tests.report import builders as phantom


@pytest.fixture(scope="module")
def grid():
    return patch_grid(phantom.frame(Level.L4_L5, Side.LEFT))


@pytest.fixture(scope="module")
def masks():
    (graded,) = [
        one
        for one in phantom.outcomes()
        if one.joint.level is Level.L4_L5 and one.joint.side is Side.LEFT
    ]
    return graded.masks


@pytest.fixture(scope="module")
def rules():
    return read_config().grade


def test_codes_are_those_of_the_store():
    assert {lesion.value: code for lesion, code in CODES.items()} == {
        "effusion": 1,
        "soft_tissue_edema": 2,
        "marrow_edema": 3,
        "cyst": 4,
    }


def test_what_is_not_touched_stays_as_it_was(masks, grid):
    painted = paint(masks, grid, drawn_on(grid, masks))
    for lesion, before in masks.lesions.items():
        np.testing.assert_array_equal(painted.masks.lesions[lesion], before)


def test_a_painted_block_becomes_effusion_on_the_joint_grid(masks, grid):
    labels = drawn_on(grid, masks)
    labels[30:46, 40:60, 40:60] = 1
    painted = paint(masks, grid, labels)
    # 16 x 20 x 20 voxels of 0.6 mm: 9.6 x 12 x 12 mm
    block_mm3 = 9.6 * 12 * 12
    inside = painted.labels == 1
    edited = inside.sum() * masks.geometry.voxel_volume_mm3
    assert edited == pytest.approx(block_mm3, rel=0.25)


def test_erasing_everything_is_grade_0(masks, grid, rules):
    before = regrade(masks, rules)
    erased = paint(masks, grid, np.zeros(grid.shape, np.uint8))
    after = regrade(erased.masks, rules)
    assert before.grade >= 2
    assert after.grade == 0
    assert extent_values(after.extents)["edema_mm3"] == 0.0
    assert not erased.labels.any()


def test_a_painting_of_another_size_is_refused(masks, grid):
    with pytest.raises(ValueError, match="shape"):
        paint(masks, grid, np.zeros((3, 3, 3), np.uint8))


def test_unknown_codes_are_refused(masks, grid):
    with pytest.raises(ValueError, match="0-4, got 9"):
        paint(masks, grid, np.full(grid.shape, 9, np.uint8))
