from dataclasses import replace

import numpy as np
import pytest

from facetgrade.segment.patches import contrast_index
from facetgrade.study import Sequence
from facetgrade.train.joint_views import ScannedJoint
from facetgrade.train.segmenter_cases import LARGEST_STACKS, draw_item
from facetgrade.train.settings import RenderSettings

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
    )
]


def view() -> ScannedJoint:
    """Six stacks that see the whole joint."""
    return ScannedJoint(
        stacks=np.ones((6, 3, *SHAPE), np.float16),
        contrasts=np.array(CONTRASTS, np.uint8),
        pose=np.zeros(6, np.uint8),
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
    post, fat_suppressed = CONTRASTS[5], CONTRASTS[2]
    for seed in range(60):
        item = draw_item(view(), np.random.default_rng(seed))
        shown = set(item["contrast"][item["present"]].tolist())
        assert not {post, fat_suppressed} <= shown


def test_truth_is_in_the_pose_of_the_first_stack_shown_that_shows_edema():
    joint = replace(
        view(),
        pose=np.array([0, 0, 1, 1, 2, 3], np.uint8),
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

    assert np.mean(edge) == pytest.approx(1.0, abs=0.05)


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
