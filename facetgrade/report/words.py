"""Plain words for everything that tables write as codes."""

from __future__ import annotations

from facetgrade.anatomy import ExtensionSite, Lesion, Side
from facetgrade.findings import Flag, Reason
from facetgrade.scouts import ScoutVerdict
from facetgrade.study import Sequence

RESEARCH_USE = (
    "Research use only. Not a medical device; not for diagnosis or treatment decisions."
)

GRADES = (
    "No abnormal signal in or around the joint.",
    "Signal confined to the joint capsule.",
    "Signal around the joint over at most half of its perimeter.",
    "Signal around the joint over more than half of its perimeter.",
    "Signal around the joint that extends to a neighboring site.",
)

REASONS = {
    Reason.NO_FAT_SUPPRESSION: (
        "No fat-suppressed fluid-sensitive or post-contrast series shows this joint, "
        "so signal around it cannot be told from fat."
    ),
    Reason.NOT_IN_VIEW: "The joint lies outside every usable series.",
    Reason.NOT_FOUND: "The joint should be in view but was not found.",
    Reason.LEVEL_UNCERTAIN: (
        "The numbering of the vertebrae could not be decided from what is in view; "
        "give an anchor or accept the assumed levels to have it graded."
    ),
    Reason.METAL: "Metal distorts the image at the joint.",
    Reason.MOTION: "Motion blurs the image at the joint.",
    Reason.UNLIKE_TRAINING: "The image is too unlike those the models were made from.",
    Reason.BAD_GEOMETRY: "The position of the slices in the patient is not reliable.",
    Reason.TOO_FEW_SLICES: "Too few slices cross the joint.",
}

FLAGS = {
    Flag.LEVEL_ASSUMED: (
        "The level name is the most probable numbering, not a certain one. Please "
        "confirm it."
    ),
    Flag.LEVEL_UNCERTAIN: (
        "Another numbering of the vertebrae is nearly as probable. Please confirm it."
    ),
    Flag.SAGITTAL_ONLY: (
        "Measured on sagittal slices alone: the perimeter fraction is an approximation."
    ),
    Flag.RULE_VS_PROBABILITY: (
        "The most probable grade differs from the grade by the rules: look closely."
    ),
    Flag.CYST: "A synovial cyst is present; it does not count toward the grade.",
    Flag.UNLIKE_TRAINING: (
        "The image is unlike those the models were made from: check the outlines."
    ),
    Flag.MISSING_SLICES: (
        "A missing slice was interpolated at this joint: check the outlines."
    ),
}

SITES = {
    ExtensionSite.FORAMEN: "intervertebral foramen",
    ExtensionSite.LIGAMENTUM_FLAVUM: "ligamentum flavum",
    ExtensionSite.PEDICLE: "pedicle",
    ExtensionSite.TRANSVERSE_PROCESS: "transverse process",
    ExtensionSite.VERTEBRAL_BODY: "vertebral body",
}

LESIONS = {
    Lesion.EFFUSION: "effusion",
    Lesion.SOFT_TISSUE_EDEMA: "soft-tissue edema",
    Lesion.MARROW_EDEMA: "marrow edema",
    Lesion.CYST: "cyst",
}

SEQUENCES = {
    Sequence.T1: "T1",
    Sequence.T2: "T2",
    Sequence.T2_FS: "T2 fat-suppressed or STIR",
    Sequence.T1_FS_POST: "T1 fat-suppressed after contrast",
    Sequence.PD: "proton density",
    Sequence.OTHER: "other contrast",
}

SIDES = {Side.LEFT: "left", Side.RIGHT: "right"}

SCOUTS = {
    ScoutVerdict.AGREES: "The scout shows the same numbering",
    ScoutVerdict.DECIDES: "It was decided with the scout",
    ScoutVerdict.DISAGREES: "The scout shows another numbering",
    ScoutVerdict.UNCLEAR: "The scout did not settle it",
    ScoutVerdict.NOT_MATCHED: (
        "The vertebrae of the scout could not be matched with these"
    ),
}
