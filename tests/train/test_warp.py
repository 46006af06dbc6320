import numpy as np
import pytest

from facetgrade.segment.patches import GRID_SHAPE
from facetgrade.train.joint_views import JointView
from facetgrade.train.segmenter_cases import warped
from facetgrade.train.settings import RenderSettings
from facetgrade.train.warp import draw_warp

BOX = (slice(10, 20), slice(24, 44), slice(30, 50))


def render(**changes) -> RenderSettings:
    still = {
        "physics_share": 0.0,
        "rotation_deg": 0.0,
        "scale": (1.0, 1.0),
        "shift_mm": 0.0,
    }
    return RenderSettings(**(still | changes))


def view() -> JointView:
    """A bright box in one stack, outlined as a structure and as a lesion."""
    stacks = np.zeros((1, 3, *GRID_SHAPE), np.float16)
    stacks[0, 0][BOX] = 2.0
    stacks[0, 1] = 0.375
    structures = np.zeros(GRID_SHAPE, np.uint8)
    structures[BOX] = 7
    lesions = np.zeros((4, *GRID_SHAPE), np.uint8)
    lesions[1][BOX] = 255
    return JointView(
        stacks=stacks,
        contrasts=np.zeros(1, np.uint8),
        structures=structures,
        lesions=lesions,
    )


def test_nothing_is_drawn_where_joints_keep_their_shape():
    rng = np.random.default_rng(3)

    assert draw_warp(render(), rng) is None
    assert draw_warp(None, rng) is None
    assert rng.random() == np.random.default_rng(3).random()


def test_the_share_of_draws_with_another_shape_is_kept():
    some = render(rotation_deg=5.0, shape_share=0.3)

    drawn = [draw_warp(some, np.random.default_rng(seed)) for seed in range(200)]

    assert sum(one is not None for one in drawn) / 200 == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize(
    "change",
    [
        {"rotation_deg": 12.0},
        {"scale": (0.8, 1.2)},
        {"shift_mm": 4.0},
        {"bend_mm": 3.0},
        {"rotation_deg": 12.0, "scale": (0.8, 1.2), "shift_mm": 4.0, "bend_mm": 3.0},
    ],
)
def test_picture_and_truth_are_moved_alike(change):
    before = view()
    for seed in range(5):
        after = warped(before, draw_warp(render(**change), np.random.default_rng(seed)))

        bright = after.stacks[0, 0] > 1.0
        assert (after.structures != before.structures).any()
        assert set(np.unique(after.structures)) <= {0, 7}
        reached = after.stacks[0, 1] > 0
        assert set(np.unique(after.stacks[0, 1])) <= {0.0, 0.375}
        differ = (bright != (after.lesions[1] > 127)) & reached
        assert differ.mean() < 0.002
        assert ((after.structures == 7) != bright)[reached].mean() < 0.01


def test_a_shift_is_in_millimeters():
    before = view()
    centers = []
    for seed in range(40):
        warp = draw_warp(render(shift_mm=3.5), np.random.default_rng(seed))
        moved = warped(before, warp)
        centers.append(np.argwhere(moved.structures == 7).mean(axis=0))
    moved_mm = (
        np.array(centers) - np.argwhere(before.structures == 7).mean(axis=0)
    ) * [
        1.5,
        0.7,
        0.7,
    ]

    assert np.abs(moved_mm).max() <= 3.5 + 0.75
    assert (np.abs(moved_mm).max(axis=0) > 2.5).all()


def test_a_stretched_joint_is_larger():
    stretched = render(scale=(1.2, 1.2))
    after = warped(view(), draw_warp(stretched, np.random.default_rng(0)))

    ratio = (after.structures == 7).sum() / (view().structures == 7).sum()
    assert ratio == pytest.approx(1.2**3, rel=0.1)


def test_a_turned_joint_keeps_its_size_and_proportions():
    def spread_mm2(structures):
        return np.var(np.argwhere(structures == 7) * [1.5, 0.7, 0.7], axis=0).sum()

    before = view()
    for seed in range(5):
        warp = draw_warp(render(rotation_deg=45.0), np.random.default_rng(seed))
        after = warped(before, warp)

        ratio = (after.structures == 7).sum() / (before.structures == 7).sum()
        assert ratio == pytest.approx(1.0, rel=0.04)
        spread = spread_mm2(after.structures)
        assert spread == pytest.approx(spread_mm2(before.structures), rel=0.04)


def test_the_same_seed_draws_the_same_shape():
    chosen = render(rotation_deg=10.0, bend_mm=2.0)
    one, other = (
        warped(view(), draw_warp(chosen, np.random.default_rng(9))) for _ in range(2)
    )

    assert np.array_equal(one.stacks, other.stacks)
    assert np.array_equal(one.structures, other.structures)
