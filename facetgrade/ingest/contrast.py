"""Contrast from the pixels alone: whether fluid is bright and fat is dark.

The spinal canal is found as the tube that stands out most from what lies in front of,
behind and beside it. Around it, tissues are compared where anatomy puts them: marrow
in front, paraspinal muscle behind, fat and everything else at the sides. The ratios
enter a logistic model whose weights are in series_rules.toml. Only ratios of nearby
tissues are used, because coils make the back brighter than the front; where fat is
compared with muscle the shading is removed first. Fat inside muscle decides most:
bright streaks make its histogram lean one way, suppressed ones the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from facetgrade.geometry import Volume
from facetgrade.ingest.canal import CanalView, view_canal
from facetgrade.ingest.settings import PixelRules
from facetgrade.study import Sequence as Contrast

FEATURES = (
    "canal",
    "beside",
    "canal_muscle",
    "canal_marrow",
    "muscle_spread",
    "under_skin",
    "muscle_skew",
    "even_beside",
    "even_back",
    "dark_beside",
)

_MIN_CELLS = 50

_FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PixelEvidence:
    """What the pixels show, as natural logarithms of odds.

    Attributes
    ----------
    fluid : float
        Positive when fluid is bright (T2), negative when dark (T1).
    fat : float
        Positive when fat is bright, negative when suppressed.
    sentences : tuple of str
        The measurement in words.
    """

    fluid: float = 0.0
    fat: float = 0.0
    sentences: tuple[str, ...] = ()


def measure_contrast(volumes: Sequence[Volume], rules: PixelRules) -> PixelEvidence:
    """Judge fluid and fat in the stacks of one series.

    Parameters
    ----------
    volumes : sequence of Volume
        Stacks of one contrast.
    rules : PixelRules
        Weights of the logistic model and the range of its features.

    Returns
    -------
    PixelEvidence
        Without any evidence when no canal can be in view.
    """
    features = contrast_features(volumes)
    if features is None:
        return PixelEvidence()
    low, high = np.array(rules.feature_low), np.array(rules.feature_high)
    known = np.where(np.isfinite(features), features, (low + high) / 2.0)
    inputs = np.append(np.clip(known, low, high), 1.0)
    odds = {name: float(np.dot(row, inputs)) for name, row in rules.weights.items()}
    fluid = _log_odds(odds, (Contrast.T2, Contrast.T2_FS))
    fat = _log_odds(odds, (Contrast.T1, Contrast.T2))
    return PixelEvidence(fluid, fat, (_sentence(features, fluid, fat),))


def contrast_features(volumes: Sequence[Volume]) -> _FloatArray | None:
    """Measure the brightness ratios around the canal.

    Parameters
    ----------
    volumes : sequence of Volume
        Stacks of one contrast.

    Returns
    -------
    (10,) float64 ndarray or None
        Natural logarithms of the `FEATURES`: canal over its surroundings, the bright
        part beside the canal over the canal, canal over muscle, canal over marrow, the
        spread within the muscles, the bright layer under the skin of the back over
        muscle; the skew of the muscles' histogram; with shading removed, the bright
        part beside the canal and toward the skin over muscle, and muscle over the
        dark part beside the canal. NaN where a tissue is not in view, None where the
        canal cannot be.
    """
    views = [view for volume in volumes if (view := view_canal(volume)) is not None]
    if not views:
        return None
    counts = [len(view.canal_log) for view in views]
    contrast = np.average([view.contrast for view in views], weights=counts)
    logs, even = [view.log for view in views], [view.even for view in views]
    over_canal = [view.log - view.canal_log[:, None, None] for view in views]
    muscle, marrow, back = (
        _cells(views, logs, zone) for zone in ("muscle", "marrow", "back")
    )
    even_beside, even_muscle, even_back = (
        _cells(views, even, zone) for zone in ("beside", "muscle", "back")
    )
    fluid = float(np.median(np.concatenate([view.canal_log for view in views])))
    dark_muscle, mean_even = _quantile(muscle, 0.3), _quantile(even_muscle, 0.5)
    return np.array(
        [
            contrast,
            _quantile(_cells(views, over_canal, "beside"), 0.85),
            fluid - dark_muscle,
            fluid - _quantile(marrow, 0.5),
            _quantile(muscle, 0.85) - dark_muscle,
            _quantile(back, 0.93) - _quantile(muscle, 0.5),
            _skew(muscle),
            _quantile(even_beside, 0.9) - mean_even,
            _quantile(even_back, 0.9) - mean_even,
            mean_even - _quantile(even_beside, 0.1),
        ]
    )


def _cells(
    views: Sequence[CanalView], values: Sequence[_FloatArray], zone: str
) -> _FloatArray:
    """Collect the known values in one zone of all views."""
    found = [v[view.zones[zone]] for view, v in zip(views, values, strict=True)]
    cells = np.concatenate(found)
    return cells[np.isfinite(cells)]


def _quantile(values: _FloatArray, share: float) -> float:
    """Return a quantile, NaN when too few cells are in view."""
    return float(np.quantile(values, share)) if len(values) >= _MIN_CELLS else np.nan


def _skew(values: _FloatArray) -> float:
    """Return Bowley's skewness of a histogram, -1 to 1, NaN when unknown."""
    low, middle, high = (_quantile(values, share) for share in (0.1, 0.5, 0.9))
    return (low + high - 2.0 * middle) / max(high - low, 1e-6)


def _log_odds(odds: dict[Contrast, float], positive: tuple[Contrast, ...]) -> float:
    """Return the logarithm of the odds of some classes against the others."""
    chosen = [value for name, value in odds.items() if name in positive]
    others = [value for name, value in odds.items() if name not in positive]
    return float(logsumexp(chosen) - logsumexp(others))


def _sentence(features: _FloatArray, fluid: float, fat: float) -> str:
    """Put the measurement into words."""
    ratios = dict(zip(FEATURES, np.exp(features), strict=True))
    return (
        f"pixels: canal {ratios['canal']:.1f} times its surroundings, "
        f"{ratios['canal_muscle']:.1f} times muscle, "
        f"{ratios['canal_marrow']:.1f} times marrow; odds of bright fluid "
        f"{_odds_text(fluid)}, of suppressed fat {_odds_text(-fat)}"
    )


def _odds_text(log_odds: float) -> str:
    """Write odds as 20:1 or 1:20."""
    times = min(float(np.exp(abs(log_odds))), 999.0)
    return f"{times:.0f}:1" if log_odds >= 0 else f"1:{times:.0f}"
