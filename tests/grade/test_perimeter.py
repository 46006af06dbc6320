import numpy as np
import pytest

from facetgrade.anatomy import Lesion, Structure
from facetgrade.grade.correction import measure_segmented
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.perimeter import (
    distance_in_plane_mm,
    joint_outline,
    sector_of_voxels,
)
from facetgrade.grade.settings import SegmentedSettings

FINE = {"spacing_mm": (2.5, 0.4, 0.4), "shape": (8, 110, 110)}


def arc(grid, first_degree, last_degree):
    return (grid.degrees >= first_degree) & (grid.degrees < last_degree)


def outline_of(masks, settings):
    return joint_outline(
        masks.structures, masks.geometry.spacing_mm, settings.measure.perimeter
    )


def test_outline_takes_the_capsule_and_four_mm_of_each_process(build_joint, shipped):
    outline = outline_of(build_joint(**FINE), shipped)
    plane = outline[4]

    # Middle row (p = 0.2): joint space to |l| = 1, then 4 mm of bone: 10 mm wide.
    assert plane[55].sum() * 0.4 == pytest.approx(10.0, abs=0.8)
    # Middle column (l = 0.2): capsule to the circle on both ends: 18 mm long.
    assert plane[:, 55].sum() * 0.4 == pytest.approx(18.0, abs=0.8)


def test_outline_does_not_depend_on_what_lies_in_the_corners(build_joint, shipped):
    masks = build_joint(**FINE)
    outline = outline_of(masks, shipped)
    masks.structures[:, :2, :2] = Structure.CAPSULE
    masks.structures[:, -2:, -2:] = Structure.CAPSULE

    np.testing.assert_array_equal(outline_of(masks, shipped), outline)


def test_outline_is_empty_above_and_below_the_joint_space(build_joint, shipped):
    outline = outline_of(build_joint(), shipped)

    # |up| <= 7.5 mm holds planes 5 to 14 of 20 at 1.5 mm (up = -6.75 ... 6.75).
    assert np.flatnonzero(outline.any(axis=(1, 2))).tolist() == list(range(5, 15))


@pytest.mark.parametrize(("half_mm", "planes"), [(0.5, 10), (1.0, 11)])
def test_a_plane_with_stray_joint_space_is_above_the_joint(
    build_joint, shipped, half_mm, planes
):
    # One more plane, at 8.25 mm: 2 voxels of 0.49 mm2, or 2 x 4 of them.
    stray = {
        Structure.JOINT_SPACE: lambda g: (
            (np.abs(g.up - 8.25) < 0.1)
            & (np.abs(g.lateral) < 0.5)
            & (np.abs(g.posterior) < 2.0 * half_mm - 0.3)
        )
    }
    outline = outline_of(build_joint(label=stray), shipped)
    assert outline.any(axis=(1, 2)).sum() == planes


def test_holes_of_the_outline_are_filled(build_joint, shipped):
    cavity = {
        Structure.SOFT_TISSUE: lambda g: np.hypot(g.posterior, g.lateral - 3) < 1.5
    }
    outline = outline_of(build_joint(label=cavity), shipped)
    np.testing.assert_array_equal(outline, outline_of(build_joint(), shipped))


def test_joint_space_of_a_neighboring_joint_is_left_out(build_joint, shipped):
    neighbor = {Structure.JOINT_SPACE: lambda g: np.abs(g.up - 13.0) < 1.6}
    outline = outline_of(build_joint(label=neighbor), shipped)
    np.testing.assert_array_equal(outline, outline_of(build_joint(), shipped))


def test_sectors_start_posteriorly_and_grow_laterally(build_joint, shipped):
    masks = build_joint()
    sector = sector_of_voxels(outline_of(masks, shipped), masks.geometry.spacing_mm)

    # Center between voxels 33 and 34: (row, column) = (60, 34) is 18.55 mm posterior
    # and 0.35 mm lateral, 1 degree.
    assert sector[10, 60, 34] == 0
    assert sector[10, 34, 60] == 17
    assert sector[10, 7, 33] == 36
    assert sector[10, 33, 7] == 53
    assert sector[10, 60, 33] == 71
    assert sector[0, 60, 34] == -1


def test_distance_counts_from_the_edge_of_the_outline(build_joint, shipped):
    masks = build_joint(**FINE)
    outline = outline_of(masks, shipped)
    distance_mm = distance_in_plane_mm(outline, masks.geometry.spacing_mm)

    # Row 54.5 + 15 / 0.4 = 92 lies 15 mm posterior of the center, 6 mm off the circle.
    assert distance_mm[4, 92, 55] == pytest.approx(6.0, abs=0.3)
    assert distance_mm[4, 55, 55] == 0.0
    assert np.isinf(distance_mm[0, 55, 55])


@pytest.mark.parametrize(("thickness_mm", "fraction"), [(0.8, 0.0), (1.2, 1.0)])
@pytest.mark.parametrize("grid", [{}, FINE])
def test_a_sector_needs_edema_one_mm_thick(
    build_joint, shipped, thickness_mm, fraction, grid
):
    masks = build_joint(edema=lambda g: g.ring(10.0, 10.0 + thickness_mm), **grid)
    extents = measure_extents(masks, shipped.measure)
    assert extents.perimeter_fraction_all_sectors == fraction


@pytest.mark.parametrize(
    ("unsure", "probability", "limits"),
    [
        (0.35, 0.5, (0.25, 0.25, 1.0)),
        (0.35, 0.2, (0.25, 1.0, 1.0)),
        (0.25, 0.5, (0.25, 0.25, 0.25)),
        (0.25, 0.2, (0.25, 1.0, 1.0)),
        (0.15, 0.2, (0.25, 0.25, 1.0)),
    ],
)
def test_unsure_edema_fills_sectors_from_the_chosen_probability_on(
    build_joint, shipped, unsure, probability, limits
):
    masks = build_joint(
        edema=lambda g: g.ring(10.0, 14.0) * np.where(arc(g, 0, 90), 0.9, unsure),
        **FINE,
    )
    settings = shipped.model_copy(
        update={"segmented": SegmentedSettings(edema_probability=probability)}
    )

    extents = measure_segmented(masks, settings)

    found = extents.perimeter_fraction
    assert (found.low, found.value, found.high) == pytest.approx(limits, abs=0.03)
    assert extents.soft_tissue_edema_mm3 == (
        measure_extents(masks, shipped.measure).soft_tissue_edema_mm3
    )


@pytest.mark.parametrize(("inner_mm", "sectors"), [(16.3, 0), (15.5, 1)])
def test_edema_counts_within_eight_mm_of_the_outline(
    build_joint, shipped, inner_mm, sectors
):
    # The outline ends at 9 mm, its reach at 17 mm: 0.7 mm or 1.5 mm of edema count.
    masks = build_joint(edema=lambda g: g.ring(inner_mm, 20.0) * arc(g, 0, 5), **FINE)
    near = build_joint(edema=lambda g: g.ring(10.0, 20.0) * arc(g, 0, 5), **FINE)
    extents = measure_extents(masks, shipped.measure)
    assert (extents.sector_map[0] == 1).sum() == sectors
    assert (measure_extents(near, shipped.measure).sector_map[0] == 1).sum() == 1


def test_separate_layers_of_edema_add_up_along_the_ray(build_joint, shipped):
    masks = build_joint(edema=lambda g: g.ring(10.0, 10.6) + g.ring(11.4, 12.0), **FINE)
    extents = measure_extents(masks, shipped.measure)
    assert extents.perimeter_fraction.value == 1.0


@pytest.mark.parametrize(("degrees", "sectors"), [(92.0, 18), (93.5, 19)])
def test_half_a_sector_decides(build_joint, shipped, degrees, sectors):
    masks = build_joint(edema=lambda g: g.ring(9.0, 13.0) * arc(g, 0, degrees), **FINE)
    extents = measure_extents(masks, shipped.measure)
    assert (extents.sector_map[0] == 1).sum() == sectors


def test_marrow_edema_never_fills_a_sector(build_joint, shipped):
    masks = build_joint(marrow=lambda g: g.radius < 9.0)
    extents = measure_extents(masks, shipped.measure)
    assert extents.marrow_edema_mm3.value > 1000.0
    assert not (extents.sector_map == 1).any()


def test_lesions_inside_the_outline_and_in_bone_fill_no_sector(build_joint, shipped):
    masks = build_joint(
        edema=lambda g: (g.radius < 9.0) & g.in_pillar_height,
        effusion=lambda g: g.slab(2.0),
    )
    extents = measure_extents(masks, shipped.measure)
    assert extents.soft_tissue_edema_mm3.value == 0.0
    assert extents.perimeter_fraction.value == 0.0


def test_fluid_in_the_flaval_recess_fills_no_sector(build_joint, shipped):
    flavum = {
        Structure.LIGAMENTUM_FLAVUM: lambda g: (
            (g.ring(9.0, 13.0) > 0.5) & arc(g, 200, 290)
        )
    }
    masks = build_joint(
        label=flavum,
        effusion=lambda g: np.maximum(
            g.slab(2.0), g.ring(8.0, 12.0) * arc(g, 200, 290)
        ),
    )
    extents = measure_extents(masks, shipped.measure)
    assert extents.perimeter_fraction.value == 0.0
    assert not any(extents.extension_mm3.values())


def test_a_cyst_fills_no_sector_and_has_its_own_volume(build_joint, shipped):
    # 60 degrees of a ring from 9 to 14 mm, 15 mm high:
    # pi * (196 - 81) / 6 * 15 = 903 mm3.
    bulge = lambda g: g.ring(9.0, 14.0) * arc(g, 0, 60)  # noqa: E731
    extents = measure_extents(build_joint(edema=bulge, cyst=bulge), shipped.measure)
    assert extents.perimeter_fraction.value == 0.0
    assert extents.soft_tissue_edema_mm3.value == 0.0
    assert extents.cyst_mm3 == pytest.approx(903.0, rel=0.05)


def test_sectors_against_bone_leave_the_denominator(build_joint, shipped):
    lamina = {
        Structure.LAMINA: lambda g: (
            (g.radius > 9.0) & arc(g, 180, 270) & g.in_pillar_height
        )
    }
    masks = build_joint(
        label=lamina, edema=lambda g: g.ring(9.0, 12.0) * arc(g, 0, 135)
    )
    extents = measure_extents(masks, shipped.measure)
    # 27 of 54 sectors with soft tissue, 27 of all 72.
    assert extents.perimeter_fraction.value == 0.5
    assert extents.perimeter_fraction_all_sectors == 0.375
    assert (extents.sector_map[:, 36:54] == -1).all()


@pytest.mark.parametrize(("gap_mm", "available"), [(0.7, False), (1.4, True)])
def test_soft_tissue_one_mm_thick_makes_a_sector_available(
    build_joint, shipped, gap_mm, available
):
    # Posteriorly only the gap between outline and lamina is soft tissue.
    lamina = {Structure.LAMINA: lambda g: g.radius > 9.0 + gap_mm}
    fine = {"spacing_mm": (2.5, 0.2, 0.2), "shape": (8, 180, 180)}
    extents = measure_extents(build_joint(label=lamina, **fine), shipped.measure)
    assert (extents.sector_map[2, 0] >= 0) == available


def test_canal_and_disc_are_not_soft_tissue(build_joint, shipped):
    label = {
        Structure.CANAL: lambda g: (g.radius > 9.0) & arc(g, 225, 270),
        Structure.DISC: lambda g: (g.radius > 9.0) & arc(g, 180, 225),
        Structure.FORAMEN: lambda g: (g.radius > 9.0) & arc(g, 135, 180),
    }
    extents = measure_extents(build_joint(label=label), shipped.measure)
    assert (extents.sector_map[:, 36:54] == -1).all()
    assert (extents.sector_map[:, 27:36] == 0).all()


def test_tissue_out_of_view_is_not_available(build_joint, shipped):
    masks = build_joint(in_view=lambda g: ~((g.radius > 9.0) & arc(g, 0, 90)))
    extents = measure_extents(masks, shipped.measure)
    assert (extents.sector_map[:, :18] == -1).all()
    assert (extents.sector_map[:, 18:] == 0).all()


@pytest.mark.parametrize(("planes", "fraction"), [(2, 0.0), (3, 0.5)])
def test_a_sector_must_be_abnormal_over_thirty_percent_of_the_height(
    build_joint, shipped, planes, fraction
):
    # The joint has 10 planes; the lowest ones carry half a ring.
    top_mm = -7.5 + 1.5 * planes
    masks = build_joint(
        edema=lambda g: g.ring(9.0, 12.0) * arc(g, 0, 180) * (g.up < top_mm)
    )
    extents = measure_extents(masks, shipped.measure)
    assert extents.perimeter_fraction.value == fraction
    assert extents.perimeter_fraction_worst_plane.value == 0.5


def test_worst_plane_grades_when_the_configuration_says_so(
    build_joint, change_settings
):
    settings = change_settings(measure__perimeter__combine="worst_plane")
    masks = build_joint(
        edema=lambda g: g.ring(9.0, 12.0) * arc(g, 0, 180) * (g.up < -6)
    )
    extents = measure_extents(masks, settings.measure)
    assert extents.perimeter_fraction.value == 0.5
    assert extents.perimeter_fraction_all_sectors == 0.5
    assert extents.perimeter_fraction_height_30.value == 0.0


def test_a_plane_with_few_available_sectors_is_not_the_worst(build_joint, shipped):
    # The lowest plane keeps soft tissue in 12 of 72 sectors, all of them abnormal.
    masks = build_joint(
        label={
            Structure.LAMINA: lambda g: (g.radius > 9.0) & (g.up < -6) & ~arc(g, 0, 60)
        },
        edema=lambda g: g.ring(9.0, 12.0) * arc(g, 0, 60) * (g.up < -6),
    )
    extents = measure_extents(masks, shipped.measure)
    assert extents.perimeter_fraction_worst_plane.value == 0.0


def test_unrolled_map_runs_from_the_bottom_and_from_posterior(build_joint, shipped):
    masks = build_joint(edema=lambda g: g.ring(9.0, 12.0) * arc(g, 0, 90) * (g.up < 0))
    sector_map = measure_extents(masks, shipped.measure).sector_map
    expected = np.zeros((10, 72), np.int8)
    expected[:5, :18] = 1
    np.testing.assert_array_equal(sector_map, expected)


@pytest.mark.parametrize("turned_degrees", [0.0, 20.0, 45.0, 70.0])
def test_a_finer_grid_changes_the_fraction_by_less_than_three_percent(
    build_joint, shipped, turned_degrees
):
    def paint(g):
        return g.ring(9.5, 11.0 + 0.5 * g.up / 7.5) * arc(g, 40, 260)

    fractions = [
        measure_extents(
            build_joint(edema=paint, turned_degrees=turned_degrees, **grid),
            shipped.measure,
        ).perimeter_fraction.value
        for grid in ({}, {"spacing_mm": (0.75, 0.35, 0.35), "shape": (40, 136, 136)})
    ]
    assert fractions[0] == pytest.approx(fractions[1], abs=0.03)
    assert fractions[1] == pytest.approx(220.0 / 360.0, abs=0.03)


def test_probability_thresholds_bound_the_fraction(build_joint, shipped):
    masks = build_joint(
        edema=lambda g: (
            (g.ring(9.0, 12.0) > 0.5)
            * (0.8 * arc(g, 0, 90) + 0.6 * arc(g, 90, 180) + 0.4 * arc(g, 180, 270))
        )
    )
    fraction = measure_extents(masks, shipped.measure).perimeter_fraction
    # p 0.8 passes 0.7; 0.6 passes 0.5; 0.4 passes 0.3.
    assert (fraction.low, fraction.value) == (0.25, 0.5)
    assert fraction.high == pytest.approx(0.75, abs=0.02)


def test_a_grid_without_joint_space_measures_nothing(build_joint, shipped):
    masks = build_joint(
        label={Structure.SOFT_TISSUE: lambda g: g.radius < 99.0},
        edema=lambda g: g.ring(9.0, 12.0),
    )
    assert Lesion.SOFT_TISSUE_EDEMA in masks.lesions
    extents = measure_extents(masks, shipped.measure)
    assert extents.sector_map.shape == (0, 72)
    assert extents.edema_mm3 == 0.0
    assert extents.perimeter_fraction_worst_plane.value == 0.0
