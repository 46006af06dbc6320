"""What keeps an image from being perfect, drawn for each series."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.simulate.pulsation import Pulsation, draw_pulsation
from facetgrade.simulate.saturation import SaturationBand, draw_saturation
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.settings import ScannerSettings
from facetgrade.simulate.streams import side_stream
from facetgrade.study import Plane

ROWS, COLUMNS = 1, 2  # in-plane axes of a stack
_PULSATION_STREAM = 3


class Window(StrEnum):
    """How the lines at the edge of k-space are weighted."""

    FERMI = "fermi"
    HAMMING = "hamming"


@dataclass(frozen=True, eq=False, slots=True)
class FatFailure:
    """Ball in which a share of the fat comes through, softly bounded."""

    center_lps_mm: NDArray[np.float64]
    radius_mm: float
    strength: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Where the patient lies from a moment of the acquisition on.

    Attributes
    ----------
    start : float
        Share of the acquisition that is over, 0-1.
    shift_mm : tuple of float
        Displacement along rows' and columns' index.
    rotation_deg : float
        In the plane of the image, about its middle.
    """

    start: float
    shift_mm: tuple[float, float]
    rotation_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """Bulk motion between the echo trains of one series.

    Attributes
    ----------
    shots : int
        Echo trains; line k of k-space belongs to train k modulo `shots`.
    poses : tuple of Pose
        In order of time; before the first the patient lies as planned.
    """

    shots: int
    poses: tuple[Pose, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Imperfections:
    """Disturbances of one series.

    Attributes
    ----------
    snr : float
        Brightest common tissue over the standard deviation of the noise.
    coil_depth_mm : float
        Depth below the back at which the coil sees half of what it sees at the skin.
    coil_correction : float
        Share of the coil profile that the scanner removes, 0-1.
    bias_amplitude : float
        Standard deviation of the remaining smooth bias, relative.
    phase_axis : int
        1 when phases are encoded along rows' index, 2 along columns'.
    kept_phase, kept_frequency : float
        Acquired share of k-space along the two in-plane axes.
    chemical_shift_px : float
        Displacement of fat along the frequency axis.
    fat_residual : float
        Share of the fat signal that is left; 1 without suppression.
    fat_failures : tuple of FatFailure
        Where fat comes through.
    slice_shift_mm : float
        Standard deviation of the in-plane shift of a slice.
    ghost_amplitude : float
        Strength of ghosts along the phase axis, relative.
    flow_void : float
        Relative standard deviation of the signal of flowing CSF.
    saturation : SaturationBand or None
        Band in front of the spine.
    motion : Motion or None
        The patient did not lie still.
    wrap_share : float
        Share of the field of view at either end of the phase axis onto which what lies
        beyond is folded.
    window : Window
        Weights of the lines of k-space.
    pulsation : Pulsation or None
        Flow that ghosts.
    coil_elements : int
        Elements whose magnitudes are added as squares; one makes Rician noise.
    """

    snr: float
    coil_depth_mm: float
    coil_correction: float
    bias_amplitude: float
    phase_axis: int
    kept_phase: float
    kept_frequency: float
    chemical_shift_px: float
    fat_residual: float
    fat_failures: tuple[FatFailure, ...] = ()
    slice_shift_mm: float = 0.0
    ghost_amplitude: float = 0.0
    flow_void: float = 0.0
    saturation: SaturationBand | None = None
    motion: Motion | None = None
    wrap_share: float = 0.0
    window: Window = Window.FERMI
    pulsation: Pulsation | None = None
    coil_elements: int = 1


def draw_imperfections(
    protocol: Protocol,
    scene: Scene,
    *,
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> Imperfections:
    """Draw the disturbances of one series.

    Parameters
    ----------
    protocol : Protocol
        Decides fat suppression, phase direction and flow effects.
    scene : Scene
        Regional failures lie around its joints and behind them.
    scanner : ScannerSettings
        Ranges.
    rng : Generator
        Source of all draws.
    """
    fluid_sensitive = protocol.te_ms > 40.0
    phase_axis = _phase_axis(protocol, scanner, rng)
    return Imperfections(
        snr=rng.uniform(*scanner.snr),
        coil_depth_mm=rng.uniform(*scanner.coil_depth_mm),
        coil_correction=rng.uniform(*scanner.coil_correction),
        bias_amplitude=rng.uniform(*scanner.bias_amplitude),
        phase_axis=phase_axis,
        kept_phase=rng.uniform(*scanner.kept_phase_fraction),
        kept_frequency=rng.uniform(*scanner.kept_frequency_fraction),
        chemical_shift_px=rng.uniform(*scanner.chemical_shift_px)
        * rng.choice([-1.0, 1.0]),
        fat_residual=_fat_residual(protocol, scanner, rng),
        fat_failures=_fat_failures(protocol, scene, scanner, rng),
        slice_shift_mm=rng.uniform(*scanner.slice_shift_mm),
        ghost_amplitude=rng.uniform(*scanner.ghost_amplitude),
        flow_void=rng.uniform(*scanner.flow_void) if fluid_sensitive else 0.0,
        saturation=draw_saturation(
            np.array([vertebra.center_lps_mm for vertebra in scene.vertebrae]),
            -np.mean([vertebra.posterior for vertebra in scene.vertebrae], axis=0),
            scanner,
            rng,
        ),
        motion=draw_motion(protocol, scanner, side_stream(rng)),
        wrap_share=_wrap_share(protocol, phase_axis, scanner, rng),
        window=Window(str(rng.choice(scanner.windows))),
        pulsation=draw_pulsation(
            protocol,
            phase_axis,
            scanner,
            side_stream(rng, number=_PULSATION_STREAM),
        ),
        coil_elements=int(rng.choice(scanner.coil_elements)),
    )


def draw_motion(
    protocol: Protocol, scanner: ScannerSettings, rng: np.random.Generator
) -> Motion | None:
    """Draw how a patient moves during one series.

    Parameters
    ----------
    protocol : Protocol
        Its matrix and echo trains share out the lines of k-space.
    scanner : ScannerSettings
        How often and how far.
    rng : Generator
        Source of all draws.

    Returns
    -------
    Motion or None
        None when the patient lies still.
    """
    if rng.random() >= scanner.motion_probability:
        return None
    moves = int(rng.integers(scanner.motion_moves[0], scanner.motion_moves[1] + 1))
    starts = np.sort(rng.uniform(0.1, 0.9, moves))
    shifts_mm = rng.uniform(*scanner.motion_shift_mm, (moves, 2))
    shifts_mm *= rng.choice([-1.0, 1.0], (moves, 2))
    rotations_deg = rng.uniform(*scanner.motion_rotation_deg, moves)
    rotations_deg *= rng.choice([-1.0, 1.0], moves)
    return Motion(
        shots=max(2, round(protocol.matrix / protocol.echo_train_length)),
        poses=tuple(
            Pose(
                start=float(start),
                shift_mm=(float(shift[0]), float(shift[1])),
                rotation_deg=float(rotation),
            )
            for start, shift, rotation in zip(
                starts, shifts_mm, rotations_deg, strict=True
            )
        ),
    )


def _phase_axis(
    protocol: Protocol, scanner: ScannerSettings, rng: np.random.Generator
) -> int:
    """Encode phases along the spine or from side to side, or swapped."""
    usual = ROWS if protocol.plane is Plane.SAGITTAL else COLUMNS
    return ROWS + COLUMNS - usual if rng.random() < scanner.phase_swapped else usual


def _wrap_share(
    protocol: Protocol,
    phase_axis: int,
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> float:
    """Draw how far the flanks fold in, where phases run from side to side.

    Along the spine every scanner oversamples, and a belly is out of the coil's reach.
    """
    share = rng.uniform(*scanner.wrap_share)
    wraps = rng.random() < scanner.wrap_probability
    sideways = protocol.plane is not Plane.SAGITTAL and phase_axis == COLUMNS
    return float(share) if wraps and sideways else 0.0


def _fat_residual(
    protocol: Protocol, scanner: ScannerSettings, rng: np.random.Generator
) -> float:
    """Draw the share of fat that suppression leaves; inversion is in the signal."""
    if protocol.fat_suppression is FatSuppression.SPECTRAL:
        return float(rng.uniform(*scanner.spectral_fat_residual))
    if protocol.fat_suppression is FatSuppression.DIXON_WATER:
        return float(rng.uniform(*scanner.dixon_fat_residual))
    return 1.0


def _fat_failures(
    protocol: Protocol,
    scene: Scene,
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> tuple[FatFailure, ...]:
    """Place failures behind and beside the spine, where B0 is least even."""
    if protocol.fat_suppression is not FatSuppression.SPECTRAL:
        return ()
    if rng.random() > scanner.fat_failure_probability:
        return ()
    middle = np.mean([joint.center_lps_mm for joint in scene.joints.values()], axis=0)
    failures = []
    for _ in range(rng.integers(1, 4)):
        behind_mm = rng.uniform(20.0, 60.0)
        away = rng.normal([0.0, behind_mm, 0.0], [45.0, 15.0, 50.0])
        radius_mm = rng.uniform(*scanner.fat_failure_radius_mm)
        strength = rng.uniform(*scanner.fat_failure_strength)
        failures.append(FatFailure(middle + away, radius_mm, strength))
    return tuple(failures)
