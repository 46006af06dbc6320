"""The record between finding studies and loading one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from facetgrade.ingest.archive import SourceFile


class FileKind(StrEnum):
    """Format of the files of a study."""

    DICOM = "dicom"
    NIFTI = "nifti"


@dataclass(frozen=True, slots=True)
class SeriesSummary:
    """One series as its headers name it."""

    uid: str
    description: str
    modality: str
    n_files: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyFiles:
    """Files of one study, found by their headers and not yet loaded.

    Attributes
    ----------
    study_uid : str
        Original StudyInstanceUID; for NIfTI ``2.25.`` from the content hash.
    source : str
        Name of the study in tables, from its place in the input.
    kind : FileKind
        DICOM or NIfTI.
    files : tuple of SourceFile
        All files of the study, rejected images included.
    series : tuple of SeriesSummary
        What the headers promise.
    problems : tuple of str
        One sentence for each file near this study that could not be used.
    patient_id : str
        PatientID as written; never shown.
    """

    study_uid: str
    source: str
    kind: FileKind
    files: tuple[SourceFile, ...]
    series: tuple[SeriesSummary, ...] = ()
    problems: tuple[str, ...] = ()
    patient_id: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class UnreadPlace:
    """A file or folder, outside all studies found, that may hold images.

    Attributes
    ----------
    source : str
        Named like the source of a study.
    sentence : str
        What is wrong and the likely cause.
    """

    source: str
    sentence: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """All that was found in the inputs.

    Attributes
    ----------
    studies : tuple of StudyFiles
        Sorted by source, then study uid.
    problems : tuple of str
        One sentence for each file or archive that could not be used.
    unread : tuple of UnreadPlace
        Where studies may be missing, since nobody could read the files.
    """

    studies: tuple[StudyFiles, ...]
    problems: tuple[str, ...]
    unread: tuple[UnreadPlace, ...]
