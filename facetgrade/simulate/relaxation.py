"""Relaxation times, proton density and fat share of every tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

from facetgrade.simulate.scene import Tissue

FIELDS_T = (1.5, 3.0)  # of the tables


def at_field(pair: tuple[float, float], field_t: float) -> float:
    """Return a value at any field strength from those at 1.5 T and 3 T.

    Parameters
    ----------
    pair : tuple of float
        Values at `FIELDS_T`, both positive.
    field_t : float
        Field strength in tesla, positive.

    Returns
    -------
    float
        On the power law through both points; at 1.5 T and 3 T the values themselves.

    References
    ----------
    .. [1] Bottomley PA et al. Med Phys 1984;11:425-448: T1 of tissue follows A B0^b.
    """
    if field_t in FIELDS_T:
        return pair[FIELDS_T.index(field_t)]
    low_t, high_t = FIELDS_T
    exponent = math.log(field_t / low_t) / math.log(high_t / low_t)
    return float(pair[0] * (pair[1] / pair[0]) ** exponent)


@dataclass(frozen=True, slots=True)
class Relaxation:
    """MR properties of the water of a tissue, and how much of it is fat.

    Attributes
    ----------
    t1_ms, t2_ms : tuple of float
        At 1.5 T and 3 T.
    proton_density : float
        Relative to water.
    fat_fraction : float
        Share of the proton density that is fat.
    gadolinium_r1_per_s : float
        Rate added to 1/T1 some minutes after contrast agent.
    texture : float
        Relative standard deviation of the signal inside the tissue.
    """

    t1_ms: tuple[float, float]
    t2_ms: tuple[float, float]
    proton_density: float
    fat_fraction: float = 0.0
    gadolinium_r1_per_s: float = 0.0
    texture: float = 0.02


# clinical.md 6.1; denervated muscle and scar are choices between muscle, edema and
# ligament. The T2 of fat is the apparent one of long echo trains.
FAT = Relaxation((288, 375), (165, 133), 0.9)

RELAXATION: dict[Tissue, Relaxation] = {
    Tissue.AIR: Relaxation((1000, 1000), (1, 1), 0.0),
    Tissue.SKIN: Relaxation((900, 1100), (30, 28), 0.7, 0.1, 0.3),
    Tissue.SUBCUTANEOUS_FAT: Relaxation((900, 1100), (40, 36), 0.9, 0.93, 0.05, 0.04),
    Tissue.FASCIA: Relaxation((800, 950), (18, 16), 0.5, 0.05, 0.1),
    Tissue.MUSCLE: Relaxation((1010, 1400), (38, 36), 0.8, 0.05, 0.15, 0.08),
    Tissue.INTRAMUSCULAR_FAT: Relaxation((950, 1200), (40, 36), 0.9, 0.8, 0.1, 0.08),
    Tissue.CORTICAL_BONE: Relaxation((300, 350), (1, 1), 0.1, 0.0, 0.0, 0.0),
    Tissue.MARROW: Relaxation((900, 1100), (48, 42), 0.85, 0.42, 0.25, 0.16),
    Tissue.SACRAL_MARROW: Relaxation((900, 1100), (46, 40), 0.85, 0.55, 0.2, 0.18),
    Tissue.ENDPLATE: Relaxation((400, 450), (8, 7), 0.35, 0.0, 0.1),
    Tissue.NUCLEUS_PULPOSUS: Relaxation((1165, 1350), (130, 115), 0.8, 0.0, 0.0, 0.05),
    Tissue.ANNULUS_FIBROSUS: Relaxation((1000, 1150), (45, 40), 0.65, 0.0, 0.05, 0.05),
    Tissue.CSF: Relaxation((4200, 4300), (2000, 1800), 1.0, 0.0, 0.0, 0.02),
    Tissue.NERVE: Relaxation((780, 993), (90, 80), 0.72, 0.05, 0.1),
    Tissue.EPIDURAL_FAT: Relaxation((900, 1100), (45, 40), 0.9, 0.9, 0.5, 0.05),
    Tissue.FORAMINAL_FAT: Relaxation((900, 1100), (45, 40), 0.9, 0.88, 0.4, 0.06),
    Tissue.LIGAMENTUM_FLAVUM: Relaxation((800, 950), (25, 22), 0.6, 0.02, 0.1),
    Tissue.LIGAMENT: Relaxation((800, 950), (20, 18), 0.6, 0.08, 0.15, 0.1),
    Tissue.CARTILAGE: Relaxation((1060, 1240), (42, 37), 0.75, 0.0, 0.1),
    Tissue.JOINT_FLUID: Relaxation((2850, 3620), (1210, 767), 1.0, 0.0, 0.1),
    Tissue.CAPSULE: Relaxation((800, 950), (22, 20), 0.6, 0.03, 0.3),
    Tissue.SYNOVIUM: Relaxation((1100, 1300), (60, 52), 0.85, 0.05, 1.2),
    Tissue.VESSEL: Relaxation((1400, 1650), (150, 120), 0.9, 0.0, 4.0, 0.1),
    Tissue.ABDOMINAL_FAT: Relaxation((900, 1100), (40, 36), 0.9, 0.92, 0.1, 0.06),
    Tissue.BOWEL: Relaxation((900, 1100), (80, 70), 0.75, 0.15, 1.0, 0.2),
    Tissue.ORGAN: Relaxation((700, 850), (60, 50), 0.8, 0.03, 1.5, 0.08),
    Tissue.BASIVERTEBRAL_VEIN: Relaxation((1300, 1550), (130, 105), 0.9, 0.1, 3.0),
    Tissue.METAL: Relaxation((1000, 1000), (1, 1), 0.0),
    Tissue.DENERVATED_MUSCLE: Relaxation((1200, 1600), (62, 57), 0.85, 0.1, 0.4, 0.1),
    Tissue.SCAR: Relaxation((1000, 1250), (48, 44), 0.8, 0.1, 1.5, 0.15),
}

# Inflamed fluid holds protein and cells: shorter than the synovial fluid of a healthy
# joint. The agent diffuses into it slowly, while the inflamed synovium takes it up.
EFFUSION = Relaxation((2300, 2800), (500, 420), 1.0, 0.0, 0.35)
INFLAMED_SYNOVIUM = Relaxation((1500, 1800), (150, 130), 0.95, 0.0, 2.2)
SOFT_TISSUE_EDEMA = Relaxation((1550, 1850), (110, 100), 0.95, 0.0, 1.8)
MARROW_EDEMA = Relaxation((1100, 1300), (95, 85), 0.85, 0.1, 1.6)
CYST = Relaxation((2400, 2900), (600, 480), 1.0, 0.0, 0.1)
