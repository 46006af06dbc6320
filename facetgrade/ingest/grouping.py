"""DICOM headers into studies."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import BinaryIO

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile, read_files, unreadable
from facetgrade.ingest.dicom import looks_like_dicom, read_header
from facetgrade.ingest.elements import number, text
from facetgrade.ingest.files import FileKind, SeriesSummary, StudyFiles

NOT_AN_IMAGE_FILE = "is not DICOM or NIfTI"
_HEAD_BYTES = 132
_TAGS = [
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "SeriesDescription",
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Rows",
]


@dataclass(frozen=True, slots=True)
class DicomHeader:
    """What is needed to put a DICOM file into its study."""

    file: SourceFile
    study_uid: str
    series_uid: str
    instance_uid: str
    modality: str
    description: str
    patient_id: str = field(repr=False)
    is_image: bool


def read_headers(
    files: Iterable[SourceFile],
) -> Iterator[tuple[SourceFile, DicomHeader | str]]:
    """Read the headers of DICOM files, plain or in archives.

    Yields
    ------
    SourceFile, DicomHeader or str
        The header, or the sentence that says why there is none.
    """
    members: list[SourceFile] = []
    for file in files:
        if file.member:
            members.append(file)
            continue
        try:
            with file.path.open("rb") as stream:
                yield file, _header(file, stream)
        except OSError as error:
            yield file, unreadable(file, error)
    for file, content in read_files(members):
        if isinstance(content, str):
            yield file, content
        else:
            yield file, _header(file, BytesIO(content))


def dicom_studies(headers: Sequence[DicomHeader]) -> list[StudyFiles]:
    """Group headers into studies; their sources are still empty.

    A study is one StudyInstanceUID of one patient. Files without a study UID belong
    together by folder. Where patients of one folder share a UID, each gets its own.

    Parameters
    ----------
    headers : sequence of DicomHeader
        Of all inputs.
    """
    groups: dict[str, list[DicomHeader]] = {}
    for header in headers:
        key = header.study_uid or f"folder {header.file.location.parent}"
        groups.setdefault(key, []).append(header)
    return [study for group in groups.values() for study in _studies(group)]


def _header(file: SourceFile, stream: BinaryIO) -> DicomHeader | str:
    """Read one header, or say why not."""
    head = stream.read(_HEAD_BYTES)
    stream.seek(0)
    if not head:
        return f"{file.name} is empty (zero bytes); the copy was interrupted"
    if not looks_like_dicom(head):
        return f"{file.name} {NOT_AN_IMAGE_FILE}"
    try:
        dataset = read_header(stream, tags=_TAGS)
    except IngestError as error:
        return f"{file.name} {error}"
    return DicomHeader(
        file=file,
        study_uid=text(dataset, "StudyInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        instance_uid=text(dataset, "SOPInstanceUID"),
        modality=text(dataset, "Modality"),
        description=text(dataset, "SeriesDescription"),
        patient_id=text(dataset, "PatientID"),
        is_image=number(dataset, "Rows") > 0,
    )


def _studies(group: list[DicomHeader]) -> list[StudyFiles]:
    """Describe the study of each patient who has a study UID."""
    parts = [
        part for part in _by_patient(group) if any(header.is_image for header in part)
    ]
    folders = Counter(_folder(part) for part in parts)
    studies = []
    for part in parts:
        uid = part[0].study_uid if folders[_folder(part)] == 1 else _own_uid(part)
        studies.append(_study(part, uid or _made_uid(part)))
    return studies


def _folder(headers: list[DicomHeader]) -> str:
    """Return the deepest folder that holds all files."""
    return os.path.commonpath([header.file.location.parent for header in headers])


def _by_patient(group: list[DicomHeader]) -> list[list[DicomHeader]]:
    """Split a study UID that several patients share."""
    patients = {header.patient_id for header in group} - {""}
    if len(patients) <= 1:
        return [group]
    parts: dict[str, list[DicomHeader]] = {}
    for header in group:
        parts.setdefault(header.patient_id, []).append(header)
    return list(parts.values())


def _study(headers: list[DicomHeader], study_uid: str) -> StudyFiles:
    """Describe one study."""
    counts = Counter(
        (header.series_uid, header.description, header.modality) for header in headers
    )
    patient = next((header.patient_id for header in headers if header.patient_id), "")
    return StudyFiles(
        study_uid=study_uid,
        source="",
        kind=FileKind.DICOM,
        files=tuple(header.file for header in headers),
        series=tuple(SeriesSummary(*key, count) for key, count in counts.items()),
        patient_id=patient,
    )


def _own_uid(headers: list[DicomHeader]) -> str:
    """Make a study uid from instances and file names, which no two studies share."""
    return _uid_of(f"{header.instance_uid} {header.file.name}" for header in headers)


def _made_uid(headers: list[DicomHeader]) -> str:
    """Make a study uid from the instances, or from file names without them."""
    return _uid_of(header.instance_uid or header.file.name for header in headers)


def _uid_of(names: Iterable[str]) -> str:
    """Hash names, whatever their order, into a UID."""
    digest = sha256("\n".join(sorted(names)).encode(errors="surrogateescape")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
