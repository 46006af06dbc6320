"""Ghosts of flowing blood and pulsating CSF along the phase axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.protocols import Protocol
from facetgrade.simulate.sampling import Block, crop_limits, integrate_slices, overlap
from facetgrade.simulate.scene import SceneGrid, Tissue
from facetgrade.simulate.settings import ScannerSettings
from facetgrade.study import Plane

_COARSE_MM = 2.5  # at which large vessels are told from small ones
_OVERSAMPLED = 1.5  # lines along the spine, over those shown
_UNCOMPENSATED_CSF = 0.5  # of the swing of vessels; CSF flows more slowly than blood


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulsation:
    """How the signal of what flows changes with the heartbeat during one series.

    Attributes
    ----------
    vessel_amplitude, csf_amplitude : float
        Swing of the signal about its mean, relative.
    heart_rate_bpm : float
        Beats per minute.
    phase : float
        Of the heartbeat at the first echo train, in radians.
    repetition_ms : float
        Time between two echo trains of one slice.
    shots : int
        Echo trains; line k of k-space belongs to train k modulo `shots`.
    lines : int
        Lines of k-space.
    pixels : int
        Pixels of the field of view along the phase axis; less than `lines` where more
        is sampled than shown.
    """

    vessel_amplitude: float
    csf_amplitude: float
    heart_rate_bpm: float
    phase: float
    repetition_ms: float
    shots: int
    lines: int
    pixels: int


def draw_pulsation(
    protocol: Protocol,
    phase_axis: int,
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> Pulsation | None:
    """Draw how strongly flow ghosts on one series.

    Fluid-sensitive series are compensated for slow flow, so that their CSF ghosts less.

    Parameters
    ----------
    protocol : Protocol
        Its timing decides where ghosts lie.
    phase_axis : int
        1 or 2; along the spine more is sampled than shown.
    scanner : ScannerSettings
        Ranges of amplitude and heart rate.
    rng : Generator
        Source of all draws.

    Returns
    -------
    Pulsation or None
        None where nothing pulsates.
    """
    amplitude = float(rng.uniform(*scanner.pulsation_amplitude))
    if amplitude == 0.0:
        return None
    compensated = float(rng.uniform(*scanner.pulsation_csf_share))
    heart_rate_bpm = float(rng.uniform(*scanner.heart_rate_bpm))
    phase = float(rng.uniform(0.0, 2.0 * np.pi))
    share = compensated if protocol.te_ms > 40.0 else _UNCOMPENSATED_CSF
    along_spine = protocol.plane is Plane.SAGITTAL and phase_axis == 1
    lines = round(protocol.matrix * (_OVERSAMPLED if along_spine else 1.0))
    return Pulsation(
        vessel_amplitude=amplitude,
        csf_amplitude=amplitude * share,
        heart_rate_bpm=heart_rate_bpm,
        phase=phase,
        repetition_ms=protocol.tr_ms,
        shots=max(2, round(lines / protocol.echo_train_length)),
        lines=lines,
        pixels=protocol.matrix,
    )


def sampled_view(
    geometry: VolumeGeometry, phase_axis: int, lines: int
) -> VolumeGeometry:
    """Extend a stack along the phase axis to all that is sampled there.

    Ghosts come from the whole field of view, also onto a stack that holds but the
    surroundings of a joint. They repeat after it, so that its size matters more than
    where it begins; the stack is put in its middle.

    Parameters
    ----------
    geometry : VolumeGeometry
        Slices.
    phase_axis : int
        1 or 2.
    lines : int
        Pixels that are sampled; a stack that has as many stays as it is.
    """
    missing = max(0, lines - geometry.shape[phase_axis])
    start, shape = [0, 0, 0], list(geometry.shape)
    start[phase_axis], shape[phase_axis] = -(missing // 2), shape[phase_axis] + missing
    return geometry.crop((0, start[1], start[2]), (shape[0], shape[1], shape[2]))


def pulsating_signal(
    body: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    water: NDArray[np.float32],
    pulsation: Pulsation,
) -> tuple[NDArray[np.float32], Block] | None:
    """Integrate how far the signal of large vessels and CSF swings.

    It is taken from the coarse grid of the body alone: ghosts are faint. Veins of the
    epidural space and between the loops of the bowel are too small to pulsate.

    Parameters
    ----------
    body : SceneGrid
        Labels.
    geometry : VolumeGeometry
        Slices, from `sampled_view`.
    slice_thickness_mm : float
        Width of the slice profile at half height.
    water : (30,) float32 ndarray
        Signed signal of every tissue.
    pulsation : Pulsation
        Amplitudes.

    Returns
    -------
    (slice, row, column) float32 ndarray and tuple of slice, or None
        Swing in a block of the slices and the block; None where nothing pulsates.
    """
    found = _swing(body, geometry, slice_thickness_mm, water, pulsation)
    if found is None:
        return None
    swing, start = found
    own = body.geometry.crop((start[0], start[1], start[2]), swing.shape)
    inner, block = overlap(own, geometry)
    if inner is None:
        return None
    image = integrate_slices(
        swing,
        body.geometry,
        np.array(start),
        inner,
        slice_thickness_mm,
        grain_mm=max(_COARSE_MM, float(body.geometry.spacing_mm.min())),
    )
    return image, block


def pulsation_ghosts(
    swing: NDArray[np.float32],
    block: Block,
    geometry: VolumeGeometry,
    phase_axis: int,
    pulsation: Pulsation,
) -> NDArray[np.complex64]:
    """Make the ghosts of what pulsates.

    Every line of k-space is weighed by the moment of the heartbeat at which its echo
    train was excited. The trains are interleaved, so that the weights repeat after
    `Pulsation.shots` lines: ghosts are displaced by fractions of the field of view.

    Parameters
    ----------
    swing : (slice, row, column) float32 ndarray
        From `pulsating_signal`, as the coil sees it.
    block : tuple of slice
        Where it lies in the slices.
    geometry : VolumeGeometry
        Slices, from `sampled_view`.
    phase_axis : int
        1 or 2.
    pulsation : Pulsation
        Timing.

    Returns
    -------
    (slice, row, column) complex64 ndarray
        To be added to the image; as large as the block, along the phase axis as all
        that is sampled.

    References
    ----------
    .. [1] Wood ML, Henkelman RM. MR image artifacts from periodic motion. Med Phys
       1985;12:143-151.
    """
    lines = geometry.shape[phase_axis]
    shape = list(swing.shape)
    shape[phase_axis] = lines
    whole = np.zeros(shape, np.float32)
    along = (slice(None),) * phase_axis
    whole[(*along, block[phase_axis])] = swing
    whole *= np.expand_dims(_reach(lines, pulsation.pixels), 2 - phase_axis)
    weights = _heartbeat(geometry.shape[0], lines, pulsation)[block[0]]
    kspace = scipy.fft.fft(whole, axis=phase_axis)
    kspace *= np.expand_dims(weights, 3 - phase_axis)
    ghosts: NDArray[np.complex64] = scipy.fft.ifft(
        kspace, axis=phase_axis, overwrite_x=True
    )
    return ghosts


def _reach(lines: int, pixels: int) -> NDArray[np.float32]:
    """Weigh lines by what the coil elements beside the shown ones still see."""
    beyond = np.abs(np.arange(lines) - (lines - 1) / 2.0) - pixels / 2.0
    share = np.clip(beyond / max((lines - pixels) / 4.0, 1.0), 0.0, 1.0)
    reach: NDArray[np.float32] = np.cos(0.5 * np.pi * share).astype(np.float32) ** 2
    return reach


def _heartbeat(slices: int, lines: int, pulsation: Pulsation) -> NDArray[np.float32]:
    """Weigh every line of every slice by its moment of the heartbeat, -1 to 1."""
    train = (np.arange(lines) + lines // 2) % lines % pulsation.shots
    # Odd slices are excited after the even ones.
    order = np.argsort(np.r_[np.arange(0, slices, 2), np.arange(1, slices, 2)])
    turn = train[None, :] + order[:, None] / slices
    beats = turn * (pulsation.repetition_ms / 60_000.0 * pulsation.heart_rate_bpm)
    return np.cos(2.0 * np.pi * beats + pulsation.phase).astype(np.float32)


def _swing(
    body: SceneGrid,
    geometry: VolumeGeometry,
    slice_thickness_mm: float,
    water: NDArray[np.float32],
    pulsation: Pulsation,
) -> tuple[NDArray[np.float32], list[int]] | None:
    """Paint the swing of what pulsates into the smallest block of the body grid."""
    limits = crop_limits(body.geometry, geometry, slice_thickness_mm)
    start, stop = (np.clip(one, 0, body.tissue.shape) for one in limits)
    tissue = body.tissue[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    if tissue.size == 0:
        return None
    step = max(1, round(_COARSE_MM / float(body.geometry.spacing_mm.min())))
    coarse = tissue[::step, ::step, ::step]
    vessels = ndimage.binary_opening(np.pad(coarse == Tissue.VESSEL, 1, mode="edge"))
    vessels = vessels[1:-1, 1:-1, 1:-1]
    places = np.argwhere(vessels | (coarse == Tissue.CSF))
    if len(places) == 0:
        return None
    low = np.maximum(places.min(axis=0) - 1, 0) * step
    high = np.minimum((places.max(axis=0) + 2) * step, tissue.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    grown = ndimage.binary_dilation(vessels)
    for axis in range(3):
        grown = np.repeat(grown, step, axis=axis)
    table = np.zeros(len(Tissue), np.float32)
    table[Tissue.CSF] = pulsation.csf_amplitude * water[Tissue.CSF]
    table[Tissue.VESSEL] = pulsation.vessel_amplitude * water[Tissue.VESSEL]
    swing = table[tissue[box]]
    swing[(tissue[box] == Tissue.VESSEL) & ~grown[box]] = 0.0
    # Beyond the body its ends are repeated, as in the image.
    before = np.where(low == 0, start - limits[0], 0)
    after = np.where(high == tissue.shape, limits[1] - stop, 0)
    swing = np.pad(swing, np.stack([before, after], axis=1).clip(0), mode="edge")
    return swing, [int(a) for a in start + low - before]
