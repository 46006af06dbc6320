"""The one table of codes that DICOM SEG and SR are written and read with.

A concept has a code of SNOMED CT, DICOM or UCUM where one was verified, and one of the
private scheme ``99FACETGRADE`` where none was. To put a published code in the place of
a private one, change its line here and nothing else: writers and readers follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from facetgrade.anatomy import ExtensionSite, Level, Side
from facetgrade.findings import Flag, Reason

PRIVATE_SCHEME = "99FACETGRADE"
PRIVATE_SCHEME_NAME = "facetgrade private codes"


@dataclass(frozen=True, slots=True)
class Code:
    """Coded concept: value, coding scheme designator and meaning."""

    value: str
    scheme: str
    meaning: str

    @property
    def key(self) -> tuple[str, str]:
        """What identifies the concept; the meaning is for people."""
        return self.scheme, self.value


def _sct(value: str, meaning: str) -> Code:
    return Code(value, "SCT", meaning)


def _private(value: str, meaning: str) -> Code:
    return Code(value, PRIVATE_SCHEME, meaning)


ANATOMICAL_STRUCTURE = _sct("123037004", "Anatomical Structure")
ABNORMAL_STRUCTURE = _sct("49755003", "Morphologically Abnormal Structure")
EFFUSION = _sct("41699000", "Effusion")
EDEMA = _sct("79654002", "Edema")
SOFT_TISSUE = _sct("87784001", "Soft tissue")
BONE_MARROW = _sct("14016003", "Bone Marrow")
SUPERIOR_ARTICULAR_PROCESS = _sct("317665004", "Superior articular process of vertebra")
INFERIOR_ARTICULAR_PROCESS = _sct("317766009", "Inferior articular process of vertebra")

LATERALITY = {
    Side.LEFT: _sct("7771000", "Left"),
    Side.RIGHT: _sct("24028007", "Right"),
}
LEVELS = {
    Level.L1_L2: _sct("243920003", "Level of L1/L2 intervertebral disc"),
    Level.L2_L3: _sct("243921004", "Level of L2/L3 intervertebral disc"),
    Level.L3_L4: _sct("243922006", "Level of L3/L4 intervertebral disc"),
    Level.L4_L5: _sct("243923001", "Level of L4/L5 intervertebral disc"),
    Level.L5_S1: _sct("243927000", "Level of L5/S1 intervertebral disc"),
}
FACET_JOINT = _private("FACET_JOINT", "Facet joint")
FACET_JOINT_SYNOVITIS = _private("FACET_SYNOVITIS", "Facet joint synovitis")

PROCEDURE = Code("25056-3", "LN", "MRI unspecified body region")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = Code("112040", "DCM", "Tracking Unique Identifier")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
REFERENCED_SEGMENT = Code("121191", "DCM", "Referenced Segment")
SOURCE_IMAGE_FOR_SEGMENTATION = Code("121233", "DCM", "Source Image for Segmentation")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = _sct("363698007", "Finding Site")
LATERALITY_OF = _sct("272741003", "Laterality")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")

MILLIMETER = Code("mm", "UCUM", "millimeter")
CUBIC_MILLIMETER = Code("mm3", "UCUM", "cubic millimeter")
NO_UNITS = Code("1", "UCUM", "no units")

VOLUME = _sct("118565006", "Volume")
WIDTH = _sct("103355008", "Width")
PERIMETER_FRACTION = _private("PERIMETER", "Abnormal fraction of perimeter")
PERIMETER_FRACTION_LOW = _private(
    "PERIMETER_LOW", "Lower limit of abnormal fraction of perimeter"
)
PERIMETER_FRACTION_HIGH = _private(
    "PERIMETER_HIGH", "Upper limit of abnormal fraction of perimeter"
)
LEVEL_PROBABILITY = _private("P_LEVEL", "Probability of the level name")
GRADE_PROBABILITIES = tuple(
    _private(f"P_CF{grade}", f"Probability of Czervionke-Fenton grade {grade}")
    for grade in range(5)
)

GRADE = _private("CF_GRADE", "Czervionke-Fenton grade")
GRADES = tuple(
    _private(f"CF{grade}", f"Czervionke-Fenton grade {grade}") for grade in range(5)
)
UNGRADABLE = _private("UNGRADABLE", "Ungradable")
UNGRADABLE_REASON = _private("NO_GRADE_REASON", "Reason for no grade")
REASONS = {
    Reason.NO_FAT_SUPPRESSION: _private("NO_FAT_SUPPR", "No fat-suppressed series"),
    Reason.NOT_IN_VIEW: _private("NOT_IN_VIEW", "Joint not in view"),
    Reason.NOT_FOUND: _private("NOT_FOUND", "Joint not found"),
    Reason.LEVEL_UNCERTAIN: _private("LEVEL_UNCERTAIN", "Level name uncertain"),
    Reason.METAL: _private("METAL", "Metal artifact"),
    Reason.MOTION: _private("MOTION", "Motion artifact"),
    Reason.UNLIKE_TRAINING: _private("UNLIKE_TRAINING", "Unlike training material"),
    Reason.BAD_GEOMETRY: _private("BAD_GEOMETRY", "Slice positions unreliable"),
    Reason.TOO_FEW_SLICES: _private("TOO_FEW_SLICES", "Too few slices"),
}
EXTENSION = _private("EXTENSION", "Signal extends to")
EXTENSION_SITES = {
    ExtensionSite.FORAMEN: _private("FORAMEN", "Intervertebral foramen"),
    ExtensionSite.LIGAMENTUM_FLAVUM: _private("LIG_FLAVUM", "Ligamentum flavum"),
    ExtensionSite.PEDICLE: _sct("78972004", "Pedicle of vertebra"),
    ExtensionSite.TRANSVERSE_PROCESS: _sct(
        "73400003", "Transverse process of vertebra"
    ),
    ExtensionSite.VERTEBRAL_BODY: _sct("3572006", "Vertebral body"),
}
BORDERLINE = _private("BORDERLINE", "Measurement near the limit of grades")
YES = _sct("373066001", "Yes")
FLAG = _private("FLAG", "Note for the reader")
FLAGS = {
    Flag.LEVEL_ASSUMED: _private("F_LEVEL_ASSUMED", "Level name assumed"),
    Flag.LEVEL_UNCERTAIN: _private("F_LEVEL_UNSURE", "Level name uncertain"),
    Flag.SAGITTAL_ONLY: _private("F_SAGITTAL_ONLY", "Measured on sagittal slices only"),
    Flag.RULE_VS_PROBABILITY: _private(
        "F_RULE_VS_PROB", "Most probable grade differs from grade by rules"
    ),
    Flag.CYST: _private("F_CYST", "Synovial cyst present"),
    Flag.UNLIKE_TRAINING: _private("F_UNLIKE", "Image unlike training material"),
    Flag.MISSING_SLICES: _private("F_MISSING_SLICE", "Missing slice interpolated"),
}


def private_codes() -> tuple[Code, ...]:
    """Return every concept that has no published code yet."""
    found: list[Code] = []
    for value in globals().values():
        items = value.values() if isinstance(value, dict) else value
        items = items if isinstance(value, dict | tuple) else (value,)
        found += [c for c in items if isinstance(c, Code)]
    return tuple(dict.fromkeys(c for c in found if c.scheme == PRIVATE_SCHEME))
