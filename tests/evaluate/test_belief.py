import numpy as np
import pytest

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_config
from facetgrade.evaluate.belief import (
    BeliefScore,
    ReadJoint,
    choose_belief,
    grades_under,
    read_masks,
    score_of,
    write_masks,
)
from facetgrade.evaluate.settings import BeliefChoices
from facetgrade.findings import JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.segment.settings import BeliefSettings
from facetgrade.study import Sequence

KEYS = {"smallest_mm3": [0.0], "least_mean_probability": [0.0]}
SHAPE = (4, 5, 6)


def choices(**thresholds):
    lesions = {name: {"threshold": v, **KEYS} for name, v in thresholds.items()}
    return BeliefChoices(rounds=1, lesions=lesions)


def masks():
    return JointMasks(
        geometry=VolumeGeometry(shape=SHAPE, index_to_lps=np.diag([1.5, 1.0, 1.0, 1])),
        structures=np.arange(120, dtype=np.uint8).reshape(SHAPE) % 13,
        lesions={
            lesion: np.full(SHAPE, 0.125 * k, np.float32)
            for k, lesion in enumerate(Lesion)
        },
        in_view=np.ones(SHAPE, bool),
        sequence=Sequence.T2_FS,
    )


def test_the_best_value_of_every_key_is_kept():
    wanted = {Lesion.EFFUSION: 0.8, Lesion.MARROW_EDEMA: 0.4}

    def score(beliefs):
        right = [
            np.mean([belief[k].threshold == v for k, v in wanted.items()])
            for belief in beliefs
        ]
        return [BeliefScore(exact=float(r), kappa=float(r)) for r in right]

    belief, tried = choose_belief(
        choices(effusion=[0.5, 0.7, 0.8], marrow_edema=[0.5, 0.4]), score
    )

    assert {lesion: one.threshold for lesion, one in belief.items()} == wanted
    assert len(tried) == 1 + 2 + 1


def test_of_equals_the_first_stays():
    belief, _ = choose_belief(
        choices(effusion=[0.5, 0.7]),
        lambda beliefs: [BeliefScore(exact=0.5, kappa=0.5) for _ in beliefs],
    )

    assert belief[Lesion.EFFUSION].threshold == 0.5


def test_score_is_the_mean_of_exact_share_and_kappa():
    found = score_of([0, 0, 2, 2], [0, 1, 2, 2])

    assert found.exact == 0.75
    assert found.total == pytest.approx((0.75 + found.kappa) / 2)


def test_masks_come_back_from_their_file(tmp_path):
    write_masks(masks(), tmp_path / "joint.npz")

    read = read_masks(tmp_path / "joint.npz")

    assert read.sequence is Sequence.T2_FS
    np.testing.assert_array_equal(read.structures, masks().structures)
    np.testing.assert_array_equal(
        read.lesions[Lesion.CYST], masks().lesions[Lesion.CYST]
    )
    np.testing.assert_allclose(read.geometry.spacing_mm, (1.5, 1.0, 1.0))


def test_what_is_not_believed_does_not_grade():
    unsure, sure = [
        {
            lesion: BeliefSettings(
                threshold=0.5, smallest_mm3=0.0, least_mean_probability=least
            )
            for lesion in Lesion
        }
        for least in (0.95, 0.0)
    ]
    edema = masks()
    edema.structures[:] = Structure.SOFT_TISSUE
    edema.structures[1:3, 1:4, 2:4] = Structure.JOINT_SPACE
    for lesion in Lesion:
        edema.lesions[lesion][:] = 0.9 if lesion is Lesion.SOFT_TISSUE_EDEMA else 0.0
    rules = read_config().grade

    graded = [
        grades_under(belief, [ReadJoint(grade=2, masks=(edema,))], rules)[0]
        for belief in (unsure, sure)
    ]

    assert graded[0] == 0
    assert graded[1] >= 2
