"""From the image that a perfect scanner would see to the one of a real k-space."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.imperfections import Imperfections, Motion, Pose, Window


def encode(
    image: NDArray[np.float32],
    geometry: VolumeGeometry,
    reference: float,
    imperfections: Imperfections,
    rng: np.random.Generator,
    *,
    ghosts: NDArray[np.complex64] | None = None,
) -> NDArray[np.float32]:
    """Pass every slice through its k-space and return the magnitude.

    Parameters
    ----------
    image : (slice, row, column) float32 ndarray
        Signed signal.
    geometry : VolumeGeometry
        Its grid.
    reference : float
        Brightest common tissue, to which the noise refers.
    imperfections : Imperfections
        Truncation, window, noise, ghosts, motion.
    rng : Generator
        Noise and shifts.
    ghosts : (slice, row, column) complex64 ndarray or None
        Ghosts of what pulsates.
    """
    noise = _noise(image.shape, reference, imperfections, rng)
    if imperfections.motion is None:
        noise += image
    if ghosts is not None:
        noise += ghosts
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
    """Draw complex noise that is as strong as wanted after the window."""
    left = 1.0
    for axis, kept in _kept(imperfections).items():
        place = np.abs(scipy.fft.fftfreq(shape[axis])) / (0.5 * kept)
        left *= float(np.sqrt(np.mean(_window(place, imperfections.window) ** 2)))
    sigma = np.float32(reference / imperfections.snr / left)
    noise: NDArray[np.complex64] = rng.standard_normal((*shape, 2), np.float32).view(
        np.complex64
    )[..., 0]
    noise *= sigma
    return noise


def _kept(imperfections: Imperfections) -> dict[int, float]:
    """Return the acquired share of k-space by in-plane axis."""
    return {
        imperfections.phase_axis: imperfections.kept_phase,
        3 - imperfections.phase_axis: imperfections.kept_frequency,
    }


def _decode(
    kspace: NDArray[np.complex64],
    geometry: VolumeGeometry,
    imperfections: Imperfections,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Weigh the lines of every slice and return the magnitude of the image."""
    kept = _kept(imperfections)
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
