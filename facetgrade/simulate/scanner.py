"""Acquire a stack of slices from a scene: sampling, coil, k-space, noise."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.simulate.fields import lattice_lps_mm, upsample
from facetgrade.simulate.imperfections import (
    Imperfections,
    Motion,
    Pose,
    SaturationBand,
    Window,
)
from facetgrade.simulate.rendering import RenderContext, render_block
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue
from facetgrade.simulate.tissue import Signals

GAIN = 1000.0
_BORDER_MM = 3.0
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
    magnitude = _encode(image, geometry, signals.reference, imperfections, rng)
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
    inner, block = _overlap(scene.column.geometry, geometry)
    weight = None if inner is None else _weight(scene.column.geometry, inner)
    if weight is not None and inner is not None and _covers(weight, geometry):
        return _sample_column(scene.column, inner, slice_thickness_mm, context)
    limits = _crop_limits(scene.body.geometry, geometry, slice_thickness_mm)
    image = _sample(scene.body, geometry, slice_thickness_mm, limits, context)
    if weight is not None and inner is not None:
        fine = _sample_column(scene.column, inner, slice_thickness_mm, context)
        image[block] += weight * (fine - image[block])
    return image


_Block = tuple[slice, slice, slice]


_Limits = tuple[NDArray[np.int64], NDArray[np.int64]]


def _sample_column(
    column: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    context: RenderContext,
) -> NDArray[np.float32]:
    """Integrate the column, whose border the body grid hides."""
    start, stop = _crop_limits(column.geometry, geometry, slice_thickness_mm)
    shape = np.array(column.geometry.shape)
    within = (np.clip(start, 0, shape - 1), np.clip(stop, 1, shape))
    return _sample(column, geometry, slice_thickness_mm, within, context)


def _sample(
    grid: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    limits: _Limits,
    context: RenderContext,
) -> NDArray[np.float32]:
    """Integrate the signal of one scene grid over the slice profile."""
    spacing_mm = float(grid.geometry.spacing_mm.min())
    count = int(np.clip(np.ceil(1.2 * slice_thickness_mm / (1.6 * spacing_mm)), 1, 6))
    offsets = ((np.arange(count) + 0.5) / count - 0.5) * 1.2  # in thicknesses
    weights = 1.0 / (1.0 + (2.0 * np.abs(offsets)) ** 10)
    start, stop = limits
    signal = render_block(grid, start, stop, context)
    matrix = np.linalg.inv(grid.geometry.index_to_lps) @ geometry.index_to_lps
    slices = slice_thickness_mm / geometry.spacing_mm[0]
    image = np.zeros(geometry.shape, np.float32)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        origin = matrix[:3, 3] + matrix[:3, 0] * offset * slices - start
        image += np.float32(weight) * ndimage.affine_transform(
            signal,
            matrix[:3, :3],
            offset=origin,
            output_shape=geometry.shape,
            order=1,
            mode="nearest",
            output=np.float32,
        )
    return image


def _crop_limits(
    grid: VolumeGeometry, geometry: VolumeGeometry, slice_thickness_mm: float
) -> _Limits:
    """Find the block of indices that a stack touches; it may leave the grid."""
    index = grid.to_index(_corners_lps_mm(geometry))
    margin = (0.6 * slice_thickness_mm + 3.0) / grid.spacing_mm
    start = np.floor(index.min(axis=0) - margin).astype(np.int64)
    stop = np.ceil(index.max(axis=0) + margin).astype(np.int64) + 1
    return start, stop


def _corners_lps_mm(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Return the eight corner voxel centers of a grid."""
    ends = [(0, count - 1) for count in geometry.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(8, 3)
    return geometry.to_lps(corners)


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


def _overlap(
    column: VolumeGeometry, geometry: VolumeGeometry
) -> tuple[VolumeGeometry | None, _Block]:
    """Find the block of a stack that lies over the column grid."""
    index = geometry.to_index(_corners_lps_mm(column))
    last = np.array(geometry.shape) - 1
    start = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)), None, last).astype(int) + 1
    block = (
        slice(start[0], stop[0]),
        slice(start[1], stop[1]),
        slice(start[2], stop[2]),
    )
    if (stop <= start).any():
        return None, block
    size = tuple(int(n) for n in stop - start)
    corner = (int(start[0]), int(start[1]), int(start[2]))
    return geometry.crop(corner, (size[0], size[1], size[2])), block


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
    """Compute the profile of a coil below the back, with a smooth remaining bias."""
    lattice = lattice_lps_mm(geometry, 12.0)
    coarse = scene.body.tissue[::6, ::6, ::6] != Tissue.AIR
    back_mm = scene.body.geometry.to_lps(np.argwhere(coarse) * 6.0)[:, 1].max()
    depth_mm = np.maximum(back_mm - lattice[..., 1], 0.0)
    half_mm = imperfections.coil_depth_mm
    profile = 1.0 / (1.0 + (depth_mm / half_mm) ** 2)
    profile *= 1.0 + (_SPINE_DEPTH_MM / half_mm) ** 2
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    waves = np.sin(lattice * (2.0 * np.pi / rng.uniform(150.0, 400.0, 3)) + phases)
    profile *= np.exp(imperfections.bias_amplitude * waves.mean(axis=-1) * np.sqrt(6.0))
    return upsample(profile.astype(np.float32), geometry.shape)


def saturation_profile(
    band: SaturationBand, geometry: VolumeGeometry
) -> NDArray[np.float32]:
    """Compute the share of the signal that a saturation band leaves, on a grid."""
    lattice = lattice_lps_mm(geometry, 6.0)
    beyond_mm = (lattice - band.point_lps_mm) @ band.normal
    inside = 1.0 / (1.0 + np.exp(-beyond_mm / band.edge_mm))
    return upsample((1.0 - band.strength * inside).astype(np.float32), geometry.shape)


def _encode(
    image: NDArray[np.float32],
    geometry: VolumeGeometry,
    reference: float,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Pass every slice through its k-space and return the magnitude."""
    noise = _noise(image.shape, reference, imperfections, rng)
    if imperfections.motion is None:
        noise += image
    kspace = scipy.fft.fft2(noise, overwrite_x=True)
    if imperfections.motion is not None:
        kspace += _moving_kspace(
            image, geometry, imperfections.phase_axis, imperfections.motion
        )
    magnitude = _decode(kspace, geometry, imperfections, rng)
    if imperfections.coil_elements > 1:
        # All signal is given to the first element; noise of the sum is the same.
        power = magnitude**2
        for _ in range(imperfections.coil_elements - 1):
            noise = _noise(image.shape, reference, imperfections, rng)
            kspace = scipy.fft.fft2(noise, overwrite_x=True)
            power += _decode(kspace, geometry, imperfections, rng) ** 2
        magnitude = np.sqrt(power)
    return magnitude


def _noise(
    shape: tuple[int, ...],
    reference: float,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.complex64]:
    """Draw complex noise that is as strong as wanted after truncation."""
    area = imperfections.kept_phase * imperfections.kept_frequency
    sigma = np.float32(reference / imperfections.snr / np.sqrt(area))
    noise: NDArray[np.complex64] = rng.standard_normal((*shape, 2), np.float32).view(
        np.complex64
    )[..., 0]
    noise *= sigma
    return noise


def _decode(
    kspace: NDArray[np.complex64],
    geometry: VolumeGeometry,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Weigh the lines of every slice and return the magnitude of the image."""
    kept = {
        imperfections.phase_axis: imperfections.kept_phase,
        3 - imperfections.phase_axis: imperfections.kept_frequency,
    }
    for axis in (1, 2):
        ramp = _line_weights(
            kspace.shape, axis, kept[axis], geometry, imperfections, rng
        )
        kspace *= ramp.astype(np.complex64)
    magnitude: NDArray[np.float32] = np.abs(scipy.fft.ifft2(kspace, overwrite_x=True))
    return magnitude


def _moving_kspace(
    image: NDArray[np.float32],
    geometry: VolumeGeometry,
    phase_axis: int,
    motion: Motion,
) -> NDArray[np.complex64]:
    """Collect every line of k-space from the pose in which it was acquired."""
    lines = image.shape[phase_axis]
    time = ((np.arange(lines) + lines // 2) % lines % motion.shots) / motion.shots
    starts = [pose.start for pose in motion.poses]
    pose_of_line = np.searchsorted(starts, time, side="right")
    kspace: NDArray[np.complex64] = scipy.fft.fft2(image)
    for number, pose in enumerate(motion.poses, start=1):
        own = pose_of_line == number
        moved = scipy.fft.fft2(_posed(image, geometry.spacing_mm, pose))
        place = (slice(None), own) if phase_axis == 1 else (..., own)
        kspace[place] = moved[place]
    return kspace


def _posed(
    image: NDArray[np.float32], spacing_mm: NDArray[np.float64], pose: Pose
) -> NDArray[np.float32]:
    """Turn every slice about its middle, then shift it."""
    angle = np.deg2rad(pose.rotation_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    in_plane = turn * spacing_mm[None, 1:] / spacing_mm[1:, None]
    middle = (np.array(image.shape[1:]) - 1.0) / 2.0
    shift = np.array(pose.shift_mm) / spacing_mm[1:]
    matrix = np.eye(3)
    matrix[1:, 1:] = in_plane
    offset = np.array([0.0, *(middle - in_plane @ (middle + shift))])
    posed: NDArray[np.float32] = ndimage.affine_transform(
        image, matrix, offset=offset, order=1, mode="nearest", output=np.float32
    )
    return posed


def _line_weights(
    shape: tuple[int, ...],
    axis: int,
    kept: float,
    geometry: VolumeGeometry,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.complex128]:
    """Weigh the lines of k-space along one axis: truncation, shift, ghosts."""
    frequency = scipy.fft.fftfreq(shape[axis])
    edge = 0.5 * kept
    window = _window(np.abs(frequency) / edge, imperfections.window)
    shift_mm = rng.normal(0.0, imperfections.slice_shift_mm, (shape[0], 1))
    turns = frequency[None, :] * shift_mm / geometry.spacing_mm[axis]
    weights: NDArray[np.complex128] = window[None, :] * np.exp(-2j * np.pi * turns)
    if axis == imperfections.phase_axis and imperfections.ghost_amplitude:
        lines = np.arange(shape[axis]) / rng.uniform(2.5, 6.0)
        phase = rng.uniform(0.0, 2.0 * np.pi, (shape[0], 1))
        ripple = np.cos(2.0 * np.pi * lines[None, :] + phase)
        weights = weights * (1.0 + 2.0 * imperfections.ghost_amplitude * ripple)
    return weights[:, :, None] if axis == 1 else weights[:, None, :]


def _window(place: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """Weigh lines by their place between the middle (0) and the edge (1)."""
    if window is Window.HAMMING:
        inside = 0.54 + 0.46 * np.cos(np.pi * np.minimum(place, 1.0))
        return np.where(place <= 1.0, inside, 0.0)
    # A Fermi window, as scanners use, leaves a little truncation ringing.
    fermi: NDArray[np.float64] = 1.0 / (1.0 + np.exp((place - 0.97) / 0.035))
    return fermi
