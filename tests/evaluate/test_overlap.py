import numpy as np
import pytest

from facetgrade.evaluate.overlap import (
    dice,
    difference_limits,
    presence_shares,
    ratio_limits,
    spearman,
    surface_agreement,
)

# Bland JM, Altman DG. Lancet 1986;327:307-310: peak expiratory flow (l/min) of 17
# subjects, first measurement with the large and with the mini Wright meter.
LARGE_METER = [494, 395, 516, 434, 476, 557, 413, 442, 650]
LARGE_METER += [433, 417, 656, 267, 478, 178, 423, 427]
MINI_METER = [512, 430, 520, 428, 500, 600, 364, 380, 658]
MINI_METER += [445, 432, 626, 260, 477, 259, 350, 451]


def block(start, stop, shape=(4, 10, 10)):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def test_limits_of_agreement_are_those_of_bland_and_altman_1986():
    limits = difference_limits(LARGE_METER, MINI_METER)

    assert limits.pairs == 17
    assert limits.bias == pytest.approx(-2.1, abs=0.05)
    # -2.1 +- 1.96 * 38.8; the paper uses 2 standard deviations: -79.7 and 75.5
    assert (limits.high - limits.low) / (2 * 1.96) == pytest.approx(38.8, abs=0.05)


def test_ratio_limits_of_a_constant_factor_are_that_factor():
    limits = ratio_limits([20.0, 200.0, 2.0], [10.0, 100.0, 1.0], floor=0.5)

    assert (limits.bias, limits.low, limits.high) == pytest.approx((2.0, 2.0, 2.0))


def test_ratio_limits_leave_out_what_is_absent_on_either_side():
    limits = ratio_limits([20.0, 40.0, 5.0, 0.0], [10.0, 20.0, 0.0, 5.0], floor=1.0)

    assert limits.pairs == 2


def test_presence_is_counted_apart():
    # present: 10 found, 30 missed; absent: one quiet, one alarm of three quiet
    found = [10.0, 0.0, 0.0, 8.0, 0.0]
    actual = [10.0, 30.0, 0.0, 0.0, 0.5]

    sensitivity, specificity = presence_shares(found, actual, floor=1.0)

    assert sensitivity == pytest.approx(1 / 2)
    assert specificity == pytest.approx(2 / 3)


def test_dice_is_twice_the_shared_over_the_summed_volume():
    # 8 and 12 voxels, 4 shared
    first = block((0, 0, 0), (1, 2, 4))
    second = block((0, 1, 0), (1, 4, 4))

    assert dice(first, second) == pytest.approx(2 * 4 / 20)


def test_dice_of_two_empty_masks_is_undefined():
    empty = np.zeros((2, 2, 2), bool)

    assert np.isnan(dice(empty, empty))


def test_surface_distances_are_in_mm_of_the_axis_they_run_along():
    truth = block((1, 2, 2), (3, 5, 5))
    moved = block((1, 2, 4), (3, 5, 7))  # two columns of 0.5 mm

    agreement = surface_agreement(moved, truth, spacing_mm=(3.0, 0.7, 0.5))

    assert agreement.hd95_mm == pytest.approx(1.0)
    assert agreement.normalized_surface_dice == 1.0


def test_a_surface_beyond_the_tolerance_does_not_count():
    # one-voxel-thick plates 2 slices of 3 mm apart
    agreement = surface_agreement(
        block((0, 0, 0), (1, 4, 4)),
        block((2, 0, 0), (3, 4, 4)),
        spacing_mm=(3.0, 1.0, 1.0),
    )

    assert agreement.mean_mm == pytest.approx(6.0)
    assert agreement.normalized_surface_dice == 0.0


def test_surface_distance_to_nothing_is_undefined():
    empty = np.zeros((4, 10, 10), bool)
    agreement = surface_agreement(
        empty, block((0, 0, 0), (1, 1, 1)), spacing_mm=(1.0, 1.0, 1.0)
    )

    assert np.isnan(agreement.hd95_mm)


def test_spearman_with_ties_is_the_correlation_of_mean_ranks():
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance sum 4.5, sums of squares 4.5, 5
    assert spearman([1, 5, 5, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(22.5))


def test_spearman_leaves_out_incomplete_pairs():
    assert spearman([1, 2, 3, np.nan], [2, 4, 9, 0]) == pytest.approx(1.0)


def test_spearman_of_a_constant_is_undefined():
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))
