import numpy as np
import pytest

from facetgrade.anatomy import Structure
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.thresholds import shift_threshold


def width_of(masks, settings):
    return measure_extents(masks, settings.measure).effusion_width_mm


@pytest.mark.parametrize("shift_mm", [0.0, 0.2, 0.35])
@pytest.mark.parametrize("width_mm", [0.5, 0.9, 1.1, 1.8])
def test_width_of_a_film_is_resolved_below_a_voxel(
    build_joint, shipped, width_mm, shift_mm
):
    masks = build_joint(effusion=lambda g: g.slab(width_mm, shift_mm))
    assert width_of(masks, shipped).value == pytest.approx(width_mm, abs=0.08)


@pytest.mark.parametrize("turned_degrees", [20.0, 45.0, 70.0, 90.0])
def test_width_is_measured_across_an_oblique_joint_space(
    build_joint, shipped, turned_degrees
):
    masks = build_joint(effusion=lambda g: g.slab(1.8), turned_degrees=turned_degrees)
    assert width_of(masks, shipped).value == pytest.approx(1.8, abs=0.12)


def test_width_is_the_same_on_a_finer_grid(build_joint, shipped):
    grids = ({}, {"spacing_mm": (0.8, 0.4, 0.4), "shape": (30, 100, 100)})
    widths = [
        width_of(build_joint(effusion=lambda g: g.slab(1.3), **grid), shipped).value
        for grid in grids
    ]
    assert widths[0] == pytest.approx(widths[1], abs=0.05)


def test_fluid_in_the_recess_has_volume_but_no_width(build_joint, shipped):
    def recess(grid):
        return (
            grid.in_pillar_height
            & (grid.posterior > 9.0)
            & (grid.radius < 14.0)
            & (np.abs(grid.lateral) < 3.0)
        )

    film = build_joint(
        label={Structure.CAPSULE: recess},
        effusion=lambda g: np.maximum(g.slab(0.6), recess(g) + g.slab(0.0)),
    )
    extents = measure_extents(film, shipped.measure)
    assert extents.effusion_width_mm.value == pytest.approx(0.6, abs=0.08)


def test_a_distended_recess_does_not_widen_a_thin_film_on_a_coarse_grid(
    build_joint, shipped
):
    # Fluid of the recess fills half of the last voxels of the joint space.
    def film_and_recess(grid):
        recess = grid.in_pillar_height & (np.abs(grid.lateral) < 2.5)
        outside = np.clip((np.abs(grid.posterior) - 5.9) / 0.7 + 0.5, 0.0, 1.0)
        return np.maximum(grid.slab(0.6), recess * outside * (grid.radius < 9.0))

    masks = build_joint(effusion=film_and_recess)
    assert width_of(masks, shipped).value == pytest.approx(0.6, abs=0.08)


def test_the_widest_place_counts_not_the_mean(build_joint, shipped):
    def lens(grid):
        half_mm = 1.0 - np.abs(grid.posterior) / 6.0
        film = np.clip((half_mm - np.abs(grid.lateral)) / grid.voxel_mm + 0.5, 0.0, 1.0)
        return film * grid.in_pillar_height * (half_mm > 0)

    # 2.0 mm in the middle, 0 at the ends, 1.0 mm on average.
    masks = build_joint(effusion=lens)
    assert width_of(masks, shipped).value == pytest.approx(1.85, abs=0.15)


def test_width_without_fluid_or_without_a_process_is_zero(build_joint, shipped):
    dry = build_joint()
    bare = build_joint(
        effusion=lambda g: g.slab(1.5),
        label={
            Structure.SOFT_TISSUE: lambda g: (g.lateral > 1.0) & g.in_pillar_height,
        },
    )
    assert width_of(dry, shipped).value == 0.0
    assert width_of(bare, shipped).value == 0.0


def test_interval_of_the_width_opens_with_doubtful_probabilities(build_joint, shipped):
    sure = width_of(build_joint(effusion=lambda g: g.slab(1.8) > 0.5), shipped)
    unsure = width_of(build_joint(effusion=lambda g: 0.6 * g.slab(1.8)), shipped)
    assert sure.low == pytest.approx(sure.value, abs=0.4)
    assert unsure.low < unsure.value < unsure.high
    assert unsure.high - unsure.low > 0.5


def test_shifted_threshold_becomes_one_half():
    shifted = shift_threshold(np.array([0.0, 0.3, 0.7, 1.0], np.float32), 0.7)
    # logit(0.3) - logit(0.7) = -1.695: p = 0.155.
    np.testing.assert_allclose(shifted, [0.0, 0.155, 0.5, 1.0], atol=1e-3)
