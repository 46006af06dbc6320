"""The records that enter: a study, its series, their geometric stacks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from facetgrade.geometry import Volume


class Sequence(StrEnum):
    """Contrast class of a series."""

    T1 = "T1"
    T2 = "T2"
    T2_FS = "T2-FS"
    T1_FS_POST = "T1-FS-post"
    PD = "PD"
    OTHER = "other"

    @property
    def shows_edema(self) -> bool:
        """Whether extracapsular inflammation can be judged on this contrast."""
        return self in (Sequence.T2_FS, Sequence.T1_FS_POST)


class Plane(StrEnum):
    """Orientation of the slices."""

    SAGITTAL = "sagittal"
    AXIAL = "axial"
    CORONAL = "coronal"
    OBLIQUE = "oblique"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Stack:
    """Parallel, evenly spaced slices: the geometric unit that networks read.

    Attributes
    ----------
    volume : Volume
        float32 values after the modality rescale, slices ordered along the normal.
    slice_thickness_mm : float
        Excited thickness; the grid spacing includes the gap. 0 when unknown.
    instance_uids : tuple of str
        SOPInstanceUID of each slice (empty for NIfTI).
    frame_numbers : tuple of int
        1-based frame of each slice in its instance (1 for classic images).
    missing_slices : tuple of int
        Indices that were interpolated because the file was missing.
    """

    volume: Volume
    slice_thickness_mm: float = 0.0
    instance_uids: tuple[str, ...] = ()
    frame_numbers: tuple[int, ...] = ()
    missing_slices: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Series:
    """One contrast of a study, split into geometric stacks.

    Attributes
    ----------
    uid : str
        SeriesInstanceUID; for NIfTI the file name.
    description : str
        SeriesDescription, for people only.
    sequence, plane : Sequence, Plane
        What the series shows, decided by `ingest`.
    stacks : tuple of Stack
        From the top of the patient to the bottom (left to right for sagittal).
    evidence : tuple of str
        Sentences that say why the series got its class.
    """

    uid: str
    description: str
    sequence: Sequence
    plane: Plane
    stacks: tuple[Stack, ...]
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectedSeries:
    """Series or file group that was not used, and why.

    Attributes
    ----------
    uid, description : str
        As in `Series`.
    reason : str
        One sentence.
    sequence : Sequence or None
        What it would have shown, if known.
    bounds_lps_mm : pair of tuple of float, or None
        Lowest and highest corner of slices that could not be placed as a stack:
        sheared, uneven, with too many gaps or contradicting orientations. None for
        series that were rejected for another reason.
    """

    uid: str
    description: str
    reason: str
    sequence: Sequence | None = None
    bounds_lps_mm: (
        tuple[tuple[float, float, float], tuple[float, float, float]] | None
    ) = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Study:
    """All usable series of one examination, in one patient space.

    Attributes
    ----------
    uid : str
        StudyInstanceUID; for NIfTI ``2.25.`` from the content hash.
    source : str
        Folder of the study relative to the input, as written in tables.
    subject : str
        Pseudonym, empty without PatientID.
    date : str
        YYYY-MM-DD, empty when unknown.
    series : tuple of Series
        Usable series.
    rejected : tuple of RejectedSeries
        The losers, with reasons.
    notes : tuple of str
        One sentence per problem a reader of the report should know.
    content_sha256 : str
        Hash over the bytes that the study was read from.
    scouts : tuple of Series
        Sagittal localizers, read for the numbering of the vertebrae and for nothing
        else: they are no series of the study.
    """

    uid: str
    source: str
    subject: str
    date: str
    series: tuple[Series, ...]
    rejected: tuple[RejectedSeries, ...] = ()
    notes: tuple[str, ...] = ()
    content_sha256: str = ""
    scouts: tuple[Series, ...] = ()
