"""Decisive measurements, freed of what the networks miss or add on average.

A film of fluid thinner than a voxel looks wider than it is, and the thin ends of edema
are lost. Where that moves a measurement across a threshold of the rules, it moves the
grade. On joints whose truth is known, a rising curve through few points tells which
true value a measured one stands for on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from facetgrade.findings import Extents, Interval, JointMasks, SequenceGrade
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import CorrectionSettings, Curve, GradeSettings
from facetgrade.grade.thresholds import MASK_PROBABILITY

_MEASURES = ("effusion_width_mm", "perimeter_fraction")
# The least slope: two joints that differ as measured still differ when corrected.
_LEAST_SLOPE = 0.1
# Each step of the curve is held near the starting one as if by that many joints.
_PRIOR_JOINTS = 3.0


def measure_segmented(masks: JointMasks, settings: GradeSettings) -> Extents:
    """Measure what the segmenter outlined, before any correction.

    Parameters
    ----------
    masks : JointMasks
        Probabilities of the segmenter.
    settings : GradeSettings
        The whole of ``configs/grade.toml``.
    """
    return measure_extents(
        masks,
        settings.measure,
        edema_probability=settings.segmented.edema_probability,
    )


def grade_contrast(masks: JointMasks, settings: GradeSettings) -> SequenceGrade:
    """Measure, correct and grade one joint on one contrast.

    Parameters
    ----------
    masks : JointMasks
        As the networks outlined the joint.
    settings : GradeSettings
        The whole of ``configs/grade.toml``.

    Returns
    -------
    SequenceGrade
        With the corrected extents; the trace says what the outlines themselves show.
    """
    outlined = measure_segmented(masks, settings)
    extents = correct_extents(outlined, settings.confidence.correction)
    grade = apply_rules(extents, masks.sequence, settings)
    notes = _notes(outlined, extents, settings.segmented.edema_probability)
    return replace(grade, trace=(*grade.trace, *notes))


def correct_extents(extents: Extents, correction: CorrectionSettings) -> Extents:
    """Replace the decisive measurements by the true ones they stand for on average.

    Parameters
    ----------
    extents : Extents
        As measured on the outlines; what is not there at all stays 0.
    correction : CorrectionSettings
        From `fit_correction`.

    Returns
    -------
    Extents
        Effusion width and the perimeter fraction that grades, with their intervals;
        volumes, other fractions and the sector map are those of the outlines.
    """
    outlined = extents.perimeter_fraction
    fraction = _corrected(outlined, correction.perimeter_fraction, highest=1.0)
    worst, by_height = (
        extents.perimeter_fraction_worst_plane,
        extents.perimeter_fraction_height_30,
    )
    return replace(
        extents,
        effusion_width_mm=_corrected(
            extents.effusion_width_mm, correction.effusion_width_mm
        ),
        perimeter_fraction=fraction,
        perimeter_fraction_worst_plane=fraction if worst == outlined else worst,
        perimeter_fraction_height_30=fraction if by_height == outlined else by_height,
    )


def no_correction(correction: CorrectionSettings) -> CorrectionSettings:
    """Return curves with the same points that change nothing."""
    return CorrectionSettings(
        **{
            name: Curve(measured=curve.measured, true=curve.measured)
            for name, curve in correction
        }
    )


def fit_correction(
    measured: Sequence[Extents],
    truth: Sequence[Mapping[str, float]],
    start: CorrectionSettings,
) -> CorrectionSettings:
    """Find the curves that bring measurements nearest to the truth.

    Least squares of the true values at the measured points of `start`, rising, and
    held near `start` where there are few joints.

    Parameters
    ----------
    measured : sequence of Extents
        From `measure_extents`, one per joint.
    truth : sequence of mapping of str to float
        True values by the names of the corrected measures, in the same order; those
        that are not known are not named.
    start : CorrectionSettings
        Its `measured` points stay.

    Returns
    -------
    CorrectionSettings
        `start` for a measure that no joint shows.
    """
    fitted = {}
    for name in _MEASURES:
        pairs = [
            (getattr(extents, name).value, values[name])
            for extents, values in zip(measured, truth, strict=True)
            if name in values and getattr(extents, name).value > 0.0
        ]
        fitted[name] = _fit_curve(np.array(pairs).reshape(-1, 2), getattr(start, name))
    return CorrectionSettings(**fitted)


def _corrected(
    interval: Interval, curve: Curve, *, highest: float = math.inf
) -> Interval:
    """Read value and limits off the curve."""
    ends = np.array([interval.value, interval.low, interval.high])
    beyond = np.maximum(ends - curve.measured[-1], 0.0)
    read = np.interp(ends, curve.measured, curve.true) + beyond
    value, low, high = np.minimum(read, highest).tolist()
    return Interval(value, low, high)


def _fit_curve(pairs: NDArray[np.float64], start: Curve) -> Curve:
    """Fit the steps between the points of one curve to (N, 2) measured and true."""
    points, before = np.array(start.measured), np.diff(start.true)
    widths = np.diff(points)
    # How much of each step lies below a measured value; beyond them both grow alike.
    shares = np.clip((pairs[:, :1] - points[:-1]) / widths, 0.0, 1.0)
    beyond = np.maximum(pairs[:, 0] - points[-1], 0.0)
    weight = np.sqrt(_PRIOR_JOINTS)
    steps = optimize.lsq_linear(
        np.concatenate([shares, weight * np.eye(len(widths))]),
        np.concatenate([pairs[:, 1] - beyond, weight * before]),
        bounds=(_LEAST_SLOPE * widths, np.inf),
    ).x
    true = np.round(np.concatenate([[0.0], np.cumsum(steps)]), 4)
    return Curve(measured=start.measured, true=tuple(true.tolist()))


def _notes(outlined: Extents, extents: Extents, edema_probability: float) -> list[str]:
    """Say from where on edema counts, and what is measured where that is corrected."""
    width_mm = outlined.effusion_width_mm.value, extents.effusion_width_mm.value
    share = outlined.perimeter_fraction.value, extents.perimeter_fraction.value
    texts = [
        f"{words} {before}, corrected to {after}"
        for words, before, after in (
            ("effusion width", *(f"{w:.2f} mm" for w in width_mm)),
            ("perimeter", *(f"{100.0 * s:.1f} %" for s in share)),
        )
        if before != after
    ]
    notes = []
    if outlined.perimeter_fraction.value and edema_probability < MASK_PROBABILITY:
        notes.append(
            f"sectors count edema from a probability of {edema_probability:g} on, "
            f"outlines show it from {MASK_PROBABILITY:g} on"
        )
    if texts:
        joined = "; ".join(texts)
        notes.append(f"measured {joined} for what the networks miss or add")
    return notes
