"""Intervals of extents that hold the truth as often as they state.

The ends that `measure_extents` gives come from lower and higher probabilities of the
network and say nothing about its errors. A margin at each end, found on joints whose
true extents are known, makes them reach the stated coverage.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from facetgrade.findings import Extents, Interval
from facetgrade.grade.settings import Margin, MarginSettings

# Volumes are compared as log(volume + this), the least volume that grades, so that the
# error of a small volume is an amount and that of a large one a ratio.
_VOLUME_OFFSET_MM3 = 30.0
MEASURES = (
    "effusion_mm3",
    "effusion_width_mm",
    "soft_tissue_edema_mm3",
    "marrow_edema_mm3",
    "perimeter_fraction",
)
_FRACTIONS = (
    "perimeter_fraction",
    "perimeter_fraction_worst_plane",
    "perimeter_fraction_height_30",
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """How a measure is put on the scale of its margins, and back."""

    forward: Callable[[float], float]
    back: Callable[[float], float]
    highest: float = math.inf


_VOLUME = _Scale(
    lambda v: math.log(v + _VOLUME_OFFSET_MM3),
    lambda x: math.exp(x) - _VOLUME_OFFSET_MM3,
)
_SCALES = {
    "effusion_mm3": _VOLUME,
    "effusion_width_mm": _Scale(float, float),
    "soft_tissue_edema_mm3": _VOLUME,
    "marrow_edema_mm3": _VOLUME,
    "perimeter_fraction": _Scale(float, float, 1.0),
}


def widen_intervals(extents: Extents, margins: MarginSettings) -> Extents:
    """Put the calibrated margins around the intervals of one joint.

    The margins come from joints that show the finding; where nothing at all was
    measured the interval stays empty, and the grade's probability holds the doubt.

    Parameters
    ----------
    extents : Extents
        As measured; the values themselves do not change.
    margins : MarginSettings
        From `fit_margins`.

    Returns
    -------
    Extents
        With intervals that hold their value and lie within what is possible.
    """
    changed: dict[str, Interval] = {}
    for name in MEASURES:
        fields = _FRACTIONS if name == "perimeter_fraction" else (name,)
        for field in fields:
            interval: Interval | None = getattr(extents, field)
            if interval is not None and interval.high > 0.0:
                margin: Margin = getattr(margins, name)
                changed[field] = _widen(interval, margin, _SCALES[name])
    return replace(extents, **changed)  # type: ignore[arg-type]  # names of intervals


def fit_margins(
    measured: Sequence[Extents],
    truth: Sequence[Mapping[str, float]],
    *,
    coverage: float,
) -> MarginSettings:
    """Find the margins that make intervals hold the truth at the stated level.

    Each end misses at most half of what the coverage leaves, by the conformal quantile
    of the distances between that end and the truth [1]_. Joints on which a volume is
    absent and nothing was measured are easy and would hide the others; they are left
    out where enough others remain.

    Parameters
    ----------
    measured : sequence of Extents
        With the intervals of `measure_extents`, one per joint.
    truth : sequence of mapping of str to float
        True values by the names of `MEASURES`, in the same order.
    coverage : float
        Stated level, 0-1.

    Returns
    -------
    MarginSettings
        Zero for a measure with too few joints.

    References
    ----------
    .. [1] Romano Y, Patterson E, Candes E. Conformalized quantile regression. NeurIPS
       2019, arXiv:1905.03222, theorem 2 (both ends apart).
    """
    return MarginSettings(
        **{
            name: _fit_margin(
                [getattr(extents, name) for extents in measured],
                [values[name] for values in truth],
                _SCALES[name],
                coverage,
            )
            for name in MEASURES
        }
    )


def interval_coverage(
    measured: Sequence[Extents], truth: Sequence[Mapping[str, float]]
) -> dict[str, tuple[float, int]]:
    """Return how often each interval holds the truth, and on how many joints.

    Joints on which nothing is present or measured do not count.
    """
    shares = {}
    for name in MEASURES:
        pairs = [
            (interval, values[name])
            for extents, values in zip(measured, truth, strict=True)
            if _is_present(interval := getattr(extents, name), values[name])
        ]
        held = [i.low - 1e-6 <= true <= i.high + 1e-6 for i, true in pairs]
        shares[name] = (float(np.mean(held)) if held else math.nan, len(held))
    return shares


def _is_present(interval: Interval, true: float) -> bool:
    """Tell whether there is something to measure."""
    return interval.value > 0.0 or true > 0.0


def _widen(interval: Interval, margin: Margin, scale: _Scale) -> Interval:
    """Move both ends of one interval."""
    low = scale.back(scale.forward(interval.low) - margin.below)
    high = scale.back(scale.forward(interval.high) + margin.above)
    return Interval(
        interval.value,
        max(0.0, min(low, interval.value)),
        min(scale.highest, max(high, interval.value)),
    )


def _fit_margin(
    measured: Sequence[Interval],
    truth: Sequence[float],
    scale: _Scale,
    coverage: float,
) -> Margin:
    """Fit both ends of one measure."""
    pairs = [
        (interval, true)
        for interval, true in zip(measured, truth, strict=True)
        if _is_present(interval, true)
    ]
    missed = (1.0 - coverage) / 2.0
    if len(pairs) < 1.0 / missed - 1.0:
        return Margin(below=0.0, above=0.0)
    below = [scale.forward(i.low) - scale.forward(true) for i, true in pairs]
    above = [scale.forward(true) - scale.forward(i.high) for i, true in pairs]
    return Margin(
        below=_conformal(below, 1.0 - missed), above=_conformal(above, 1.0 - missed)
    )


def _conformal(distances: Sequence[float], share: float) -> float:
    """Return the distance that the stated share of new joints does not exceed."""
    rank = min(math.ceil((len(distances) + 1) * share), len(distances))
    return float(np.sort(distances)[rank - 1])
