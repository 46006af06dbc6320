from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import read_shipped
from facetgrade.segment.patches import contrast_index
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.study import Sequence
from facetgrade.train.joint_views import ScannedJoint
from facetgrade.train.segmenter_cases import (
    LARGEST_STACKS,
    POST_ALONE,
    acquire_joint,
    draw_item,
)
from facetgrade.train.settings import RenderSettings
from tests.simulate.toy_scene import toy_scene

SHAPE = (4, 6, 6)
CONTRASTS = [
    contrast_index(one)
    for one in (
        Sequence.T1,
        Sequence.T2,
        Sequence.T2_FS,
        Sequence.T2,
        Sequence.T2_FS,
        Sequence.T1_FS_POST,
        Sequence.T1,
        Sequence.T1_FS_POST,
    )
]
POST, T2_FS = (contrast_index(c) for c in (Sequence.T1_FS_POST, Sequence.T2_FS))


def view(contrasts: list[int] = CONTRASTS) -> ScannedJoint:
    """Stacks that see the whole joint."""
    return ScannedJoint(
        stacks=np.ones((len(contrasts), 3, *SHAPE), np.float16),
        contrasts=np.array(contrasts, np.uint8),
        pose=np.zeros(len(contrasts), np.uint8),
        structures=np.zeros((1, *SHAPE), np.uint8),
        lesions=np.zeros((1, 4, *SHAPE), np.uint8),
    )


def render(**changes: object) -> RenderSettings:
    """Return settings that disturb no more than always, and what the test changes."""
    kept = {"physics_share": 0.0, "rotation_deg": 0.0, "scale": (1, 1), "shift_mm": 0.0}
    return RenderSettings.model_validate(kept | changes)


def test_draws_range_from_one_stack_to_a_whole_study():
    drawn = [draw_item(view(), np.random.default_rng(seed)) for seed in range(60)]

    counts = [int(item["present"].sum()) for item in drawn]
    assert min(counts) == 1
    assert max(counts) == LARGEST_STACKS


def test_post_contrast_is_never_read_beside_t2_fs():
    for seed in range(60):
        item = draw_item(view(), np.random.default_rng(seed))
        shown = set(item["contrast"][item["present"]].tolist())
        assert not {POST, T2_FS} <= shown


def shown(contrasts: list[int], seeds: int = 200) -> list[list[int]]:
    """Return the contrasts of the stacks of each draw."""
    items = [draw_item(view(contrasts), np.random.default_rng(n)) for n in range(seeds)]
    return [item["contrast"][item["present"]].tolist() for item in items]


def test_a_share_of_the_cases_with_agent_shows_edema_by_it_alone():
    kinds = Counter(
        "post" if POST in one else "T2-FS" if T2_FS in one else "none"
        for one in shown(CONTRASTS, 600)
    )
    told = kinds["post"] + kinds["T2-FS"]
    assert kinds["post"] / told == pytest.approx(POST_ALONE, abs=0.06)
    assert kinds["none"] < 0.12 * told


def test_more_stacks_than_fit_keep_one_that_shows_edema():
    plain = [c for c in CONTRASTS if c not in (POST, T2_FS)] * 3
    counts = Counter()
    for one in shown([*plain, T2_FS], 400):
        if len(one) == LARGEST_STACKS:
            counts[T2_FS in one] += 1
    # The T2-FS is one of 13 and left out by chance in 15 %; nine of ten get it back.
    assert counts[True] / counts.total() > 0.95


@pytest.mark.parametrize(
    "contrasts",
    [
        [c for c in CONTRASTS if c != POST],
        [c for c in CONTRASTS if c != T2_FS],
        [c for c in CONTRASTS if c not in (POST, T2_FS)],
        [POST],
        [CONTRASTS[0]],
    ],
)
def test_cases_may_lack_either_contrast_that_shows_edema(contrasts):
    showing = {POST, T2_FS} & set(contrasts)
    drawn = shown(contrasts)
    assert all(1 <= len(one) <= LARGEST_STACKS for one in drawn)
    seen = np.mean([bool(showing & set(one)) for one in drawn])
    assert seen > 0.9 if showing else seen == 0.0


@pytest.mark.parametrize("agent", [True, False])
def test_views_are_acquired_with_and_without_contrast_agent(agent):
    shipped = read_shipped("configs/simulate.toml", SimulateSettings)
    wanted = {
        name: ranges
        for name, ranges in shipped.protocols.items()
        if agent or not ranges.contrast_agent
    }
    joint = FacetJoint(Level.L4_L5, Side.LEFT)
    acquired = acquire_joint(
        toy_scene(edema=1.0),
        joint,
        shipped.model_copy(update={"protocols": wanted}),
        np.random.default_rng(3),
    )
    assert (POST in acquired.contrasts) == agent
    assert len(acquired.stacks) == (8 if agent else 6)
    for seed in range(20):
        assert draw_item(acquired, np.random.default_rng(seed))["present"].any()


def test_truth_is_in_the_pose_of_the_first_stack_shown_that_shows_edema():
    joint = replace(
        view(),
        pose=np.array([0, 0, 1, 1, 2, 3, 3, 3], np.uint8),
        structures=np.arange(4, dtype=np.uint8)[:, None, None, None]
        * np.ones(SHAPE, np.uint8),
        lesions=np.zeros((4, 4, *SHAPE), np.uint8),
    )

    def pose(*chosen: int) -> int:
        return int(joint.seen_by(np.array(chosen)).structures.max())

    # Stacks 2, 4 (T2-FS) and 5 (T1-FS-post) show edema.
    assert pose(3, 4, 2, 1) == 1
    assert pose(4, 0, 1) == 2
    assert pose(5, 3) == 3
    assert pose(3, 1) == 0


def test_the_tone_curve_has_an_exponent_of_the_range():
    ramp = np.linspace(0.0, 1.0, int(np.prod(SHAPE)), dtype=np.float32)
    joint = view()
    joint.stacks[:, 0] = ramp.reshape(SHAPE)
    straight, steep = (
        draw_item(joint, np.random.default_rng(3), render(gamma=(exponent, exponent)))
        for exponent in (1.0, 3.0)
    )

    seen = (straight["stacks"][0, 1] > 0).flatten().numpy()
    # All else that is drawn is the same; only what is neither dark nor bright differs.
    darker = (straight["stacks"] - steep["stacks"])[0, 0].flatten().numpy()
    at = ramp[seen]
    ends = np.isin(at, (0.0, 1.0))
    np.testing.assert_allclose(darker[seen][ends], 0.0, atol=1e-5)
    ratio = darker[seen][~ends] / (at - at**3)[~ends]
    assert ratio.min() > 0.4  # gain and bias leave the difference its sign and size


def test_every_second_stack_is_blurred():
    joint = view()
    joint.stacks[:, 0] = np.indices(SHAPE).sum(axis=0) % 2  # a chessboard

    spread = [
        np.ptp(np.percentile(image[near > 0], (10, 90)))
        for image, near in stacks_seen(joint, render(blur_mm=4.0))
    ]
    sharp = [
        np.ptp(np.percentile(image[near > 0], (10, 90)))
        for image, near in stacks_seen(joint, render())
    ]

    assert min(sharp) > 0.5
    blurred = np.mean(np.array(spread) < 0.5)
    assert 0.4 < blurred < 0.6


def test_blur_leaves_out_what_a_stack_does_not_reach():
    joint = view()
    joint.stacks[:, :, 0] = 0.0  # first row of slices not acquired

    edge = [
        image[1].mean() / image[2:].mean()
        for image, _ in stacks_seen(joint, render(blur_mm=4.0))
        if image[1].any()
    ]

    assert np.mean(edge) == pytest.approx(1.0, abs=0.1)


def stacks_seen(
    joint: ScannedJoint, settings: RenderSettings
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return image and closeness to a slice of the stacks of forty draws."""
    items = [
        draw_item(joint, np.random.default_rng(seed), settings) for seed in range(40)
    ]
    return [
        (image, near)
        for item in items
        for image, near, _ in item["stacks"][item["present"]].numpy()
    ]
