from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.signal.windows import tukey

from facetgrade.grade.motion import measure_motion, smooth_lines, tapered_window
from facetgrade.study import Sequence
from tests.grade.disturbed import (
    moved,
    series_of,
    textured,
    textured_at_every_scale,
    truncated,
)

STILL = textured()
DETAILED = textured_at_every_scale()  # lines enough to be measured as it is


@pytest.fixture(name="severity")
def _severity(shipped):
    settings = shipped.acceptance.motion

    def measured(voxels):
        series = series_of(voxels, Sequence.T2_FS)
        return measure_motion(series, settings).severity(settings)

    return measured


def test_a_patient_who_lies_still_is_below_the_limit(severity):
    assert severity(STILL) < 0.9
    assert 0.3 < severity(DETAILED) < 0.9


@pytest.mark.parametrize("kept", [0.4, 0.5, 0.6, 0.75])
@pytest.mark.parametrize("axis", [1, 2])
def test_lines_that_were_never_acquired_are_no_motion(severity, axis, kept):
    assert severity(truncated(STILL, kept, axis=axis)) < 0.9
    assert 0.0 < severity(truncated(DETAILED, kept, axis=axis)) < 0.9


@pytest.mark.parametrize("axis", [1, 2])
def test_motion_shows_among_few_acquired_lines(severity, axis):
    assert severity(truncated(moved(STILL, 7, axis=axis), 0.6, axis=axis)) > 1.0


@pytest.mark.parametrize("axis", [1, 2])
def test_motion_shows_along_either_phase_axis(severity, axis):
    assert severity(moved(STILL, 7, axis=axis)) > 1.2


def test_motion_of_less_than_a_pixel_is_no_motion(severity):
    assert severity(moved(DETAILED, 0)) == pytest.approx(severity(DETAILED), abs=1e-3)


def test_brightness_does_not_matter(severity):
    assert severity(moved(STILL, 7) * 40.0) == pytest.approx(
        severity(moved(STILL, 7)), rel=1e-3
    )


@pytest.mark.parametrize("exponent", [0.5, 2.0, 3.5])
@pytest.mark.parametrize("shift", [0, 7])
def test_a_tone_curve_does_not_matter(severity, shift, exponent):
    images = moved(DETAILED, shift)
    assert severity(100.0 * (images / 100.0) ** exponent) == pytest.approx(
        severity(images), abs=0.1
    )


@pytest.mark.parametrize(("size", "looked_at"), [(3, 20), (1, 20), (1, 4), (5, 4)])
def test_slices_in_many_blocks_are_measured_together(shipped, size, looked_at):
    settings = shipped.acceptance.motion.model_copy(update={"slices": looked_at})
    whole = series_of(DETAILED, Sequence.T2_FS)
    blocks = [
        series_of(DETAILED[k : k + size], Sequence.T2_FS)
        for k in range(0, len(DETAILED), size)
    ]
    split = replace(whole, stacks=tuple(block.stacks[0] for block in blocks))
    once, again = (measure_motion(s, settings) for s in (whole, split))
    assert once.step > 0.02
    assert again.step == pytest.approx(once.step, rel=1e-3)


@pytest.mark.parametrize("value", [0.0, 80.0])
def test_images_without_tissue_do_not_move(severity, value):
    assert severity(np.full((4, 64, 64), value, np.float32)) < 1.0


def test_images_too_small_to_tell_do_not_move(severity):
    assert severity(STILL[:, :20, :20]) == 0.0


@pytest.mark.parametrize("count", [2, 61, 256])
def test_the_window_is_that_of_scipy(count):
    np.testing.assert_allclose(tapered_window(count), tukey(count, 0.2), atol=1e-12)


def test_lines_are_smoothed_as_by_scipy():
    lines = np.random.default_rng(5).normal(size=40)

    np.testing.assert_allclose(
        smooth_lines(lines), savgol_filter(lines, 9, 2), atol=1e-12
    )
