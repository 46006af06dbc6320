"""Acquire a stack of slices from a scene: sampling, coil, k-space, noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.simulate.fields import lattice_lps_mm, upsample
from facetgrade.simulate.imperfections import Imperfections
from facetgrade.simulate.kspace import encode
from facetgrade.simulate.pulsation import (
    pulsating_signal,
    pulsation_ghosts,
    sampled_view,
)
from facetgrade.simulate.rendering import RenderContext, render_block
from facetgrade.simulate.sampling import (
    Limits,
    crop_limits,
    integrate_slices,
    overlap,
)
from facetgrade.simulate.saturation import saturation_profile
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue
from facetgrade.simulate.tissue import Signals

GAIN = 1000.0
_BORDER_MM = 3.0
_COIL_LATTICE_MM = 12.0
_SPINE_DEPTH_MM = 60.0
_FAT_PPM = 3.4
# Excitation of about 1 kHz over the slice at 64 Hz per ppm.
_SLICE_SHIFT_PER_PPM = 0.06


def acquire(
    scene: Scene,
    geometry: VolumeGeometry,
    *,
    slice_thickness_mm: float,
    signals: Signals,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> Volume:
    """Acquire one stack; only the part of the scene under the grid is touched.

    Parameters
    ----------
    scene : Scene
        The patient, in the space of the scanner.
    geometry : VolumeGeometry
        Where the slices lie; spacing of axis 0 includes the gap.
    slice_thickness_mm : float
        Width of the slice profile at half height.
    signals : Signals
        From `physics_signals` or `random_contrast`.
    imperfections : Imperfections
        From `draw_imperfections`.
    rng : Generator
        Noise, texture and motion.

    Returns
    -------
    Volume
        Magnitudes; the brightest common tissue is about 1000.
    """
    context = RenderContext(
        signals=signals,
        imperfections=imperfections,
        fat_shift_lps_mm=_fat_shift_lps_mm(geometry, imperfections),
        metal_shift_lps_mm_per_ppm=_metal_shift_lps_mm(
            geometry, slice_thickness_mm, imperfections
        ),
        rng=rng,
    )
    axis = imperfections.phase_axis
    wrapped = round(imperfections.wrap_share * geometry.shape[axis])
    wide = _widened(geometry, axis, wrapped)
    image = _integrate(scene, wide, slice_thickness_mm, context)
    sensitivity = _sensitivity(scene, wide, imperfections, rng)
    image *= sensitivity
    if imperfections.saturation is not None:
        image *= saturation_profile(imperfections.saturation, wide)
    image = _folded(image, axis, wrapped)
    ghosts = _ghosts(scene, geometry, slice_thickness_mm, signals.water, imperfections)
    magnitude = encode(
        image, geometry, signals.reference, imperfections, rng, ghosts=ghosts
    )
    own = _inner(axis, wrapped, geometry.shape[axis])
    magnitude /= sensitivity[own] ** imperfections.coil_correction
    magnitude *= np.float32(GAIN / signals.reference)
    return Volume(geometry=geometry, voxels=magnitude)


def _widened(geometry: VolumeGeometry, axis: int, pixels: int) -> VolumeGeometry:
    """Add pixels at both ends of one axis."""
    start, shape = [0, 0, 0], list(geometry.shape)
    start[axis], shape[axis] = -pixels, shape[axis] + 2 * pixels
    return geometry.crop((0, start[1], start[2]), (shape[0], shape[1], shape[2]))


def _inner(axis: int, pixels: int, count: int) -> tuple[slice, ...]:
    """Select the field of view within a widened grid."""
    return (*[slice(None)] * axis, slice(pixels, pixels + count))


def _folded(image: NDArray[np.float32], axis: int, pixels: int) -> NDArray[np.float32]:
    """Fold what lies beyond the field of view onto its other end."""
    count = image.shape[axis] - 2 * pixels
    folded = image[_inner(axis, pixels, count)].copy()
    if pixels:
        folded[_inner(axis, 0, pixels)] += image[_inner(axis, pixels + count, pixels)]
        far = _inner(axis, count - pixels, pixels)
        folded[far] += image[_inner(axis, 0, pixels)]
    return folded


def _integrate(
    scene: Scene,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    context: RenderContext,
) -> NDArray[np.float32]:
    """Integrate both grids of the scene over the slices; the column goes first."""
    inner, block = overlap(scene.column.geometry, geometry)
    weight = None if inner is None else _weight(scene.column.geometry, inner)
    if weight is not None and inner is not None and _covers(weight, geometry):
        return _sample_column(scene.column, inner, slice_thickness_mm, context)
    limits = crop_limits(scene.body.geometry, geometry, slice_thickness_mm)
    image = _sample(scene.body, geometry, slice_thickness_mm, limits, context)
    if weight is not None and inner is not None:
        fine = _sample_column(scene.column, inner, slice_thickness_mm, context)
        image[block] += weight * (fine - image[block])
    return image


def _sample_column(
    column: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    context: RenderContext,
) -> NDArray[np.float32]:
    """Integrate the column, whose border the body grid hides."""
    start, stop = crop_limits(column.geometry, geometry, slice_thickness_mm)
    shape = np.array(column.geometry.shape)
    within = (np.clip(start, 0, shape - 1), np.clip(stop, 1, shape))
    return _sample(column, geometry, slice_thickness_mm, within, context)


def _sample(
    grid: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    limits: Limits,
    context: RenderContext,
) -> NDArray[np.float32]:
    """Integrate the signal of one scene grid over the slice profile."""
    start, stop = limits
    return integrate_slices(
        render_block(grid, start, stop, context),
        grid.geometry,
        start,
        geometry,
        slice_thickness_mm,
        grain_mm=float(grid.geometry.spacing_mm.min()),
    )


def _fat_shift_lps_mm(
    geometry: VolumeGeometry, imperfections: Imperfections
) -> NDArray[np.float64]:
    """Return the displacement of fat along the frequency axis."""
    frequency_axis = 3 - imperfections.phase_axis
    step: NDArray[np.float64] = geometry.index_to_lps[:3, frequency_axis]
    return step * imperfections.chemical_shift_px


def _metal_shift_lps_mm(
    geometry: VolumeGeometry, slice_thickness_mm: float, imperfections: Imperfections
) -> NDArray[np.float64]:
    """Return the displacement by a field of 1 ppm, in the plane and across it."""
    in_plane = _fat_shift_lps_mm(geometry, imperfections) / _FAT_PPM
    across: NDArray[np.float64] = geometry.axes[0] * slice_thickness_mm
    return in_plane + _SLICE_SHIFT_PER_PPM * across


def _weight(column: VolumeGeometry, inner: VolumeGeometry) -> NDArray[np.float32]:
    """Weigh the column grid: 1 inside, falling to 0 at its border."""
    matrix = np.linalg.inv(column.index_to_lps) @ inner.index_to_lps
    weight = np.full(inner.shape, 1.0, np.float32)
    grids = np.ogrid[tuple(slice(0, count) for count in inner.shape)]
    for axis, count in enumerate(column.shape):
        terms = [np.float32(matrix[axis, k]) * grids[k] for k in range(3)]
        index = terms[0] + terms[1] + terms[2] + np.float32(matrix[axis, 3])
        depth = np.minimum(index, (count - 1) - index)
        depth *= np.float32(column.spacing_mm[axis] / _BORDER_MM)
        np.minimum(weight, depth, out=weight)
    return np.maximum(weight, 0.0)


def _covers(weight: NDArray[np.float32], geometry: VolumeGeometry) -> bool:
    """Tell whether the column grid alone decides the whole stack."""
    return weight.shape == geometry.shape and float(weight.min()) >= 1.0


def _sensitivity(
    scene: Scene,
    geometry: VolumeGeometry,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Compute the profile of the coil, with a smooth remaining bias."""
    lattice = lattice_lps_mm(geometry, _COIL_LATTICE_MM)
    profile = _coil_profile(scene, lattice, imperfections.coil_depth_mm)
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    waves = np.sin(lattice * (2.0 * np.pi / rng.uniform(150.0, 400.0, 3)) + phases)
    profile *= np.exp(imperfections.bias_amplitude * waves.mean(axis=-1) * np.sqrt(6.0))
    return upsample(profile.astype(np.float32), geometry.shape)


def _coil_profile(
    scene: Scene, lattice: NDArray[np.float64], half_mm: float
) -> NDArray[np.float64]:
    """Compute what a coil below the back sees, relative to the depth of the spine."""
    coarse = scene.body.tissue[::6, ::6, ::6] != Tissue.AIR
    back_mm = scene.body.geometry.to_lps(np.argwhere(coarse) * 6.0)[:, 1].max()
    depth_mm = np.maximum(back_mm - lattice[..., 1], 0.0)
    profile: NDArray[np.float64] = 1.0 / (1.0 + (depth_mm / half_mm) ** 2)
    profile *= 1.0 + (_SPINE_DEPTH_MM / half_mm) ** 2
    return profile


def _ghosts(
    scene: Scene,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    water: NDArray[np.float32],
    imperfections: Imperfections,
) -> NDArray[np.complex64] | None:
    """Make the ghosts of pulsation on a stack, None where nothing pulsates."""
    axis, pulsation = imperfections.phase_axis, imperfections.pulsation
    if pulsation is None:
        return None
    whole = sampled_view(geometry, axis, pulsation.lines)
    found = pulsating_signal(scene.body, whole, slice_thickness_mm, water, pulsation)
    if found is None:
        return None
    swing, block = found
    start = (block[0].start, block[1].start, block[2].start)
    own = whole.crop(start, (swing.shape[0], swing.shape[1], swing.shape[2]))
    lattice = lattice_lps_mm(own, _COIL_LATTICE_MM)
    profile = _coil_profile(scene, lattice, imperfections.coil_depth_mm)
    swing *= upsample(profile.astype(np.float32), own.shape)
    if imperfections.saturation is not None:
        swing *= saturation_profile(imperfections.saturation, own)
    shown = pulsation_ghosts(swing, block, whole, axis, pulsation)
    pixels = (whole.shape[axis] - geometry.shape[axis]) // 2
    placed = list(block)
    placed[axis] = slice(None)
    ghosts = np.zeros(geometry.shape, np.complex64)
    ghosts[tuple(placed)] = shown[_inner(axis, pixels, geometry.shape[axis])]
    return ghosts
