"""Turn the labels of a block of the scene into signal before the scanner sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.fields import SlabNoise, lattice_lps_mm, upsample
from facetgrade.simulate.imperfections import Imperfections
from facetgrade.simulate.metal import (
    MetalField,
    displace,
    hit_water,
    metal_field,
    missed_fat,
)
from facetgrade.simulate.scene import SceneGrid, Tissue
from facetgrade.simulate.tissue import LesionSignal, Signals

_COARSE_MM, _FINE_MM = 5.0, 2.0  # grain of the texture of tissues
_RIM_MM = 0.8
_FAILURE_EDGE = 0.3  # of the radius
_SLAB_VOXELS = 250_000  # a slab of float32 stays in the cache
_Block = tuple[slice, slice, slice] | tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RenderContext:
    """What the signal of a stack depends on beside the labels.

    Attributes
    ----------
    signals : Signals
        Of every tissue and lesion.
    imperfections : Imperfections
        Fat suppression and flow.
    fat_shift_lps_mm : (3,) float64 ndarray
        Displacement of fat by chemical shift.
    metal_shift_lps_mm_per_ppm : (3,) float64 ndarray
        Displacement of all signal by a field that is 1 ppm too strong.
    rng : Generator
        Texture.
    """

    signals: Signals
    imperfections: Imperfections
    fat_shift_lps_mm: NDArray[np.float64]
    metal_shift_lps_mm_per_ppm: NDArray[np.float64]
    rng: np.random.Generator


def render_block(
    grid: SceneGrid,
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    context: RenderContext,
) -> NDArray[np.float32]:
    """Render signed signal, with fat displaced and suppressed.

    Parameters
    ----------
    grid : SceneGrid
        Labels.
    start, stop : (3,) int64 ndarray
        Block of indices; beyond the grid its flanks are mirrored.
    context : RenderContext
        Signals and what disturbs them.

    Returns
    -------
    (S, R, C) float32 ndarray
        Signal of the block.
    """
    signals = context.signals
    block = _indices(grid.geometry, start, stop)
    tissue = grid.tissue[block]
    shape = (tissue.shape[0], tissue.shape[1], tissue.shape[2])
    geometry = grid.geometry.crop((int(start[0]), int(start[1]), int(start[2])), shape)
    water, fat = _paint_tissue(tissue, grid.vertebra[block], geometry, context)
    for lesion, fraction in grid.lesions.items():
        _add_lesion(
            water, fat, fraction[block], signals.lesions[lesion], geometry.spacing_mm
        )
    field = metal_field(tissue, geometry)
    inverse = np.linalg.inv(geometry.index_to_lps[:3, :3])
    if signals.fat.any():
        if context.imperfections.fat_residual < 1.0:
            _suppress_fat(water, fat, geometry, context.imperfections, field)
        steps = np.rint(inverse @ context.fat_shift_lps_mm).astype(int)
        if steps.any():
            fat = np.roll(fat, tuple(steps), axis=(0, 1, 2))
        water += fat
    if field is not None:
        steps_per_ppm = inverse @ context.metal_shift_lps_mm_per_ppm
        water[field.box] = displace(water[field.box], field, steps_per_ppm)
    return water


def _paint_tissue(
    tissue: NDArray[np.uint8],
    vertebra: NDArray[np.uint8],
    geometry: VolumeGeometry,
    context: RenderContext,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Look up water and fat of every voxel, with texture, slab by slab."""
    signals = context.signals
    fat_texture = signals.texture * np.float32(np.sqrt(0.5))
    water_texture = signals.water_texture * np.float32(np.sqrt(0.5))
    water_texture[Tissue.CSF] += context.imperfections.flow_void * np.sqrt(0.5)
    coarse, fine = (
        SlabNoise.draw(geometry, knot_distance_mm=grain_mm, rng=context.rng)
        for grain_mm in (_COARSE_MM, _FINE_MM)
    )
    water = np.empty(tissue.shape, np.float32)
    fat = np.empty(tissue.shape, np.float32)
    for slab in _slabs(geometry.shape):
        labels = tissue[slab]
        excess = coarse.slab(slab)
        excess += fine.slab(slab)
        water_slab = signals.water[labels]
        nucleus = labels == Tissue.NUCLEUS_PULPOSUS
        water_slab[nucleus] = signals.disc_water[vertebra[slab][nucleus]]
        np.multiply(water_slab, 1.0 + water_texture[labels] * excess, out=water[slab])
        np.multiply(
            signals.fat[labels], 1.0 + fat_texture[labels] * excess, out=fat[slab]
        )
    return water, fat


def _slabs(shape: tuple[int, int, int]) -> Iterator[slice]:
    """Cut the first axis into slabs that fit the cache."""
    step = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    for first in range(0, shape[0], step):
        yield slice(first, min(first + step, shape[0]))


def _indices(
    grid: VolumeGeometry, start: NDArray[np.int64], stop: NDArray[np.int64]
) -> _Block:
    """Index a block; beyond the grid the flanks are mirrored, other ends repeated."""
    if (start >= 0).all() and (stop <= np.array(grid.shape)).all():
        return (
            slice(start[0], stop[0]),
            slice(start[1], stop[1]),
            slice(start[2], stop[2]),
        )
    sideways = int(np.abs(grid.axes[:, 0]).argmax())
    lines = []
    for axis, count in enumerate(grid.shape):
        index = np.arange(start[axis], stop[axis])
        if axis == sideways:
            index = (count - 1) - np.abs((count - 1) - np.abs(index))
        lines.append(np.clip(index, 0, count - 1))
    return np.ix_(*lines)


def _add_lesion(
    water: NDArray[np.float32],
    fat: NDArray[np.float32],
    fraction: NDArray[np.float32],
    signal: LesionSignal,
    spacing_mm: NDArray[np.float64],
) -> None:
    """Replace the host by the lesion, in place, by its fraction of each voxel."""
    for box in _occupied_boxes(fraction):
        share = fraction[box] * np.float32(signal.opacity)
        inner: NDArray[np.float32] | float = signal.water
        if signal.rim != signal.water:
            depth = ndimage.gaussian_filter(
                fraction[box], _RIM_MM / spacing_mm, mode="constant", truncate=2.0
            )
            inside = np.clip(2.0 * depth - 1.0, 0.0, 1.0)
            inner = signal.rim + inside * (signal.water - signal.rim)
        water[box] += share * (inner - water[box])
        fat[box] *= 1.0 - share * (1.0 - signal.kept_fat)
        fat[box] += share * signal.fat


def _occupied_boxes(
    fraction: NDArray[np.float32],
) -> Iterator[tuple[slice, slice, slice]]:
    """Yield boxes around a lesion, one for each run of slices that hold some."""
    occupied = (fraction > 0.0).any(axis=(1, 2))
    edges = np.flatnonzero(np.diff(occupied.astype(np.int8), prepend=0, append=0))
    for first, last in edges.reshape(-1, 2):
        box = fraction[first:last] > 0.0
        lines = np.flatnonzero(box.any(axis=(0, 2)))
        columns = np.flatnonzero(box.any(axis=(0, 1)))
        yield (
            slice(first, last),
            slice(lines[0], lines[-1] + 1),
            slice(columns[0], columns[-1] + 1),
        )


def _suppress_fat(
    water: NDArray[np.float32],
    fat: NDArray[np.float32],
    geometry: VolumeGeometry,
    imperfections: Imperfections,
    field: MetalField | None,
) -> None:
    """Leave the residual of fat, in place; near metal the pulse meets the wrong one."""
    residual = _fat_residual(geometry, imperfections)
    if field is None:
        fat *= residual
        return
    kept = np.broadcast_to(residual, fat.shape).copy()
    np.maximum(kept[field.box], missed_fat(field), out=kept[field.box])
    fat *= kept
    water[field.box] *= hit_water(field)


def _fat_residual(
    geometry: VolumeGeometry, imperfections: Imperfections
) -> NDArray[np.float32] | np.float32:
    """Compute the share of fat signal left at every voxel."""
    base = imperfections.fat_residual
    if not imperfections.fat_failures:
        return np.float32(base)
    lattice = lattice_lps_mm(geometry, 6.0)
    failure = np.zeros(lattice.shape[:3])
    for ball in imperfections.fat_failures:
        distance = np.linalg.norm(lattice - ball.center_lps_mm, axis=-1)
        beyond = (distance / ball.radius_mm - 1.0) / _FAILURE_EDGE
        failure = np.maximum(failure, ball.strength / (1.0 + np.exp(beyond)))
    residual = (base + (1.0 - base) * failure).astype(np.float32)
    return upsample(residual, geometry.shape)
