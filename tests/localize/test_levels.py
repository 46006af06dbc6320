from dataclasses import replace

import numpy as np
import pytest

from facetgrade.anatomy import Level, Side
from facetgrade.geometry import VolumeGeometry
from facetgrade.localize.canonical import AXES
from facetgrade.localize.heatmaps import Evidence, Peak, find_peaks
from facetgrade.localize.joints import find_joints, joint_frame
from facetgrade.localize.levels import choose_chain, choose_numbering
from facetgrade.localize.locate import name_chain
from facetgrade.localize.ranks import CLASSES, RANKS, name_of
from facetgrade.localize.settings import LocalizeSettings

SETTINGS = LocalizeSettings(
    weights="none",
    min_body_score=0.1,
    min_joint_score=0.1,
    min_numbering_probability=0.8,
    min_sacrum_vote=0.3,
    scout_weight=0.5,
    vote_temperature=1.0,
    usual_distance_mm=(20.0, 50.0, 50.0),
)
GRID = VolumeGeometry.centered(
    center_lps_mm=[5.0, 20.0, -40.0],
    axes=AXES,
    spacing_mm=[4.0, 4.0, 4.0],
    shape=(24, 80, 48),
)
NAMES = ("T12", "L1", "L2", "L3", "L4", "L5", "S1")
BODIES = np.array([[5.0, 0.0, 70.0 - 34.0 * k] for k in range(len(NAMES))])


def blob(grid: VolumeGeometry, point, score: float = 0.9) -> np.ndarray:
    offset = grid.voxel_centers_lps_mm() - point
    return score * np.exp(-(offset**2).sum(-1) / (2 * 5.0**2)).astype(np.float32)


def evidence(votes: dict[int, str], joints: bool = True) -> Evidence:
    """Bodies 34 mm apart; `votes` names the class voted for at each body."""
    body = np.max([blob(GRID, point) for point in BODIES], axis=0)
    ranks = np.zeros((CLASSES, *GRID.shape), np.float32)
    for number, name in votes.items():
        near = blob(GRID, BODIES[number]) > 0.3
        ranks[RANKS[name]][near] = 3.0
    sides = {}
    for side in Side:
        points = (
            [p + np.array([15.0 * side.sign, 29, -17]) for p in BODIES[:-1]]
            if joints
            else []
        )
        maps = [blob(GRID, point, 0.8) for point in points]
        sides[side] = np.max(maps, axis=0) if maps else np.zeros(GRID.shape, np.float32)
    return Evidence(
        grid=GRID,
        body=body,
        left=sides[Side.LEFT],
        right=sides[Side.RIGHT],
        rank_logits=ranks,
        seen=np.ones(GRID.shape, bool),
    )


def chain_of(seen: Evidence):
    return choose_chain(find_peaks(seen.body, GRID, min_score=0.1), seen)


def test_names_follow_the_votes():
    seen = evidence(dict(enumerate(NAMES)))

    numbering = choose_numbering(chain_of(seen), SETTINGS, {})

    assert numbering.names == NAMES
    assert numbering.decided


def test_one_wrong_vote_does_not_shift_a_level():
    votes = dict(enumerate(NAMES)) | {5: "L4"}

    numbering = choose_numbering(chain_of(evidence(votes)), SETTINGS, {})

    assert numbering.names == NAMES


def test_without_a_sacral_vote_the_numbering_is_assumed():
    shifted = {k: name_of(RANKS[name] + 3) for k, name in enumerate(NAMES[:4])}
    votes = {k: name for k, name in shifted.items() if name in RANKS}

    numbering = choose_numbering(chain_of(evidence(votes)), SETTINGS, {})

    assert not numbering.decided


def test_an_anchor_decides_against_the_votes():
    seen = evidence(dict(enumerate(NAMES)))

    numbering = choose_numbering(chain_of(seen), SETTINGS, {"L4": BODIES[5] + 3.0})

    assert numbering.names[5] == "L4"
    assert numbering.names[6] == "L5"
    assert numbering.decided


@pytest.mark.parametrize(
    "anchors",
    [
        {"L4": np.array([5.0, 0.0, 110.0])},  # 40 mm above the uppermost body
        {"L4": BODIES[4], "L5": BODIES[4] + 3.0},
        {"L4": BODIES[4], "L5": BODIES[3]},
    ],
)
def test_anchors_that_fit_no_numbering_decide_nothing(anchors):
    seen = evidence(dict(enumerate(NAMES)))

    numbering = choose_numbering(chain_of(seen), SETTINGS, anchors)

    assert numbering.names == NAMES
    assert not numbering.decided


def test_an_anchor_that_is_not_used_is_noted():
    seen = evidence(dict(enumerate(NAMES)))

    found = name_chain(chain_of(seen), seen, SETTINGS, {"L4": (500.0, 0.0, 0.0)})

    assert found.level_assumed
    assert found.notes[0].startswith("The anchor of L4 was not used")


def test_a_missed_body_is_filled_in():
    seen = evidence(dict(enumerate(NAMES)))
    peaks = [Peak(tuple(p), 0.9) for k, p in enumerate(BODIES) if k != 3]

    chain = choose_chain(peaks, seen)

    assert len(chain.scores) == len(NAMES)
    np.testing.assert_allclose(chain.centers_lps_mm[3], BODIES[3])
    assert chain.scores[3] == 0


def test_a_false_body_beside_the_spine_is_left_out():
    seen = evidence(dict(enumerate(NAMES)))
    peaks = [Peak(tuple(p), 0.9) for p in BODIES] + [Peak((45.0, 30.0, 10.0), 0.5)]

    assert len(choose_chain(peaks, seen).scores) == len(NAMES)


def test_joints_get_level_side_and_place():
    seen = evidence(dict(enumerate(NAMES)))
    chain = chain_of(seen)

    joints = find_joints(chain, choose_numbering(chain, SETTINGS, {}), seen, SETTINGS)

    found = {(j.level, j.side): j.frame.center_lps_mm for j in joints}
    # L4 is body 4: 5 + 15, 0 + 29, 70 - 4 * 34 - 17
    left = found[Level.L4_L5, Side.LEFT]
    np.testing.assert_allclose(left, [20.0, 29.0, -83.0], atol=0.8)
    right = found[Level.L4_L5, Side.RIGHT]
    np.testing.assert_allclose(right, [-10.0, 29.0, -83.0], atol=0.8)


def test_steps_without_a_facet_peak_have_no_joint():
    seen = evidence(dict(enumerate(NAMES)), joints=False)
    chain = chain_of(seen)

    assert (
        find_joints(chain, choose_numbering(chain, SETTINGS, {}), seen, SETTINGS) == ()
    )


@pytest.mark.parametrize(
    ("beside_mm", "right_score", "sides"),
    [
        (10.0, 0.6, [Side.LEFT, Side.RIGHT]),
        (10.0, 0.3, [Side.LEFT]),  # 20 mm apart and weak: an echo of a slab's edge
        (7.0, 0.6, []),  # 14 mm apart: neither can be believed
        (15.0, 0.3, [Side.LEFT, Side.RIGHT]),
    ],
)
def test_joints_too_near_to_each_other_are_left_out(beside_mm, right_score, sides):
    seen = evidence(dict(enumerate(NAMES)))
    chain = chain_of(seen)
    joints = {
        side: blob(GRID, BODIES[4] + [beside_mm * side.sign, 29, -17], score)
        for side, score in ((Side.LEFT, 0.8), (Side.RIGHT, right_score))
    }
    seen = replace(seen, left=joints[Side.LEFT], right=joints[Side.RIGHT])

    found = find_joints(chain, choose_numbering(chain, SETTINGS, {}), seen, SETTINGS)

    assert [joint.side for joint in found] == sides


@pytest.mark.parametrize("side", list(Side))
def test_joint_axes_point_to_the_head_the_back_and_outward(side):
    frame = joint_frame(np.zeros(3), np.array([0.0, 0.0, 1.0]), side)

    np.testing.assert_allclose(frame.posterior, [0, 1, 0])
    np.testing.assert_allclose(frame.lateral, [side.sign, 0, 0])


def test_peak_position_is_finer_than_the_grid():
    point = GRID.to_lps([10, 30, 20]) + np.array([1.2, -0.8, 0.5])

    peaks = find_peaks(blob(GRID, point), GRID, min_score=0.5)

    np.testing.assert_allclose(peaks[0].lps_mm, point, atol=0.6)
