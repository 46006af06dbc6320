"""Motion within a series: steps and ripples between the lines of its k-space.

A patient who moves between echo trains leaves neighboring lines of k-space that do not
belong together. In the magnitude image such lines lose power wherever a line and its
mirror image come from different poses, so the power falls and rises from line to line
along the phase axis, which anatomy alone does not do at fine detail. The lines are
compared in images whose gray values were replaced by their ranks: the bright spikes of
a steep tone curve fill k-space as motion does. Which lines were acquired shows in the
images as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.grade.settings import MotionSettings
from facetgrade.study import Series, Stack

_TAPER = 0.2  # of the field of view, so that its edges are no edges
_CROSS_BAND = (0.03, 0.35)  # of the sampling rate, across the lines that are compared
_LOWEST_LINE = 0.02
_KEPT = 0.85  # of the acquired lines; the window of the scanner shapes the last ones
_LEAST_ACQUIRED = 0.3  # of the lines that were reconstructed
_CUTOFF_FALL = 0.4  # of the logarithm of the power; still images fall by less
_WINDOW = 4
_TREND = 41
_LEAST_LINES = 24
_QUANTILES = 1001  # choice: between them ranks are interpolated
_RANKED_EVERY = 17  # choice: a prime that divides no usual width reads all columns
_RANK_POWER = 4.0  # flagged fewer still series than an exponential of the ranks


@dataclass(frozen=True, kw_only=True, slots=True)
class MotionMeasure:
    """How unlike neighboring lines of k-space are, on the worse of the two axes.

    Attributes
    ----------
    step : float
        Largest step of the logarithm of the power from four lines to the next four.
    ripple : float
        Root mean square of its fine variation from line to line.
    """

    step: float
    ripple: float

    def severity(self, settings: MotionSettings) -> float:
        """Compare with the limits: from 1 on, the patient moved."""
        return (self.step / settings.step + self.ripple / settings.ripple) / 2.0


def measure_motion(series: Series, settings: MotionSettings) -> MotionMeasure:
    """Compare the lines of k-space of a series along both axes of its images.

    Parameters
    ----------
    series : Series
        Its stacks are measured together where their images have one shape.
    settings : MotionSettings
        Number of slices that are looked at.

    Returns
    -------
    MotionMeasure
        0 for images too small to tell, or with fewer than 24 acquired lines.
    """
    groups: dict[tuple[int, ...], list[Stack]] = {}
    for stack in series.stacks:
        groups.setdefault(stack.volume.geometry.shape[1:], []).append(stack)
    measures = []
    for stacks in groups.values():
        planes = _evenly_chosen(stacks, settings)
        plain, ranked = _power(planes), _power(_tones_by_rank(planes))
        measures += [_measure_lines(plain, ranked, axis) for axis in (0, 1)]
    return MotionMeasure(
        step=max(measure.step for measure in measures),
        ripple=max(measure.ripple for measure in measures),
    )


def tapered_window(count: int) -> NDArray[np.float64]:
    """Return a Tukey window: ones whose ends fall to 0 along a cosine.

    Written out here and in `smooth_lines`, because importing scipy.signal takes as
    long as grading a joint.
    """
    place = np.arange(count) / max(count - 1, 1)
    from_end = np.minimum(place, place[::-1]) * 2.0 / _TAPER
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.minimum(from_end, 1.0)))


def smooth_lines(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fit a parabola around every line; at both ends the last whole one counts.

    References
    ----------
    .. [1] Savitzky A, Golay MJE. Anal Chem 1964;36:1627-1639, doi 10.1021/ac60214a047.
    """
    powers = np.vander(np.arange(-_WINDOW, _WINDOW + 1.0), 3)
    fit = powers @ np.linalg.pinv(powers)
    smooth = np.convolve(lines, fit[_WINDOW], "valid")
    width = len(fit)
    first, last = fit[:_WINDOW] @ lines[:width], fit[-_WINDOW:] @ lines[-width:]
    return np.concatenate([first, smooth, last])


def _evenly_chosen(
    stacks: Sequence[Stack], settings: MotionSettings
) -> NDArray[np.float32]:
    """Take slices of one shape from the whole series, whatever its stacks hold."""
    first = np.cumsum([0, *(stack.volume.geometry.shape[0] for stack in stacks)])
    every = max(1, -(-int(first[-1]) // settings.slices))
    return np.concatenate(
        [
            stack.volume.voxels[-int(before) % every :: every]
            for stack, before in zip(stacks, first[:-1], strict=True)
        ]
    )


def _tones_by_rank(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace gray values by a power of their ranks: most of the image is dark."""
    rank = np.linspace(0.0, 1.0, _QUANTILES)
    values = np.quantile(planes.ravel()[::_RANKED_EVERY], rank)
    return np.interp(planes, values, rank**_RANK_POWER).astype(np.float32)


def _power(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Add up the power spectra of slices."""
    rows, columns = (tapered_window(n).astype(np.float32) for n in planes.shape[1:])
    planes = planes - planes.mean(axis=(1, 2), keepdims=True)
    planes *= rows[:, None] * columns
    spectrum = scipy.fft.fft2(planes, overwrite_x=True)
    return np.asarray((np.abs(spectrum) ** 2).sum(axis=0), np.float64)


def _measure_lines(
    plain: NDArray[np.float64], ranked: NDArray[np.float64], axis: int
) -> MotionMeasure:
    """Compare the lines along one axis of the power spectrum of ranked images.

    The (R, C) spectrum of the images as they are tells how many lines were acquired.
    """
    power = np.moveaxis(ranked, axis, 0)
    if power.shape[0] < 2 * _LEAST_LINES:
        return MotionMeasure(step=0.0, ripple=0.0)
    last = _last_acquired(np.moveaxis(plain, axis, 0))
    frequency = np.arange(power.shape[0] // 2 + 1) / power.shape[0]
    kept = (frequency > _LOWEST_LINE) & (frequency < _KEPT * last)
    lines = _log_mean(power, *_CROSS_BAND)[kept]
    if len(lines) < _LEAST_LINES:
        return MotionMeasure(step=0.0, ripple=0.0)
    ripple = lines - smooth_lines(lines)
    kernel = np.repeat([1.0, -1.0], _WINDOW) / _WINDOW
    steps = np.convolve(lines, kernel, "valid")
    steps = steps - ndimage.median_filter(steps, _TREND, mode="nearest")
    return MotionMeasure(
        step=float(np.abs(steps).max()), ripple=float(np.sqrt(np.mean(ripple**2)))
    )


def _last_acquired(power: NDArray[np.float64]) -> float:
    """Return the frequency beyond which the scanner left k-space empty."""
    central = _log_mean(power, 0.0, 0.1)
    low, high = np.percentile(central, 2.0), central[3:8].mean()
    filled = np.flatnonzero(central > low + 0.2 * (high - low))
    last = min(filled.max(initial=0), _cutoff(_log_mean(power, *_CROSS_BAND)))
    return float(last) / float(power.shape[0])


def _cutoff(lines: NDArray[np.float64]) -> int:
    """Find the line where a scanner that skips the outer ones stopped.

    The power falls there for good; lines that motion has weakened are followed by
    others as strong as before. Beyond it lies what the magnitude makes of the rest.
    """
    smooth = ndimage.uniform_filter1d(lines, 2 * _WINDOW, mode="nearest")
    strongest_beyond = np.maximum.accumulate(smooth[::-1])[::-1]
    fall = np.zeros(len(lines))
    fall[_WINDOW:-_WINDOW] = smooth[: -2 * _WINDOW] - strongest_beyond[2 * _WINDOW :]
    fall[: int(_LEAST_ACQUIRED * len(lines))] = 0.0
    return int(fall.argmax()) if fall.max(initial=0.0) > _CUTOFF_FALL else len(lines)


def _log_mean(
    power: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    """Average each line over a band of the other axis; logarithm, never infinite.

    Lines from the lowest frequency to the highest.
    """
    across = np.abs(scipy.fft.fftfreq(power.shape[1]))
    lines = power[: power.shape[0] // 2 + 1, (across >= low) & (across < high)]
    band = lines.mean(axis=1)
    least = 1e-9 * float(band.max(initial=0.0)) + np.finfo(float).tiny
    return np.asarray(np.log(np.maximum(band, least)), np.float64)
