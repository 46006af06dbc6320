"""What can be wrong with annotated cases, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingKind(StrEnum):
    """Kind of a finding, as written in tables."""

    MISSING_FILE = "missing-file"
    UNREADABLE = "unreadable"
    UNKNOWN_LABEL = "unknown-label"
    GEOMETRY_MISMATCH = "geometry-mismatch"
    OUTSIDE_IMAGE = "outside-image"
    EMPTY_MASK = "empty-mask"
    FRAGMENTARY_MASK = "fragmentary-mask"
    SWAPPED_LABELS = "swapped-labels"
    MIRRORED_SIDE = "mirrored-side"
    WRONG_LEVEL = "wrong-level"
    SUBJECT_IN_TWO_SPLITS = "subject-in-two-splits"
    PIXELS_IN_TWO_SPLITS = "pixels-in-two-splits"
    DUPLICATE_ROW = "duplicate-row"
    DUPLICATE_IMAGE = "duplicate-image"
    READERS_DISAGREE = "readers-disagree"
    UNUSUAL_CONTRAST = "unusual-contrast"
    UNUSUAL_RESOLUTION = "unusual-resolution"


ADVICE = {
    FindingKind.MISSING_FILE: "Correct the path; paths count from the manifest.",
    FindingKind.UNREADABLE: "Export the file again; see the reason.",
    FindingKind.UNKNOWN_LABEL: "Correct the number, or the column labels.",
    FindingKind.GEOMETRY_MISMATCH: "Save the mask with the geometry of its image; some "
    "programs drop or change it.",
    FindingKind.OUTSIDE_IMAGE: "Check that mask and study belong together.",
    FindingKind.EMPTY_MASK: "Outline the joint, or give the grade alone.",
    FindingKind.FRAGMENTARY_MASK: "Look for stray voxels; export with nearest "
    "neighbors, not with interpolation.",
    FindingKind.SWAPPED_LABELS: "Exchange the numbers; labels.tsv says which is which.",
    FindingKind.MIRRORED_SIDE: "Left is the patient's left. Correct the side, or a "
    "mask that was flipped on export.",
    FindingKind.WRONG_LEVEL: "Count from the sacrum and correct the level.",
    FindingKind.SUBJECT_IN_TWO_SPLITS: "Keep all studies of a person in one split.",
    FindingKind.PIXELS_IN_TWO_SPLITS: "The same images have two names: merge the "
    "subjects, or remove one.",
    FindingKind.DUPLICATE_ROW: "Remove one, or name the second reader.",
    FindingKind.DUPLICATE_IMAGE: "Remove one of the studies.",
    FindingKind.READERS_DISAGREE: "Both are kept in training. Read the joint together "
    "if one of them slipped.",
    FindingKind.UNUSUAL_CONTRAST: "Look at the series; leave the study out if it is "
    "inverted, clipped or not fat-suppressed.",
    FindingKind.UNUSUAL_RESOLUTION: "Thin lesions are lost in such voxels; expect "
    "little of masks drawn on them.",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that somebody should look at.

    Attributes
    ----------
    kind : FindingKind
        What it is.
    rows : tuple of int
        Rows of the manifest that it concerns.
    sentence : str
        What was seen.
    picture : str
        Image as a data URI, empty without one.
    """

    kind: FindingKind
    rows: tuple[int, ...]
    sentence: str
    picture: str = ""

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.kind]
