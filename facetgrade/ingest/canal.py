"""The spinal canal on coarse cells, and the tissues that anatomy puts around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import Volume, block_mean

_CELL_MM = 3.0
_SMOOTH_MM = (8.0, 2.5, 2.5)
_FLANK_MM = 12.0
_OFF_CENTER_MM = (60.0, 20.0)
_TALL_MM = 200.0
_TALL_MARGIN = 0.15
_NOISE = 0.02
_SHADING_MM = 20.0
_AIR = 0.06

_FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class CanalView:
    """What lies around the canal of one stack, on cells of about 3 mm.

    Attributes
    ----------
    contrast : float
        Mean log brightness of the canal over its flanks.
    canal_log : (level,) float64 ndarray
        Log brightness of the canal.
    log : (level, row, column) float64 ndarray
        Log brightness; rows grow backward, columns to the left.
    even : (level, row, column) float64 ndarray
        Log brightness over that of the surroundings, without the shading of a coil;
        NaN in air.
    zones : dict of str to (level, row, column) bool ndarray
        Cells ``beside`` the canal, of ``muscle``, of ``marrow``, toward the ``back``.
    index_to_lps : (4, 4) float64 ndarray
        Maps (level, row, column, 1) to LPS mm.
    """

    contrast: float
    canal_log: _FloatArray
    log: _FloatArray
    even: _FloatArray
    zones: dict[str, NDArray[np.bool_]]
    index_to_lps: _FloatArray


def view_canal(volume: Volume) -> CanalView | None:
    """Find the canal of a stack as the brightest tube, and what lies around it.

    Parameters
    ----------
    volume : Volume
        One stack of any plane.

    Returns
    -------
    CanalView or None
        None where the canal cannot be in view.
    """
    if not _holds_cells(volume):
        return None
    block = _upright(volume)
    canal = _find_canal(block)
    if canal is None:
        return None
    affine = block.index_to_lps.copy()
    affine[:3, 3] += affine[:3, 0] * canal.levels[0]
    return CanalView(
        contrast=canal.contrast,
        canal_log=np.log(canal.brightness),
        log=np.log(block.values[canal.levels].astype(float)),
        even=_evened(block)[canal.levels],
        zones=_zones(block, canal),
        index_to_lps=affine,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Coarse volume whose axes grow upward, backward and to the left."""

    values: NDArray[np.float32]
    index_to_lps: _FloatArray

    @property
    def spacing_mm(self) -> _FloatArray:
        """Size of a cell along each axis."""
        size: _FloatArray = np.linalg.norm(self.index_to_lps[:3, :3], axis=0)
        return size


@dataclass(frozen=True, eq=False, slots=True)
class _Canal:
    """Brightest tube of a block: one cell for each level."""

    contrast: float
    levels: NDArray[np.intp]
    cells: NDArray[np.intp]
    brightness: _FloatArray


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
    values = block_mean(voxels, cells)
    floor = np.float32(_NOISE * max(float(np.percentile(values, 99.5)), 1e-6))
    affine = _cell_affine(volume, order, np.array(signs), cells)
    return _Block(np.maximum(values, np.float32(0.0)) + floor, affine)


def _cell_affine(
    volume: Volume, order: list[int], signs: NDArray[np.int_], cells: NDArray[np.int_]
) -> _FloatArray:
    """Map cell indices to LPS mm."""
    grid = volume.geometry
    matrix = grid.index_to_lps[:3, order]
    inward = (cells - 1) / 2.0
    last = np.array(grid.shape)[order] - 1
    affine = np.eye(4)
    affine[:3, :3] = matrix * signs * cells
    first = np.where(signs > 0, inward, last - inward)
    affine[:3, 3] = grid.index_to_lps[:3, 3] + matrix @ first
    return affine


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


def _zones(block: _Block, canal: _Canal) -> dict[str, NDArray[np.bool_]]:
    """Mark where anatomy puts tissues, for the levels of the canal."""
    _, rows, columns = block.values.shape
    places = canal.cells[:, :, None] * block.spacing_mm[1:, None]
    back_mm = (np.arange(rows) * block.spacing_mm[1] - places[:, 0])[:, :, None]
    aside_mm = np.arange(columns) * block.spacing_mm[2] - places[:, 1]
    aside_mm = np.abs(aside_mm)[:, None, :]
    away_mm = np.hypot(back_mm, aside_mm)
    return {
        "beside": (np.abs(back_mm) <= 20) & (away_mm > 14) & (away_mm < 70),
        "muscle": (back_mm > 12) & (back_mm < 38) & (aside_mm > 9) & (aside_mm < 32),
        "marrow": (back_mm > -34) & (back_mm < -14) & (aside_mm < 10),
        "back": (back_mm > 40) & (back_mm < 100) & (aside_mm < 60),
    }


def _evened(block: _Block) -> _FloatArray:
    """Return log brightness over its surroundings, NaN in air."""
    body = block.values > _AIR * np.percentile(block.values, 99)
    logs = np.log(block.values.astype(float))
    width = _SHADING_MM / block.spacing_mm
    share = ndimage.gaussian_filter(body.astype(float), width)
    mean = ndimage.gaussian_filter(np.where(body, logs, 0.0), width)
    return np.where(body, logs - mean / np.maximum(share, 1e-3), np.nan)
