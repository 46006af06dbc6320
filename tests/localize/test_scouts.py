import json
from dataclasses import replace

import numpy as np
import pytest

from facetgrade.config import read_config
from facetgrade.config_files import shipped_path
from facetgrade.evaluate.cutting import without_sacrum
from facetgrade.geometry import Volume
from facetgrade.inference import choose_device, load_models
from facetgrade.ingest import read_studies
from facetgrade.localize import locate_joints
from facetgrade.localize.levels import Chain, choose_numbering
from facetgrade.localize.locate import name_chain, name_with_scout
from facetgrade.localize.ranks import HIGHEST_RANK, RANKS
from facetgrade.localize.scouts import align_scout, consult_scout
from facetgrade.scouts import ScoutReading, ScoutVerdict
from tests.localize.test_levels import NAMES, SETTINGS, chain_of, evidence

TOP_MM = 70.0
SAMPLE = shipped_path("data_samples/sim-0001_baseline")


def spine(names, *, first=0, sure=0.9, shift_mm=(0.0, 0.0, 0.0)):
    """Bodies 34 mm apart from number `first` on, each with a vote for its name."""
    votes = np.full((len(names), HIGHEST_RANK), (1.0 - sure) / (HIGHEST_RANK - 1))
    for row, name in zip(votes, names, strict=True):
        row[RANKS[name] - 1] = sure
    heights = TOP_MM - 34.0 * (first + np.arange(len(names)))
    centers = np.stack([np.full_like(heights, 5.0), 0 * heights, heights], axis=1)
    return Chain(
        centers_lps_mm=centers + np.array(shift_mm),
        votes=np.log(votes),
        scores=np.full(len(names), 0.9),
    )


def consult(chain, scout):
    own = choose_numbering(chain, SETTINGS, {})
    return own, consult_scout(chain, own, scout, SETTINGS)


UPPER = spine(("L1", "L2", "L3", "L4"), first=1, sure=0.2)
WHOLE = spine(NAMES, shift_mm=(2.0, -3.0, 4.0))


def without(chain, number):
    """Return a chain that misses one body."""
    return Chain(
        centers_lps_mm=np.delete(chain.centers_lps_mm, number, axis=0),
        votes=np.delete(chain.votes, number, axis=0),
        scores=np.delete(chain.scores, number),
    )


def test_bodies_below_are_counted_from_the_lowest_that_both_show():
    # L4 is the last of four; the scout goes on with L5 and S1
    assert align_scout(UPPER, WHOLE).below == 2
    assert align_scout(WHOLE, UPPER).below == -2


@pytest.mark.parametrize("number", [1, 2])
def test_a_scout_counts_only_below_a_body_that_it_misses(number):
    chain = spine(NAMES[:6], sure=0.2)

    aligned = align_scout(chain, without(WHOLE, number))

    # seven bodies without the missed one and those above it; S1 lies below L5
    assert len(aligned.scout.scores) == 6 - number
    assert (aligned.below, aligned.same_from) == (1, number + 1)


@pytest.mark.parametrize(
    ("number", "verdict"), [(0, ScoutVerdict.DECIDES), (2, ScoutVerdict.UNCLEAR)]
)
def test_a_scout_with_other_lumbar_bodies_decides_nothing(number, verdict):
    # T12 missing in the scout changes no lumbar name, L2 missing in either does
    _, consulted = consult(spine(NAMES[:6], sure=0.2), without(WHOLE, number))

    assert consulted.verdict is verdict
    assert consulted.numbering.decided == (verdict is ScoutVerdict.DECIDES)


def test_a_scout_that_misses_a_low_body_is_not_matched():
    assert align_scout(spine(NAMES[:6]), without(WHOLE, 4)) is None


def test_a_scout_that_shows_the_sacrum_decides_what_others_cannot():
    own, consulted = consult(UPPER, WHOLE)

    assert not own.decided
    assert consulted.verdict is ScoutVerdict.DECIDES
    assert consulted.numbering.names == ("L1", "L2", "L3", "L4")
    assert consulted.numbering.decided
    assert consulted.numbering.probability > max(own.probability, 0.95)


def test_a_scout_without_the_sacrum_decides_nothing():
    _, consulted = consult(UPPER, spine(NAMES[:-1]))

    assert consulted.verdict is ScoutVerdict.UNCLEAR
    assert not consulted.numbering.decided


def test_a_scout_that_agrees_changes_nothing():
    own, consulted = consult(spine(NAMES), WHOLE)

    assert consulted.verdict is ScoutVerdict.AGREES
    assert consulted.numbering is own


@pytest.mark.parametrize("count", [4, 6])
def test_a_contradiction_is_flagged_and_both_names_are_told(count):
    # The series call body 5 L5 (or end at L3), the scout calls it L4.
    chain = spine(NAMES[:count])
    scout = spine(("T11", *NAMES))

    _, consulted = consult(chain, scout)

    assert consulted.verdict is ScoutVerdict.DISAGREES
    assert not consulted.numbering.decided
    assert f"is {NAMES[count - 1]} by these series" in consulted.note
    assert f"and {('T11', *NAMES)[count - 1]} by the scout" in consulted.note


def test_a_decided_numbering_is_not_overruled_silently():
    own, consulted = consult(spine(NAMES), spine(("T11", *NAMES)))

    assert own.decided
    assert consulted.verdict is ScoutVerdict.DISAGREES
    assert not consulted.numbering.decided


def test_an_unsure_scout_leaves_a_decided_numbering_alone():
    own, consulted = consult(spine(NAMES), spine(("T11", *NAMES), sure=0.15))

    assert consulted.verdict is ScoutVerdict.UNCLEAR
    assert consulted.numbering is own


@pytest.mark.parametrize(
    "scout",
    [
        spine(()),
        spine(NAMES, shift_mm=(0.0, 0.0, 17.0)),  # halfway between two bodies
        spine(NAMES, shift_mm=(0.0, 0.0, 23.0)),  # nearer to the next bodies
        spine(NAMES, shift_mm=(0.0, 9.0, 0.0)),
        spine(("L1",), first=1),
    ],
)
def test_a_scout_of_other_bodies_is_not_used(scout):
    own, consulted = consult(UPPER, scout)

    assert consulted.verdict is ScoutVerdict.NOT_MATCHED
    assert consulted.numbering is own


def test_a_scout_moves_no_body_and_no_joint():
    seen = evidence(dict(enumerate(NAMES[:4])))
    chain = chain_of(seen)
    alone = name_chain(chain, seen, SETTINGS, {})

    found = name_with_scout(chain, seen, SETTINGS, scout=WHOLE, scout_uids=("s",))

    assert found.scout == ScoutReading(("s",), ScoutVerdict.DECIDES)
    for one, other in zip(alone.joints, found.joints, strict=True):
        np.testing.assert_array_equal(
            one.frame.center_lps_mm, other.frame.center_lps_mm
        )
    for one, other in zip(alone.vertebrae, found.vertebrae, strict=True):
        np.testing.assert_array_equal(one.center_lps_mm, other.center_lps_mm)


def every_third_slice(series):
    """Make a scout of a series."""
    (stack,) = series.stacks
    grid = stack.volume.geometry
    first = grid.shape[0] // 2 % 3
    step = np.diag([3.0, 1.0, 1.0, 1.0])
    step[0, 3] = first
    voxels = stack.volume.voxels[first::3]
    coarse = replace(grid, shape=voxels.shape, index_to_lps=grid.index_to_lps @ step)
    volume = Volume(geometry=coarse, voxels=voxels)
    return replace(series, stacks=(replace(stack, volume=volume),))


@pytest.fixture(scope="module")
def sample():
    """A shipped study cut above the sacrum, with slices of the whole T2 as scout."""
    (study,) = read_studies(SAMPLE / "dicom")
    truth = json.loads((SAMPLE / "truth" / "truth.json").read_text(encoding="utf-8"))
    bodies = {one["name"]: np.array(one["center_lps_mm"]) for one in truth["vertebrae"]}
    whole = next(one for one in study.series if one.description == "t2_tse_sag")
    return replace(without_sacrum(study, bodies), scouts=(every_third_slice(whole),))


@pytest.fixture(scope="module")
def locate():
    """Locate with the shipped network."""
    config = read_config()
    models = load_models(config, choose_device("cpu"))

    def run(study, anchors=None):
        return locate_joints(study, models.localizer, config.localize, anchors)

    return run


@pytest.fixture(scope="module")
def without_scout(sample, locate):
    return locate(replace(sample, scouts=()))


def test_the_shipped_localizer_reads_a_scout_below_cut_series(
    sample, locate, without_scout
):
    found = locate(sample)

    assert without_scout.level_assumed
    assert without_scout.scout is None
    assert not found.level_assumed
    assert found.scout == ScoutReading((sample.scouts[0].uid,), ScoutVerdict.DECIDES)
    assert found.vertebrae[-1].name == "L5"
    assert found.numbering_probability > without_scout.numbering_probability
    for one, other in zip(without_scout.joints, found.joints, strict=True):
        np.testing.assert_array_equal(
            one.frame.center_lps_mm, other.frame.center_lps_mm
        )


def test_an_anchor_goes_before_a_scout(sample, locate, without_scout):
    lowest = without_scout.vertebrae[-1].center_lps_mm

    found = locate(sample, {"L4": tuple(lowest)})

    assert found.scout is None
    assert not found.level_assumed
    assert found.vertebrae[-1].name == "L4"


SHIPPED = read_config().localize


def test_a_scout_that_shows_the_same_sacrum_again_decides_nothing():
    unsure = spine(NAMES, sure=0.9)
    own = choose_numbering(unsure, SHIPPED, {})
    assert not own.decided
    assert own.sacrum_vote >= SHIPPED.min_sacrum_vote

    consulted = consult_scout(unsure, own, unsure, SHIPPED)

    assert consulted.verdict is ScoutVerdict.UNCLEAR
    assert consulted.numbering is own


def test_a_scout_that_settles_nothing_renames_nothing():
    own, consulted = consult(UPPER, spine(NAMES[:-1], sure=0.6))

    assert consulted.verdict is ScoutVerdict.UNCLEAR
    assert consulted.numbering is own


def test_a_scout_with_hardly_any_votes_does_not_agree():
    _, consulted = consult(spine(NAMES), spine(NAMES, sure=0.12))

    assert consulted.verdict is ScoutVerdict.UNCLEAR
