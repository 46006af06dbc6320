import numpy as np
import pytest

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.evaluate.belief import (
    BeliefScore,
    MeasuredJoint,
    ReadJoint,
    choose_belief,
    choose_edema_probability,
    measure_under,
    read_masks,
    read_outlines,
    score_of,
    write_masks,
    write_outlines,
)
from facetgrade.evaluate.settings import CalibrateSettings, ReadingChoices
from facetgrade.findings import JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.segment.settings import BeliefSettings
from facetgrade.study import Sequence
from tests.grade.conftest import build_extents

KEYS = {"smallest_mm3": [0.0], "least_mean_probability": [0.0]}
SHAPE = (4, 5, 6)


def choices(**thresholds):
    lesions = {name: {"threshold": v, **KEYS} for name, v in thresholds.items()}
    return ReadingChoices(
        rounds=1, least_gain=0.001, lesions=lesions, edema_probability=[0.2, 0.3, 0.5]
    )


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
        return [BeliefScore(exact=float(r), kappa=0.0, dice=0.0) for r in right]

    belief, tried = choose_belief(
        choices(effusion=[0.5, 0.7, 0.8], marrow_edema=[0.5, 0.4]), score
    )

    assert {lesion: one.threshold for lesion, one in belief.items()} == wanted
    assert len(tried) == 1 + 2 + 1


@pytest.mark.parametrize(
    ("exact", "best"),
    [
        ({0.2: 0.5, 0.3: 0.7, 0.5: 0.6}, 0.3),
        ({0.2: 0.6, 0.3: 0.6, 0.5: 0.602}, 0.2),
    ],
)
def test_edema_probability_that_scores_clearly_best_is_kept(exact, best):
    chosen, tried = choose_edema_probability(
        choices(), lambda value: BeliefScore(exact=exact[value], kappa=0.5, dice=0.5)
    )

    assert chosen == best
    assert [value for value, _ in tried] == [0.2, 0.3, 0.5]


def test_of_equals_the_first_stays():
    belief, _ = choose_belief(
        choices(effusion=[0.5, 0.7]),
        lambda beliefs: [BeliefScore(exact=0.5, kappa=0.5, dice=0.5)] * len(beliefs),
    )

    assert belief[Lesion.EFFUSION].threshold == 0.5


def test_a_gain_below_the_least_one_changes_nothing():
    def score(beliefs):
        gains = [0.002 * (b[Lesion.EFFUSION].threshold - 0.5) for b in beliefs]
        return [BeliefScore(exact=0.5 + gain, kappa=0.5, dice=0.5) for gain in gains]

    belief, _ = choose_belief(choices(effusion=[0.5, 0.9]), score)

    assert belief[Lesion.EFFUSION].threshold == 0.5


def test_score_is_the_mean_of_exact_share_kappa_and_dice():
    assert BeliefScore(exact=0.75, kappa=0.5, dice=0.4).total == pytest.approx(0.55)


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
    outlines = {"edema": edema.lesions[Lesion.SOFT_TISSUE_EDEMA] > 0.5}
    joint = ReadJoint(
        grade=2,
        measures={"effusion_width_mm": 0.0, "perimeter_fraction": 0.4},
        masks=(edema,),
        outlines=(outlines,),
    )

    unbelieved, believed = [
        measure_under(belief, [joint], rules) for belief in (unsure, sure)
    ]

    assert unbelieved[0].contrasts[0][1].soft_tissue_edema_mm3.value == 0.0
    assert score_of(unbelieved, rules).dice == 0.0
    assert believed[0].contrasts[0][1].soft_tissue_edema_mm3.value > 100.0
    assert score_of(believed, rules).dice == 1.0


def test_outlines_come_back_from_their_file(tmp_path):
    for outlines in ({}, {"edema": np.arange(120).reshape(SHAPE) % 7 == 0}):
        write_outlines(outlines, tmp_path / "truth.npz")

        read = read_outlines(tmp_path / "truth.npz")
        assert list(read) == list(outlines)
        for name, outline in outlines.items():
            np.testing.assert_array_equal(read[name], outline)


def test_grades_are_judged_after_the_correction():
    """Widths of 1.2 mm that are 0.7 mm in truth: no grade 1 once corrected."""
    rules = read_config().grade
    start = read_settings(shipped_path("configs/calibrate.toml"), CalibrateSettings)
    rules = rules.model_copy(update={"confidence": start.start.confidence})
    measured = [
        MeasuredJoint(
            grade=grade,
            measures={"effusion_width_mm": true, "perimeter_fraction": 0.0},
            contrasts=(
                (Sequence.T2_FS, build_extents(effusion_width_mm=width), (0.5,)),
            ),
        )
        for grade, true, width in [(0, 0.7, 1.2), (1, 2.0, 2.0)] * 20
    ]

    found = score_of(measured, rules)

    assert found.exact == 1.0
    assert found.dice == pytest.approx(0.5)
