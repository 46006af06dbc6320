"""From tissues to signals: spin-echo physics, or any intensity at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import VERTEBRAE, Lesion
from facetgrade.simulate import relaxation
from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.simulate.relaxation import RELAXATION, Relaxation, at_field
from facetgrade.simulate.scene import Tissue

_DISC_T2_FACTOR = (1.0, 0.88)  # of the T2 at 1.5 T, at 1.5 T and 3 T


@dataclass(frozen=True, slots=True)
class LesionSignal:
    """Signal of a fully abnormal voxel; water and fat replace those of the host.

    Attributes
    ----------
    water, fat : float
        Signal of the inside.
    rim : float
        Water signal of the outer millimeter (enhancing synovium).
    kept_fat : float
        Share of the host's fat that stays.
    opacity : float
        Share of the host that is replaced where the lesion fraction is 1.
    """

    water: float
    fat: float
    rim: float
    kept_fat: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Signals:
    """Signal of every material on one series, water and fat apart.

    Attributes
    ----------
    water, fat : (30,) float32 ndarray
        By `Tissue`; signed after inversion; fat before suppression.
    texture, water_texture : (30,) float32 ndarray
        Relative standard deviation of fat and water inside the tissue; of opposite sign
        where more of one means less of the other.
    disc_water : (12,) float32 ndarray
        Water of the nucleus pulposus, by `SceneGrid.vertebra`.
    lesions : mapping of Lesion to LesionSignal
        Effusion, edema and cyst.
    reference : float
        Brightest common tissue, to which noise and gain refer.
    """

    water: NDArray[np.float32]
    fat: NDArray[np.float32]
    texture: NDArray[np.float32]
    water_texture: NDArray[np.float32]
    disc_water: NDArray[np.float32]
    lesions: Mapping[Lesion, LesionSignal]
    reference: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SubjectTissue:
    """How one subject's tissues differ from the table; the same in all series.

    Attributes
    ----------
    t1_factor, t2_factor, density_factor : (30,) float64 ndarray
        By `Tissue`.
    fat_fraction : (30,) float64 ndarray
        By `Tissue`.
    disc_t2_ms : (12,) float64 ndarray
        T2 at 1.5 T of the nucleus, by `SceneGrid.vertebra`.
    lesion_t2_factor : mapping of Lesion to float
        Spread of the T2 of lesions.
    edema_opacity : float
        How densely edema fills its place, 0-1.
    vessel_flow : float
        Share of the blood signal that flow leaves.
    synovitis : float
        Share of the effusion that is enhancing synovium, 0-1.
    """

    t1_factor: NDArray[np.float64]
    t2_factor: NDArray[np.float64]
    density_factor: NDArray[np.float64]
    fat_fraction: NDArray[np.float64]
    disc_t2_ms: NDArray[np.float64]
    lesion_t2_factor: Mapping[Lesion, float]
    edema_opacity: float
    vessel_flow: float
    synovitis: float


def draw_subject_tissue(
    rng: np.random.Generator, *, spread: float = 1.0
) -> SubjectTissue:
    """Draw one subject: marrow fat, muscle fat, disc degeneration, small spreads.

    Parameters
    ----------
    rng : Generator
        Source of all draws.
    spread : float
        How far relaxation and density stray from the table; 1 is between people, more
        makes contrasts that no protocol gives, for training.
    """
    count = len(Tissue)

    def factor(deviation: float) -> NDArray[np.float64]:
        strays = rng.normal(0.0, deviation, count).clip(-3 * deviation, 3 * deviation)
        return np.exp(spread * strays)

    fat = np.array([RELAXATION[tissue].fat_fraction for tissue in Tissue])
    marrow = rng.uniform(0.25, 0.62)
    fat[Tissue.MARROW] = marrow
    fat[Tissue.SACRAL_MARROW] = min(marrow + rng.normal(0.08, 0.08), 0.8)
    fat[Tissue.MUSCLE] = rng.uniform(0.02, 0.18)
    fat[Tissue.INTRAMUSCULAR_FAT] = rng.uniform(0.6, 0.9)
    age = rng.uniform(0.0, 1.0)
    # Nucleus T2 of Pfirrmann grades I-IV: 210, 129, 84, 51 ms (clinical.md 6.1).
    disc_t2_ms = rng.normal(145 - 85 * age, 25, len(VERTEBRAE) + 1).clip(38, 210)
    return SubjectTissue(
        t1_factor=factor(0.06),
        t2_factor=factor(0.08),
        density_factor=factor(0.03),
        fat_fraction=fat.clip(0.0, 0.95),
        disc_t2_ms=disc_t2_ms,
        lesion_t2_factor={lesion: float(rng.uniform(0.7, 1.2)) for lesion in Lesion},
        edema_opacity=rng.uniform(0.5, 1.0),
        vessel_flow=rng.uniform(0.05, 0.4),
        synovitis=rng.uniform(0.3, 0.9),
    )


def physics_signals(protocol: Protocol, subject: SubjectTissue) -> Signals:
    """Compute the signal of every tissue and lesion on one series.

    Parameters
    ----------
    protocol : Protocol
        Timing, field strength, fat suppression, contrast agent.
    subject : SubjectTissue
        From `draw_subject_tissue`.

    References
    ----------
    .. [1] Bernstein, King, Zhou. Handbook of MRI Pulse Sequences, 2004, ch. 14:
       S = PD (1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2).
    """
    field_t = protocol.field_t
    table = [RELAXATION[tissue] for tissue in Tissue]
    density = np.array([t.proton_density for t in table]) * subject.density_factor
    t1_ms = np.array([at_field(t.t1_ms, field_t) for t in table]) * subject.t1_factor
    t2_ms = np.array([at_field(t.t2_ms, field_t) for t in table]) * subject.t2_factor
    if protocol.contrast_agent:
        t1_ms = 1.0 / (1.0 / t1_ms + [t.gadolinium_r1_per_s / 1e3 for t in table])
    weight = _spin_echo(protocol, t1_ms, t2_ms)
    water = density * (1.0 - subject.fat_fraction) * weight
    water[Tissue.VESSEL] *= subject.vessel_flow
    fat = density * subject.fat_fraction * _fat_weight(protocol)
    disc_t2_ms = subject.disc_t2_ms * at_field(_DISC_T2_FACTOR, field_t)
    disc = _spin_echo(protocol, t1_ms[Tissue.NUCLEUS_PULPOSUS], disc_t2_ms)
    disc *= np.interp(subject.disc_t2_ms, [50.0, 150.0], [0.75, 1.0])  # drier discs
    texture = np.array([t.texture for t in table], np.float32)
    return Signals(
        water=water.astype(np.float32),
        fat=fat.astype(np.float32),
        texture=texture,
        water_texture=_water_texture(texture, subject.fat_fraction),
        disc_water=(density[Tissue.NUCLEUS_PULPOSUS] * disc).astype(np.float32),
        lesions=_lesion_signals(protocol, subject),
        reference=_reference(protocol, water, fat),
    )


def random_contrast(rng: np.random.Generator) -> Signals:
    """Draw an independent intensity for every tissue and lesion.

    A localizer that learns from such images must use shapes, not intensities.
    Air stays dark; cortex, ligaments and metal are mostly dark, as on any contrast.

    Parameters
    ----------
    rng : Generator
        Source of all draws.
    """
    water = rng.uniform(0.02, 1.0, len(Tissue))
    water[Tissue.AIR] = rng.uniform(0.0, 0.03)
    water[Tissue.METAL] = 0.0
    for dark in (Tissue.CORTICAL_BONE, Tissue.ENDPLATE, Tissue.LIGAMENTUM_FLAVUM):
        water[dark] = rng.uniform(0.0, rng.choice([0.2, 0.2, 0.2, 1.0]))
    if rng.random() < 0.6:  # fats look alike more often than not
        fats = [t for t in Tissue if RELAXATION[t].fat_fraction > 0.7]
        water[fats] = (
            water[Tissue.SUBCUTANEOUS_FAT] + rng.normal(0, 0.05, len(fats))
        ).clip(0, 1)
    if rng.random() < 0.6:
        water[Tissue.SACRAL_MARROW] = water[Tissue.MARROW] * rng.uniform(0.7, 1.3)
    nucleus = water[Tissue.NUCLEUS_PULPOSUS]
    lesions = {
        lesion: LesionSignal(rng.uniform(0.1, 1.0), 0.0, rng.uniform(0.1, 1.0))
        for lesion in Lesion
    }
    texture = rng.uniform(0.0, 0.15, len(Tissue)).astype(np.float32)
    return Signals(
        water=water.astype(np.float32),
        fat=np.zeros(len(Tissue), np.float32),
        texture=texture,
        water_texture=texture,
        disc_water=(nucleus * rng.uniform(0.6, 1.3, len(VERTEBRAE) + 1)).astype(
            np.float32
        ),
        lesions=lesions,
        reference=float(np.quantile(water, 0.9)),
    )


def _water_texture(
    texture: NDArray[np.float32], fat_fraction: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Let water make room for fat in marrow; in other tissues both vary together."""
    water = texture.copy()
    for marrow in (Tissue.MARROW, Tissue.SACRAL_MARROW):
        share = fat_fraction[marrow] / (1.0 - fat_fraction[marrow])
        water[marrow] *= -min(share, 2.0)
    return water


def _spin_echo(
    protocol: Protocol, t1_ms: NDArray[np.float64], t2_ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weigh a proton by saturation, inversion and decay; signed after inversion."""
    recovery = 1.0 - np.exp(-protocol.tr_ms / t1_ms)
    if protocol.ti_ms:
        recovery -= 2.0 * (
            np.exp(-protocol.ti_ms / t1_ms) - np.exp(-protocol.tr_ms / t1_ms)
        )
    weight: NDArray[np.float64] = recovery * np.exp(-protocol.te_ms / t2_ms)
    return weight


def _fat_weight(protocol: Protocol) -> float:
    """Weigh a proton of fat; an inversion time is chosen by the site to null fat."""
    t1_ms = at_field(relaxation.FAT.t1_ms, protocol.field_t)
    if protocol.fat_suppression is FatSuppression.STIR:
        t1_ms = 0.97 * protocol.ti_ms / np.log(2.0)
    t2_ms = at_field(relaxation.FAT.t2_ms, protocol.field_t)
    return float(_spin_echo(protocol, np.array(t1_ms), np.array(t2_ms)))


def _reference(
    protocol: Protocol, water: NDArray[np.float64], fat: NDArray[np.float64]
) -> float:
    """Find the brightest of fluid, fat, marrow and muscle as they will appear."""
    common = [Tissue.CSF, Tissue.SUBCUTANEOUS_FAT, Tissue.MARROW, Tissue.MUSCLE]
    suppressed = protocol.fat_suppression is not FatSuppression.NONE
    visible = np.abs(water + (0.0 if suppressed else 1.0) * fat)
    return float(visible[common].max())


def _lesion_signals(
    protocol: Protocol, subject: SubjectTissue
) -> dict[Lesion, LesionSignal]:
    """Compute effusion with its synovial rim, edema and cyst."""

    def water(material: Relaxation, lesion: Lesion) -> float:
        t1_ms = at_field(material.t1_ms, protocol.field_t)
        if protocol.contrast_agent:
            t1_ms = 1.0 / (1.0 / t1_ms + material.gadolinium_r1_per_s / 1e3)
        t2_ms = at_field(material.t2_ms, protocol.field_t)
        t2_ms *= subject.lesion_t2_factor[lesion]
        weight = float(_spin_echo(protocol, np.array(t1_ms), np.array(t2_ms)))
        return material.proton_density * (1.0 - material.fat_fraction) * weight

    fat = _fat_weight(protocol)
    synovium = water(relaxation.INFLAMED_SYNOVIUM, Lesion.EFFUSION)
    fluid = water(relaxation.EFFUSION, Lesion.EFFUSION)
    share, opacity = subject.synovitis, subject.edema_opacity
    inside = (1.0 - share) * fluid + share * synovium
    soft = water(relaxation.SOFT_TISSUE_EDEMA, Lesion.SOFT_TISSUE_EDEMA)
    marrow = water(relaxation.MARROW_EDEMA, Lesion.MARROW_EDEMA)
    marrow_fat = relaxation.MARROW_EDEMA.fat_fraction * fat
    cyst = water(relaxation.CYST, Lesion.CYST)
    return {
        Lesion.EFFUSION: LesionSignal(inside, 0.0, synovium),
        Lesion.SOFT_TISSUE_EDEMA: LesionSignal(soft, 0.0, soft, 0.1, opacity),
        Lesion.MARROW_EDEMA: LesionSignal(marrow, marrow_fat, marrow, 0.0, opacity),
        Lesion.CYST: LesionSignal(cyst, 0.0, synovium),
    }
