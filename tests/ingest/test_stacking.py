import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from facetgrade.ingest import shipped_settings
from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.assemble import build_stack
from facetgrade.ingest.dicom import classic_frame
from facetgrade.ingest.stacking import build_stacks, positive_normal
from tests.ingest.builders import AXIAL, SAGITTAL, image_dataset

STACKS = shipped_settings().stacks
NORMAL = np.cross(*SAGITTAL)  # (-1, 0, 0): position decides, not the normal's sign
TILTED = ((1.0, 0.0, 0.0), (0.0, np.cos(0.3), np.sin(0.3)))


def frame(value, position, *, axes=AXIAL, **elements):
    pixels = np.full((4, 6), value, np.uint16)
    dataset = image_dataset(pixels, position, axes=axes, **elements)
    made = classic_frame(dataset, SourceFile(f"{value}.dcm"))
    made.stored = pixels
    return made


def axial(heights_mm, first_value=0, **elements):
    return [
        frame(first_value + k, (3.0, 4.0, z), **elements)
        for k, z in enumerate(heights_mm)
    ]


def stacks_of(frames):
    return build_stacks(frames, STACKS)


def slice_values(stack):
    return [int(one.stored[0, 0]) for one in stack.frames]


@pytest.mark.parametrize(
    ("normal", "positive"),
    [((-1, 0, 0), (1, 0, 0)), ((0, 0.3, -0.9), (0, -0.3, 0.9)), ((0, 1, 0), (0, 1, 0))],
)
def test_normal_points_along_its_largest_component(normal, positive):
    assert positive_normal(np.array(normal, float)).tolist() == list(positive)


def test_order_is_by_position_not_by_number_or_name():
    frames = axial([8.0, 0.0, 4.0], InstanceNumber=1)

    ((stack,), _) = stacks_of(frames)

    assert slice_values(stack) == [1, 2, 0]
    assert stack.origin_lps_mm == pytest.approx([3.0, 4.0, 0.0])
    assert stack.step_lps_mm == pytest.approx([0.0, 0.0, 4.0])


@hypothesis_settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)), downward=st.booleans())
def test_any_order_of_files_gives_the_same_volume(order, downward):
    heights = [5.0 + 4.4 * k for k in range(6)]
    frames = axial(heights[::-1] if downward else heights)
    expected = list(range(6))[::-1] if downward else list(range(6))

    ((stack,), _) = stacks_of([frames[k] for k in order])
    volume = build_stack(stack, stack.frames[0])[0].volume

    assert volume.voxels[:, 0, 0].tolist() == expected
    assert volume.geometry.to_lps([0, 0, 0]) == pytest.approx([3.0, 4.0, 5.0])


def test_oblique_slices_are_ordered_along_their_normal():
    normal = np.cross(*TILTED)
    frames = [frame(k, k * 4.0 * normal, axes=TILTED) for k in (2, 0, 1)]

    ((stack,), _) = stacks_of(frames)

    assert slice_values(stack) == [0, 1, 2]
    assert stack.step_lps_mm == pytest.approx(4.0 * normal)


def test_blocks_of_different_angle_become_stacks():
    blocks = axial([0, 4, 8]) + [
        frame(10 + k, np.array([0, 0, 30.0]) + 4.0 * k * np.cross(*TILTED), axes=TILTED)
        for k in range(4)
    ]

    stacks, _ = stacks_of(blocks[::-1])

    assert sorted(len(stack.frames) for stack in stacks) == [3, 4]


def test_parallel_blocks_are_split_at_the_gap():
    stacks, _ = stacks_of(axial([0, 4, 8, 30, 34, 38, 42]))

    assert [len(stack.frames) for stack in stacks] == [3, 4]


def test_parallel_blocks_beside_each_other_are_split():
    lower = [frame(k, (0, 0.0, 4.0 * k)) for k in range(3)]
    upper = [frame(5 + k, (0, 12.0, 12.0 + 4.0 * k)) for k in range(3)]

    stacks, _ = stacks_of(upper + lower)

    assert [slice_values(stack) for stack in stacks] == [[0, 1, 2], [5, 6, 7]]


def test_matrix_and_pixel_spacing_tell_stacks_apart():
    fine = [frame(k, (0, 0, 4.0 * k), PixelSpacing=[0.5, 0.5]) for k in range(3)]

    stacks, _ = stacks_of(axial([0, 4, 8]) + fine)

    assert [len(stack.frames) for stack in stacks] == [3, 3]


def test_echoes_are_told_apart_by_echo_time():
    first = axial([0, 4, 8], EchoTime=20.0)
    second = axial([0, 4, 8], first_value=10, EchoTime=90.0)

    stacks, _ = stacks_of([x for pair in zip(first, second, strict=True) for x in pair])

    assert [slice_values(stack) for stack in stacks] == [[0, 1, 2], [10, 11, 12]]
    assert stacks[0].kind != stacks[1].kind


def test_dixon_parts_are_told_apart_by_image_type():
    water = axial([0, 4, 8], ImageType=["DERIVED", "PRIMARY", "W"])
    fat = axial([0, 4, 8], first_value=10, ImageType=["DERIVED", "PRIMARY", "F"])

    stacks, _ = stacks_of(water + fat)

    assert [slice_values(stack) for stack in stacks] == [[0, 1, 2], [10, 11, 12]]


def test_series_under_one_uid_are_told_apart_by_description():
    t1 = axial([0, 4, 8], SeriesDescription="T1")
    t2 = axial([0, 4, 8], first_value=10, SeriesDescription="T2")

    stacks, _ = stacks_of([t1[0], t2[1], t2[0], t1[2], t1[1], t2[2]])

    assert [slice_values(stack) for stack in stacks] == [[0, 1, 2], [10, 11, 12]]


def test_repeats_without_any_tag_are_told_apart_by_number():
    # the scanner numbered all slices of a repeat before the next repeat
    frames = [
        frame(10 * repeat + k, (0, 0, 4.0 * k), number=3 * repeat + k)
        for repeat in range(2)
        for k in range(3)
    ]

    stacks, notes = stacks_of(frames[::-1])

    assert [slice_values(stack) for stack in stacks] == [[0, 1, 2], [10, 11, 12]]
    assert notes == ["2 images lie at the same positions and were told apart"]


def test_repeats_are_told_apart_by_temporal_position():
    frames = [
        frame(10 * t + k, (0, 0, 4.0 * k), number=9 - t, TemporalPositionIdentifier=t)
        for t in (1, 2)
        for k in range(3)
    ]

    stacks, _ = stacks_of(frames)

    assert [slice_values(stack) for stack in stacks] == [[10, 11, 12], [20, 21, 22]]


def test_exact_copies_are_dropped():
    ((stack,), notes) = stacks_of(axial([0, 4, 8]) + axial([0, 4, 8]))

    assert slice_values(stack) == [0, 1, 2]
    assert notes == ["3 duplicate slices were dropped"]


def test_slice_acquired_again_replaces_the_first():
    again = frame(50, (3.0, 4.0, 4.0), number=99)

    ((stack,), notes) = stacks_of([again, *axial([0, 4, 8, 12])])

    assert slice_values(stack) == [0, 50, 2, 3]
    assert notes == ["1 slices were acquired again; the later ones are used"]


def test_single_missing_slice_is_interpolated_and_recorded():
    frames = axial([0, 4, 8, 12, 16])
    del frames[2]

    ((stack,), _) = stacks_of(frames)
    built, notes = build_stack(stack, stack.frames[0])

    assert built.volume.voxels[:, 0, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert built.missing_slices == (2,)
    assert len(built.instance_uids) == 5
    assert notes == ["slice 3 of 5 is missing and was interpolated"]


def test_two_slices_missing_together_end_the_stack():
    stacks, _ = stacks_of(axial([0, 4, 8, 20, 24, 28]))

    assert [len(stack.frames) for stack in stacks] == [3, 3]


def test_two_slices_missing_near_the_end_are_interpolated():
    ((stack,), _) = stacks_of(axial([0, 4, 16, 20, 24, 28, 32, 36, 40, 44]))

    assert stack.missing == (2, 3)


def test_a_lone_slice_far_away_is_no_part_of_the_stack():
    stacks, _ = stacks_of(axial([0, 16, 20, 24, 28]))

    assert [len(stack.frames) for stack in stacks] == [1, 4]


def test_small_irregularities_do_not_add_up():
    heights = np.cumsum([4.0, 4.3] * 10)  # deviation 0.15 of 4.15, drift 0

    ((stack,), _) = stacks_of(axial(heights))

    assert stack.is_even
    assert stack.missing == ()
    assert stack.notes == ()


def test_uneven_slices_are_resampled_and_reported():
    # gaps 4, 4, 6, 4: index 0, 1, 2, 3.5, 4.5 in units of 4 mm
    ((stack,), _) = stacks_of(axial([0, 4, 8, 14, 18]))
    built, notes = build_stack(stack, stack.frames[0])

    # index 3 lies two thirds of the way from value 2 (index 2) to value 3 (3.5)
    assert built.volume.voxels[:4, 0, 0] == pytest.approx([0.0, 1.0, 2.0, 8 / 3])
    assert built.volume.geometry.spacing_mm[0] == pytest.approx(4.0)
    assert "slice gaps range from 4.00 to 6.00 mm" in notes[0]


@hypothesis_settings(max_examples=20, deadline=None)
@given(flip_rows=st.booleans(), flip_columns=st.booleans(), mirror=st.booleans())
def test_flips_of_header_and_pixels_keep_values_in_patient_space(
    flip_rows, flip_columns, mirror
):
    reference = _wedge(flip_rows=False, flip_columns=False, mirror=False)
    other = _wedge(flip_rows=flip_rows, flip_columns=flip_columns, mirror=mirror)

    points = reference.geometry.voxel_centers_lps_mm()
    index = np.rint(other.geometry.to_index(points)).astype(int)

    found = other.voxels[tuple(np.moveaxis(index, -1, 0))]
    np.testing.assert_array_equal(found, reference.voxels)


def _wedge(*, flip_rows, flip_columns, mirror):
    """Build one oblique volume whose storage is flipped but whose place is not."""
    slices, rows, columns = np.meshgrid(range(3), range(4), range(6), indexing="ij")
    values = (100 * slices + 10 * rows + columns).astype(np.uint16)
    row_axis, column_axis = np.array(TILTED[0]), np.array(TILTED[1])
    normal = np.cross(row_axis, column_axis)
    origin = np.array([1.0, 2.0, 3.0])
    if flip_columns:
        values = values[:, :, ::-1]
        origin = origin + row_axis * 0.8 * 5
        row_axis = -row_axis
    if flip_rows:
        values = values[:, ::-1]
        origin = origin + column_axis * 0.5 * 3
        column_axis = -column_axis
    frames = []
    for k in range(3):
        dataset = image_dataset(
            np.ascontiguousarray(values[k]),
            origin + 4.0 * k * normal,
            axes=(row_axis, column_axis),
        )
        made = classic_frame(dataset, SourceFile(f"{k}"))
        made.stored = values[k]
        frames.append(made)
    ((stack,), _) = stacks_of(frames[::-1] if mirror else frames)
    return build_stack(stack, stack.frames[0])[0].volume
