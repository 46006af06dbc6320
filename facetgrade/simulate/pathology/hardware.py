"""Post-operative metal: pedicle screws and rods over one or two segments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import VERTEBRAE, Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.scene import SceneGrid, Tissue, VertebraTruth

_SCREW_RADIUS_MM = (2.5, 3.5)
_ROD_RADIUS_MM = (2.5, 3.0)
_HEAD_RADIUS_MM = (5.0, 6.5)
_HEAD_LENGTH_MM = 10.0
_BEYOND_PEDICLE_MM = (20.0, 32.0)
_CONVERGENCE_DEG = (5.0, 18.0)
_TILT_SD_DEG = 4.0
_LONGEST_WAY_OUT_MM = 24.0
_LEAST_PEDICLE_MM3 = 100.0
_SEGMENTS = ("L2", "L3", "L4", "L5", "S1")
_SOFT = (
    Tissue.MUSCLE,
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.SUBCUTANEOUS_FAT,
    Tissue.FASCIA,
    Tissue.SCAR,
    Tissue.DENERVATED_MUSCLE,
)


@dataclass(frozen=True, eq=False, slots=True)
class _Bar:
    """Round bar between two points."""

    start_lps_mm: NDArray[np.float64]
    stop_lps_mm: NDArray[np.float64]
    radius_mm: float


def fuse_segments(
    grids: tuple[SceneGrid, ...],
    vertebrae: tuple[VertebraTruth, ...],
    rng: np.random.Generator,
) -> str:
    """Screw two or three vertebrae together on both sides, in place.

    Parameters
    ----------
    grids : tuple of SceneGrid
        Body and column, in this order; their tissue is overwritten by metal.
    vertebrae : tuple of VertebraTruth
        From the top.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    str
        Names of the outer vertebrae like ``L4-S1``, empty if there is no room for two
        screws.
    """
    able = [vertebra for vertebra in vertebrae if vertebra.name in _SEGMENTS]
    count = int(rng.integers(2, 4))
    if len(able) < count:
        return ""
    first = int(rng.integers(len(able) - count + 1))
    fused = able[first : first + count]
    drawn = False
    for sign in (1.0, -1.0):
        screws = [_screw(grids[-1], vertebra, sign, rng) for vertebra in fused]
        placed = [screw for screw in screws if screw is not None]
        if len(placed) < 2:
            continue
        bars = [*placed, *_rods(placed, rng)]
        for grid in grids:
            _paint(grid, bars)
        drawn = True
    return f"{fused[0].name}-{fused[-1].name}" if drawn else ""


def _screw(
    column: SceneGrid, vertebra: VertebraTruth, sign: float, rng: np.random.Generator
) -> _Bar | None:
    """Place a screw through the middle of a pedicle; it starts at its head."""
    middle = _pedicle_center(column, vertebra, sign)
    if middle is None:
        return None
    inward = np.tan(np.deg2rad(rng.uniform(*_CONVERGENCE_DEG)))
    tilt = np.tan(np.deg2rad(rng.normal(0.0, _TILT_SD_DEG)))
    forward = -vertebra.posterior - sign * inward * vertebra.left
    forward = forward + tilt * vertebra.cranial
    forward /= np.linalg.norm(forward)
    out_mm = _way_out_mm(column, middle, -forward)
    return _Bar(
        middle - out_mm * forward,
        middle + rng.uniform(*_BEYOND_PEDICLE_MM) * forward,
        rng.uniform(*_SCREW_RADIUS_MM),
    )


def _rods(screws: list[_Bar], rng: np.random.Generator) -> Iterator[_Bar]:
    """Give every screw its head, and join the heads by a rod with free ends."""
    head_mm, rod_mm = rng.uniform(*_HEAD_RADIUS_MM), rng.uniform(*_ROD_RADIUS_MM)
    tops = []
    for screw in screws:
        back = screw.start_lps_mm - screw.stop_lps_mm
        top = screw.start_lps_mm + _HEAD_LENGTH_MM * back / np.linalg.norm(back)
        yield _Bar(screw.start_lps_mm, top, head_mm)
        tops.append(top)
    for upper, lower in pairwise(tops):
        free = 8.0 * (upper - lower) / np.linalg.norm(upper - lower)
        yield _Bar(upper + free, lower - free, rod_mm)


def _pedicle_center(
    column: SceneGrid, vertebra: VertebraTruth, sign: float
) -> NDArray[np.float64] | None:
    """Find the middle of a pedicle; the sacrum's lies beside its first joints."""
    number = 1 + VERTEBRAE.index(vertebra.name)
    found = np.argwhere(
        (column.structure == Structure.PEDICLE) & (column.vertebra == number)
    )
    points = column.geometry.to_lps(found)
    points = points[sign * ((points - vertebra.center_lps_mm) @ vertebra.left) > 0.0]
    if len(points) * column.geometry.voxel_volume_mm3 < _LEAST_PEDICLE_MM3:
        return None
    middle: NDArray[np.float64] = points.mean(axis=0)
    return middle


def _way_out_mm(
    column: SceneGrid, start_lps_mm: NDArray[np.float64], back: NDArray[np.float64]
) -> float:
    """Walk backward out of the bone to the muscle."""
    steps_mm = np.arange(6.0, _LONGEST_WAY_OUT_MM, 1.0)
    points = start_lps_mm + steps_mm[:, None] * back
    index = np.rint(column.geometry.to_index(points)).astype(int)
    index = np.clip(index, 0, np.array(column.tissue.shape) - 1)
    soft = np.isin(column.tissue[tuple(index.T)], [int(t) for t in _SOFT])
    return float(steps_mm[int(np.argmax(soft))]) if soft.any() else _LONGEST_WAY_OUT_MM


def _paint(grid: SceneGrid, bars: list[_Bar]) -> None:
    """Fill bars with metal wherever a grid holds some of the patient."""
    for bar in bars:
        window = _window(bar, grid.geometry)
        if window is None:
            continue
        lines = [np.arange(side.start, side.stop) for side in window]
        steps = np.meshgrid(*lines, indexing="ij")
        points = grid.geometry.to_lps(np.stack(steps, axis=-1))
        axis = bar.stop_lps_mm - bar.start_lps_mm
        share = ((points - bar.start_lps_mm) @ axis) / (axis @ axis)
        nearest = bar.start_lps_mm + np.clip(share, 0.0, 1.0)[..., None] * axis
        inside = np.linalg.norm(points - nearest, axis=-1) <= bar.radius_mm
        inside &= grid.tissue[window] != Tissue.AIR
        grid.tissue[window][inside] = Tissue.METAL


def _window(bar: _Bar, geometry: VolumeGeometry) -> tuple[slice, slice, slice] | None:
    """Bound a bar on a grid; None where the grid does not hold any of it."""
    ends = geometry.to_index(np.stack([bar.start_lps_mm, bar.stop_lps_mm]))
    margin = bar.radius_mm / geometry.spacing_mm
    start = np.clip(np.floor(ends.min(axis=0) - margin), 0, geometry.shape).astype(int)
    stop = np.ceil(ends.max(axis=0) + margin).astype(int) + 1
    stop = np.clip(stop, 0, geometry.shape)
    if (stop <= start).any():
        return None
    bounds = [slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)]
    return bounds[0], bounds[1], bounds[2]
