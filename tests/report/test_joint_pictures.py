import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from facetgrade.anatomy import Level, Side
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.report.figures import (
    Region,
    choose_cuts,
    display_window,
    joint_pictures,
    joint_regions,
    outline_path,
)
from facetgrade.report.overview import draw_overview
from facetgrade.report.perimeter_map import draw_perimeter
from facetgrade.report.planes import (
    direction_letters,
    native_cut,
    reformatted_cut,
    sample_image,
)
from facetgrade.study import Plane, Sequence, Series, Stack

SIZE = {"size_mm": 60.0, "pixel_mm": 0.5}
UP = np.array([0.0, 0.0, 1.0])


def series_of(geometry, voxels):
    volume = Volume(geometry=geometry, voxels=voxels.astype(np.float32))
    return Series(
        uid="1",
        description="",
        sequence=Sequence.T2_FS,
        plane=Plane.AXIAL,
        stacks=(Stack(volume=volume),),
    )


def brightest_mm(cut):
    """Place of the brightest pixel, mm down and right of the middle."""
    image = sample_image(cut)
    row, column = np.unravel_index(np.argmax(image), image.shape)
    middle = (np.array(image.shape) - 1) / 2
    return ((np.array([row, column]) - middle) * cut.grid.spacing_mm[1:]).tolist()


def points_of(path):
    return np.array(
        [[float(v) for v in pair] for pair in re.findall(r"([\d.]+),([\d.]+)", path)]
    )


@pytest.mark.parametrize(
    ("direction", "letters"),
    [
        ((1.0, 0.0, 0.0), "L"),
        ((-1.0, 0.0, 0.0), "R"),
        ((0.0, 1.0, 0.0), "P"),
        ((0.0, 0.0, -1.0), "F"),
        ((0.0, -0.87, 0.5), "AH"),
    ],
)
def test_directions_are_named_as_viewers_do(direction, letters):
    assert direction_letters(np.array(direction)) == letters


@pytest.mark.parametrize(
    "axes",
    [
        ((0, 0, 1), (0, 1, 0), (1, 0, 0)),
        ((0, 0, -1), (0, 1, 0), (-1, 0, 0)),
        ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    ],
)
def test_axial_slices_are_shown_from_below_however_they_are_stored(axes):
    geometry = VolumeGeometry.centered(
        center_lps_mm=(5.0, 6.0, 7.0),
        axes=axes,
        spacing_mm=(3.0, 1.0, 1.0),
        shape=(5, 61, 61),
    )
    voxels = np.zeros(geometry.shape)
    # 10 mm to the patient's left and 4 mm behind the middle
    bright = np.rint(geometry.to_index((15.0, 10.0, 7.0))).astype(int)
    voxels[tuple(bright)] = 100.0
    series = series_of(geometry, voxels)

    cut = native_cut(series, series.stacks[0], np.array([5.0, 6.0, 7.0]), **SIZE)

    assert cut.letters == ("A", "L", "P", "R")
    assert brightest_mm(cut) == pytest.approx([4.0, 10.0], abs=0.5)


def test_sagittal_slices_are_shown_with_the_face_to_the_left(phantom):
    stir = phantom.study().series[0]

    cut = native_cut(stir, stir.stacks[0], np.array([20.0, 38.0, 70.0]), **SIZE)

    assert cut.plane is Plane.SAGITTAL
    assert cut.letters == ("H", "P", "F", "A")
    # (20 - (4 - 7 * 4.4)) / 4.4 = 10.6
    assert cut.slice_index == 11


def test_a_reformat_agrees_with_the_slices(phantom):
    geometry = phantom.sagittal_geometry()
    points = geometry.voxel_centers_lps_mm()
    series = series_of(geometry, points[..., 0] + 2 * points[..., 1])

    cut = reformatted_cut(
        series, series.stacks[0], np.array([6.0, 10.0, 0.0]), Plane.AXIAL, **SIZE
    )

    # 11.25 mm right and 5.25 mm behind the middle of the picture: linear in x and y
    image = sample_image(cut)
    assert image[70, 82] == pytest.approx(6.0 + 11.25 + 2 * (10.0 + 5.25), abs=0.01)


def test_a_point_outside_the_stack_has_no_native_slice(phantom):
    stir = phantom.study().series[0]

    assert native_cut(stir, stir.stacks[0], np.array([90.0, 0.0, 0.0]), **SIZE) is None


def test_native_slices_of_the_graded_contrast_come_first(phantom):
    cuts = choose_cuts(
        phantom.study(),
        phantom.joint_center_lps_mm(Level.L4_L5, Side.RIGHT),
        contrast=Sequence.T2_FS,
        series_used=(),
        settings=phantom.SETTINGS,
    )

    assert [(c.plane.value, c.series.uid, c.slice_index is None) for c in cuts] == [
        ("axial", phantom.AXIAL_UID, False),
        ("sagittal", phantom.STIR_UID, False),
        ("coronal", phantom.AXIAL_UID, True),
        ("sagittal", phantom.T2_UID, False),
    ]


def test_outlines_lie_on_the_bright_fluid(phantom):
    outcome = phantom.outcomes()[7]
    center = outcome.location.frame.center_lps_mm
    picture = joint_pictures(
        phantom.study(),
        center,
        contrast=Sequence.T2_FS,
        series_used=outcome.series_used,
        regions=joint_regions(outcome.masks, None),
        settings=phantom.SETTINGS,
    )[0]
    jpeg = base64.b64decode(picture.image_uri.split(",")[1])
    image = np.asarray(Image.open(io.BytesIO(jpeg)))
    (edema,) = [o for o in picture.outlines if o.name == "soft-tissue-edema"]

    # a ring of radius 12-16 mm about the middle of a picture of 60 mm, outlined at the
    # edges of its 1 mm voxels; the outer side of a right joint is on the left
    radius_mm = np.hypot(*(points_of(edema.path) - 30.0).T)
    assert radius_mm.min() == pytest.approx(11.7, abs=0.8)
    assert radius_mm.max() == pytest.approx(16.2, abs=0.8)
    left, right = (
        image[round(30 / 0.25), round((30 + d) / 0.25)] for d in (-14.0, 14.0)
    )
    assert left > 100
    assert right > 100
    below_right = image[round(39.9 / 0.25), round(39.9 / 0.25)]
    assert below_right < 60


def test_an_outline_is_closed_at_the_edge_of_the_picture():
    geometry = VolumeGeometry.centered(
        center_lps_mm=(0, 0, 0),
        axes=np.eye(3),
        spacing_mm=(1, 1, 1),
        shape=(90, 90, 90),
    )
    everywhere = Region(
        name="cyst", geometry=geometry, inside=np.ones(geometry.shape, np.float32)
    )
    grid = VolumeGeometry.centered(
        center_lps_mm=(0, 0, 0),
        axes=np.eye(3),
        spacing_mm=(1, 0.5, 0.5),
        shape=(1, 60, 60),
    )

    path = outline_path(everywhere, grid)

    points = points_of(path)
    assert path.count("M") == path.count("Z") == 1
    assert points.min(axis=0).tolist() == [0.0, 0.0]
    assert points.max(axis=0).tolist() == pytest.approx([30.0, 30.0])


def test_a_joint_without_masks_has_no_outlines():
    assert joint_regions(None, None) == ()


def test_the_perimeter_outline_is_the_one_that_was_measured(phantom):
    masks = phantom.masks(Level.L4_L5, Side.LEFT, sequence=Sequence.T2_FS)

    regions = joint_regions(masks, lambda m: np.ones(m.geometry.shape, bool))

    assert [r.name for r in regions] == ["joint-space", "effusion", "perimeter"]


def test_constant_pixels_still_have_a_window(phantom):
    geometry = phantom.axial_geometry()
    series = series_of(geometry, np.full(geometry.shape, 5.0))

    black, white = display_window(series.stacks[0], geometry.center_lps_mm)

    assert white > black


def test_voxels_without_a_number_are_black(phantom):
    geometry = phantom.axial_geometry()
    voxels = np.full(geometry.shape, 5.0)
    voxels[::2] = np.nan
    series = series_of(geometry, voxels)
    center = geometry.center_lps_mm

    image = sample_image(native_cut(series, series.stacks[0], center, **SIZE))

    assert np.isfinite(image).all()
    assert np.isfinite(display_window(series.stacks[0], center)).all()


def test_a_joint_outside_every_series_has_no_picture(phantom):
    pictures = joint_pictures(
        phantom.study(),
        np.array([300.0, 0.0, 0.0]),
        contrast=None,
        series_used=(),
        regions=(),
        settings=phantom.SETTINGS,
    )

    assert pictures == ()


def test_a_thin_axial_block_is_not_reformatted_when_a_sagittal_fills_the_picture(
    phantom,
):
    cuts = choose_cuts(
        phantom.study(),
        phantom.joint_center_lps_mm(Level.L3_L4, Side.LEFT) + 25.0 * UP,
        contrast=Sequence.T2_FS,
        series_used=(),
        settings=phantom.SETTINGS,
    )

    (coronal,) = [cut for cut in cuts if cut.plane is Plane.CORONAL]
    assert coronal.series.uid == phantom.STIR_UID


def test_vertebrae_beyond_the_image_leave_no_overview(phantom):
    report = phantom.report()
    far = [
        replace(v, center_lps_mm=v.center_lps_mm + 900.0 * UP)
        for v in report.localization.vertebrae
    ]
    localization = replace(report.localization, vertebrae=tuple(far), joints=())

    views = draw_overview(
        replace(report, localization=localization), phantom.study(), phantom.SETTINGS
    )

    assert views == ()


def test_ring_of_a_right_joint_has_lateral_on_the_viewers_left():
    # only the lateral quarter is abnormal: sectors 9-26
    sector_map = np.zeros((4, 72), np.int8)
    sector_map[:, 9:27] = 1

    rings = {s: draw_perimeter(sector_map, s, height_share=0.3) for s in Side}

    for side, ring in rings.items():
        xs = [
            float(re.match(r"M(-?[\d.]+),", sector.path)[1])
            for sector in ring.ring
            if sector.share == 1.0
        ]
        assert len(xs) == 18
        assert all(x * side.sign > 0 for x in xs)


def test_a_sector_counts_from_the_share_of_the_height_on():
    # sector 0 abnormal in 3 of 10 planes, sector 1 in 2
    sector_map = np.zeros((10, 72), np.int8)
    sector_map[:3, 0] = 1
    sector_map[:2, 1] = 1

    drawn = draw_perimeter(sector_map, Side.LEFT, height_share=0.3)

    assert drawn.counted.count("M") == 1


def test_unrolled_map_has_the_top_of_the_joint_on_top():
    sector_map = np.zeros((4, 72), np.int8)
    sector_map[0, 10:13] = 1
    sector_map[3, 70:] = -1

    drawn = draw_perimeter(sector_map, Side.LEFT, height_share=None)

    # 20 high, 4 planes of 5: the lowest plane is drawn from 15 on
    assert drawn.abnormal == "M10,15.000h3v5.000h-3z"
    assert drawn.no_tissue == "M70,0.000h2v5.000h-2z"
    assert drawn.counted == ""


def test_no_sectors_no_map():
    empty = np.zeros((0, 72), np.int8)

    assert draw_perimeter(empty, Side.LEFT, height_share=0.3) is None


def test_overview_marks_joints_at_their_side(phantom):
    views = draw_overview(phantom.report(), phantom.study(), phantom.SETTINGS)

    marks = {m.text: m for m in views[1].marks if m.kind in ("grade-4", "grade-3")}
    # picture of +-55 mm about the mean x of 4: right L4-L5 at -15, left at 23
    assert marks["4"].x_mm == pytest.approx(-15.0 - (4.0 - 55.0))
    assert marks["3"].x_mm == pytest.approx(23.0 - (4.0 - 55.0))
    assert views[1].picture.letters == ("H", "L", "F", "R")


def test_overview_names_vertebrae_from_the_top(phantom):
    view = draw_overview(phantom.report(), phantom.study(), phantom.SETTINGS)[0]

    assert [m.text for m in view.marks] == ["L1", "L2", "L3", "L4", "L5", "S1"]
    # 32 mm above L1, then 35 mm each
    assert [m.y_mm for m in view.marks[:2]] == pytest.approx([32.0, 67.0])
