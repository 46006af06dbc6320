"""Contrast from the pixels alone: whether fluid is bright and fat is dark.

The spinal canal is found as the tube that stands out most from what lies in front of,
behind and beside it. Around it, tissues are compared where anatomy puts them: marrow
in front, paraspinal muscle behind, fat and everything else at the sides. The ratios
enter a logistic model whose weights are in series_rules.toml. Only ratios of nearby
tissues are used, because coils make the back brighter than the front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logsumexp

from facetgrade.geometry import Volume
from facetgrade.ingest.settings import PixelRules
from facetgrade.study import Sequence as Contrast

FEATURES = (
    "canal",
    "beside",
    "canal_muscle",
    "canal_marrow",
    "muscle_spread",
    "under_skin",
)

_CELL_MM = 3.0
_SMOOTH_MM = (8.0, 2.5, 2.5)
_FLANK_MM = 12.0
_OFF_CENTER_MM = (60.0, 20.0)
_TALL_MM = 200.0
_TALL_MARGIN = 0.15
_NOISE = 0.02
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


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Coarse volume whose axes grow upward, backward and to the left."""

    values: NDArray[np.float32]
    spacing_mm: _FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class _Canal:
    """Brightest tube of a block: one cell for each level."""

    contrast: float
    levels: NDArray[np.intp]
    cells: NDArray[np.intp]
    brightness: _FloatArray


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
    (6,) float64 ndarray or None
        Natural logarithms of the `FEATURES`: canal over its surroundings, the bright
        part beside the canal over the canal, canal over muscle, canal over marrow, the
        spread within the muscles, and the bright layer under the skin of the back over
        muscle. NaN where a tissue is not in view, None where
        the canal cannot be.
    """
    blocks = [_upright(volume) for volume in volumes if _holds_cells(volume)]
    canals = [_find_canal(block) for block in blocks]
    found = [
        (block, canal)
        for block, canal in zip(blocks, canals, strict=True)
        if canal is not None
    ]
    if not found:
        return None
    counts = [len(canal.levels) for _, canal in found]
    contrast = np.average([canal.contrast for _, canal in found], weights=counts)
    tissues = [_tissues(block, canal) for block, canal in found]
    beside, muscle, marrow, back = (
        np.concatenate(parts) for parts in zip(*tissues, strict=True)
    )
    fluid = float(np.median(np.concatenate([canal.brightness for _, canal in found])))
    dark_muscle = _quantile(muscle, 0.3)
    return np.array(
        [
            contrast,
            np.log(_quantile(beside, 0.85)),
            np.log(fluid / dark_muscle),
            np.log(fluid / _quantile(marrow, 0.5)),
            np.log(_quantile(muscle, 0.85) / dark_muscle),
            np.log(_quantile(back, 0.93) / _quantile(muscle, 0.5)),
        ]
    )


def _holds_cells(volume: Volume) -> bool:
    """Tell whether a volume is at least one cell wide along every axis."""
    grid = volume.geometry
    return bool(np.all(np.array(grid.shape) * grid.spacing_mm >= _CELL_MM))


def _upright(volume: Volume) -> _Block:
    """Average a volume to coarse cells along upward, backward and left."""
    grid = volume.geometry
    order, signs = _axis_order(grid.axes)
    steps = tuple(slice(None, None, sign) for sign in signs)
    voxels = np.transpose(volume.voxels, order)[steps]
    spacing_mm = grid.spacing_mm[order]
    cells = np.maximum((_CELL_MM / spacing_mm + 0.5).astype(int), 1)
    cells = np.minimum(cells, voxels.shape)
    counts = np.array(voxels.shape) // cells
    cut = voxels[tuple(slice(0, n) for n in counts * cells)]
    pairs = [n for pair in zip(counts, cells, strict=True) for n in pair]
    values = cut.reshape(pairs).mean(axis=(1, 3, 5), dtype=np.float32)
    floor = _NOISE * max(float(np.percentile(values, 99.5)), 1e-6)
    return _Block(np.maximum(values, 0.0) + floor, spacing_mm * cells)


def _axis_order(axes: _FloatArray) -> tuple[list[int], list[int]]:
    """Return which array axis runs along z, y and x, and whether it runs upward."""
    order: list[int] = []
    signs: list[int] = []
    for lps in (2, 1, 0):
        left = [axis for axis in range(3) if axis not in order]
        best = max(left, key=lambda axis: abs(axes[axis, lps]))
        order.append(best)
        signs.append(1 if axes[best, lps] >= 0 else -1)
    return order, signs


def _find_canal(block: _Block) -> _Canal | None:
    """Follow the brightest tube through the levels of a block."""
    smooth = ndimage.gaussian_filter(
        block.values, np.array(_SMOOTH_MM) / block.spacing_mm, mode="nearest"
    )
    ratio = np.log(smooth / _second_brightest_flank(smooth, block.spacing_mm))
    allowed = _central(block) & np.isfinite(ratio)
    levels = np.nonzero(allowed.any(axis=(1, 2)))[0]
    if len(levels) == 0:
        return None
    gain = np.where(allowed, np.clip(ratio, -0.3, 2.0), -1.0)[levels]
    reach = np.maximum(np.round(block.spacing_mm[0] / block.spacing_mm[1:]), 1)
    cells, total = _best_path(gain, reach.astype(int))
    brightness = smooth[levels, cells[:, 0], cells[:, 1]].astype(float)
    return _Canal(total / len(levels), levels, cells, brightness)


def _second_brightest_flank(
    smooth: NDArray[np.float32], spacing_mm: _FloatArray
) -> NDArray[np.float32]:
    """Return the second brightest of four cells around each, NaN at the border."""
    flanks = np.full((4, *smooth.shape), np.nan, np.float32)
    for axis in (1, 2):
        step = max(round(_FLANK_MM / spacing_mm[axis]), 1)
        if smooth.shape[axis] <= 2 * step:
            continue
        pair = flanks[2 * axis - 2 : 2 * axis].swapaxes(1, axis + 1)
        moved = smooth.swapaxes(0, axis)
        pair[0, :-step] = moved[step:]
        pair[1, step:] = moved[:-step]
    second: NDArray[np.float32] = np.sort(flanks, axis=0)[2]
    second[np.isnan(flanks).any(axis=0)] = np.nan
    return second


def _central(block: _Block) -> NDArray[np.bool_]:
    """Tell where the canal can be: near the middle, away from upper and lower end."""
    shape = block.values.shape
    levels, rows, columns = (
        np.abs(np.arange(n) - (n - 1) / 2.0) * mm
        for n, mm in zip(shape, block.spacing_mm, strict=True)
    )
    height_mm = shape[0] * block.spacing_mm[0]
    share = 0.5 - _TALL_MARGIN if height_mm > _TALL_MM else 0.5
    allowed: NDArray[np.bool_] = (
        (levels <= share * height_mm)[:, None, None]
        & (rows <= _OFF_CENTER_MM[0])[None, :, None]
        & (columns <= _OFF_CENTER_MM[1])[None, None, :]
    )
    return allowed


def _best_path(
    gain: NDArray[np.float32], reach: NDArray[np.int_]
) -> tuple[NDArray[np.intp], float]:
    """Find the path of greatest total gain that moves at most `reach` per level."""
    size = tuple(2 * reach + 1)
    totals = [gain[0]]
    for level in gain[1:]:
        totals.append(level + ndimage.maximum_filter(totals[-1], size))
    path = [np.unravel_index(np.argmax(totals[-1]), gain.shape[1:])]
    for total in totals[-2::-1]:
        low = np.maximum(np.array(path[-1]) - reach, 0)
        high = np.array(path[-1]) + reach + 1
        near = total[low[0] : high[0], low[1] : high[1]]
        step = np.unravel_index(np.argmax(near), near.shape)
        path.append((step[0] + low[0], step[1] + low[1]))
    return np.array(path[::-1]), float(totals[-1].max())


def _tissues(block: _Block, canal: _Canal) -> tuple[_FloatArray, ...]:
    """Collect cells beside the canal, of muscle, of marrow, and toward the skin.

    The first are over the brightness of the canal.
    """
    beside, muscle, marrow, back = [], [], [], []
    _, rows, columns = block.values.shape
    for k, (row, column), bright in zip(
        canal.levels, canal.cells, canal.brightness, strict=True
    ):
        back_mm = ((np.arange(rows) - row) * block.spacing_mm[1])[:, None]
        aside_mm = np.abs((np.arange(columns) - column) * block.spacing_mm[2])[None, :]
        level = block.values[k].astype(float)
        away_mm = np.hypot(back_mm, aside_mm)
        near = (np.abs(back_mm) <= 20) & (away_mm > 14) & (away_mm < 70)
        beside.append(level[near] / bright)
        behind = (back_mm > 12) & (back_mm < 38) & (aside_mm > 9) & (aside_mm < 32)
        muscle.append(level[behind])
        front = (back_mm > -34) & (back_mm < -14) & (aside_mm < 10)
        marrow.append(level[front])
        skin = (back_mm > 40) & (back_mm < 100) & (aside_mm < 60)
        back.append(level[skin])
    return tuple(np.concatenate(cells) for cells in (beside, muscle, marrow, back))


def _quantile(values: _FloatArray, share: float) -> float:
    """Return a quantile, NaN when too few cells are in view."""
    return float(np.quantile(values, share)) if len(values) >= _MIN_CELLS else np.nan


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
