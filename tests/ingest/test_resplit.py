import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from facetgrade.ingest import shipped_settings
from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.dicom import classic_frame
from facetgrade.ingest.resplit import group_into_series
from facetgrade.ingest.stacking import build_stacks
from tests.ingest.builders import AXIAL, image_dataset, uid

STACKS = shipped_settings().stacks


def frame(z, series, *, value=None, **elements):
    pixels = np.full((4, 6), z if value is None else value, np.uint16)
    dataset = image_dataset(
        pixels, (0, 0, z), axes=AXIAL, series=series, SeriesDescription="T2", **elements
    )
    made = classic_frame(dataset, SourceFile(f"{series}{z}"))
    made.stored = pixels
    return made


def sizes(frames):
    groups, notes = group_into_series(frames, STACKS)
    return sorted(len(group) for group in groups), notes


@hypothesis_settings(max_examples=30, deadline=None)
@given(first=st.sets(st.integers(0, 9), min_size=3, max_size=7))
def test_any_split_over_two_uids_is_undone(first):
    frames = [frame(4 * k, "a" if k in first else "b") for k in range(10)]

    groups, notes = group_into_series(frames, STACKS)

    assert [len(group) for group in groups] == [10]
    assert len({one.series_uid for one in groups[0]}) == 1
    assert "was read as a part of series" in notes[0]
    ((stack,), _) = build_stacks(groups[0], STACKS)
    assert [int(one.stored[0, 0]) for one in stack.frames] == list(range(0, 40, 4))


def test_three_parts_are_joined():
    frames = [frame(4 * k, "abc"[k % 3]) for k in range(12)]

    assert sizes(frames)[0] == [12]


def test_different_images_at_the_same_positions_stay_apart():
    frames = [frame(4 * k, "a") for k in range(5)]
    frames += [frame(4 * k, "b", value=100 + k) for k in range(5)]

    assert sizes(frames) == ([5, 5], [])


def test_copy_of_a_series_under_another_uid_is_joined():
    frames = [frame(4 * k, series) for series in "ab" for k in range(5)]

    assert sizes(frames)[0] == [10]
    ((stack,), notes) = build_stacks(frames, STACKS)
    assert len(stack.frames) == 5
    assert notes == ["5 duplicate slices were dropped"]


@pytest.mark.parametrize(
    "elements",
    [
        {"RepetitionTime": 500.0},
        {"EchoTime": 90.0},
        {"ContrastBolusAgent": "gadolinium"},
        {"ImageType": ["ORIGINAL", "PRIMARY", "M", "W"]},
        {"PixelSpacing": [0.4, 0.4]},
    ],
)
def test_interleaving_series_of_another_contrast_stay_apart(elements):
    frames = [frame(8 * k, "a") for k in range(5)]
    frames += [frame(8 * k + 4, "b", **elements) for k in range(5)]

    assert sizes(frames)[0] == [5, 5]


def test_series_far_from_each_other_keep_their_uids():
    frames = [frame(4 * k, "a") for k in range(4)]
    frames += [frame(4 * k + 100, "b") for k in range(4)]

    groups, notes = group_into_series(frames, STACKS)

    assert {group[0].series_uid for group in groups} == {uid("a"), uid("b")}
    assert notes == []
