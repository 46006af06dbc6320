"""Names of vertebrae, levels, sides, facet joints, structures and lesions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

VERTEBRAE = ("T10", "T11", "T12", "L1", "L2", "L3", "L4", "L5", "L6", "S1", "S2")
# Joints lie about 29 mm behind and 15 mm beside the line of body centers (five real
# and simulated anatomies agree within 4 mm); lower levels are wider apart.
JOINT_BEHIND_MM = 30.0
JOINT_BESIDE_MM = 16.5


class Level(StrEnum):
    """Motion segment of the lumbar spine, named by its two vertebrae."""

    L1_L2 = "L1-L2"
    L2_L3 = "L2-L3"
    L3_L4 = "L3-L4"
    L4_L5 = "L4-L5"
    L5_S1 = "L5-S1"

    @property
    def upper_vertebra(self) -> str:
        """Name of the vertebra whose inferior articular processes form the joints."""
        return self.value.split("-")[0]

    @property
    def lower_vertebra(self) -> str:
        """Name of the vertebra whose superior articular processes form the joints."""
        return self.value.split("-")[1]


class Side(StrEnum):
    """Side of the patient, never of the picture."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def sign(self) -> int:
        """Sign of the LPS x axis that points away from the midline on this side."""
        return 1 if self is Side.LEFT else -1


@dataclass(frozen=True, order=True, slots=True)
class FacetJoint:
    """One facet (zygapophyseal) joint; sorts by level from the top, left first."""

    level: Level
    side: Side

    def __str__(self) -> str:
        """Return a name like ``L4-L5 right``."""
        return f"{self.level} {self.side}"


class Structure(IntEnum):
    """Anatomical labels of the joint region; `SOFT_TISSUE` is all that is unnamed."""

    SOFT_TISSUE = 0
    SUPERIOR_ARTICULAR_PROCESS = 1
    INFERIOR_ARTICULAR_PROCESS = 2
    JOINT_SPACE = 3
    CAPSULE = 4
    LIGAMENTUM_FLAVUM = 5
    FORAMEN = 6
    PEDICLE = 7
    TRANSVERSE_PROCESS = 8
    VERTEBRAL_BODY = 9
    LAMINA = 10
    CANAL = 11
    DISC = 12


BONES = (
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
    Structure.PEDICLE,
    Structure.TRANSVERSE_PROCESS,
    Structure.VERTEBRAL_BODY,
    Structure.LAMINA,
)


class Lesion(StrEnum):
    """What the segmenter outlines beside the anatomy."""

    EFFUSION = "effusion"
    SOFT_TISSUE_EDEMA = "soft_tissue_edema"
    MARROW_EDEMA = "marrow_edema"
    CYST = "cyst"


class ExtensionSite(StrEnum):
    """Sites whose involvement makes grade 4, as written in tables."""

    FORAMEN = "foramen"
    LIGAMENTUM_FLAVUM = "ligamentum-flavum"
    PEDICLE = "pedicle"
    TRANSVERSE_PROCESS = "transverse-process"
    VERTEBRAL_BODY = "vertebral-body"
