"""NIfTI files into studies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile, read_files
from facetgrade.ingest.files import FileKind, SeriesSummary, StudyFiles
from facetgrade.ingest.nifti import decode_nifti, is_nifti, voxel_values
from facetgrade.ingest.screening import reject_nifti
from facetgrade.ingest.settings import IngestSettings
from facetgrade.ingest.sidecars import (
    bids_subject,
    index_sidecars,
    merged,
    other_bids_data,
    stem_of,
)

NOT_AN_INPUT = "is not used"


@dataclass(frozen=True, eq=False, slots=True)
class _Found:
    """One usable volume with what decides its study."""

    file: SourceFile
    sidecars: tuple[SourceFile, ...]
    digest: bytes
    low_mm: NDArray[np.float64]
    high_mm: NDArray[np.float64]
    patient_id: str

    @property
    def group(self) -> tuple[PurePosixPath, str]:
        """Folder and the part of the name before the first ``_``."""
        prefix = stem_of(self.file.name).split("_")[0]
        return self.file.location.parent, prefix


def nifti_studies(
    files: Iterable[SourceFile], settings: IngestSettings
) -> tuple[list[StudyFiles], list[tuple[SourceFile, str]]]:
    """Group NIfTI volumes into studies; their sources are still empty.

    Volumes of one folder are one study if their names share the part before the
    first ``_`` and they overlap in space. Label maps and CT are left out.

    Parameters
    ----------
    files : iterable of SourceFile
        Volumes and JSON files.
    settings : IngestSettings
        Limits and names of label maps and CT.

    Returns
    -------
    list of StudyFiles
        One for each study.
    list of (SourceFile, str)
        Volumes that are not used, and why.
    """
    files = list(files)
    sidecars = index_sidecars(file for file in files if not is_nifti(file.name))
    found: list[_Found] = []
    problems: list[tuple[SourceFile, str]] = []
    volumes = []
    for file in files:
        if is_nifti(file.name) and (kind := other_bids_data(file)):
            sentence = f"{file.name} {NOT_AN_INPUT}: BIDS data of another kind ({kind})"
            problems.append((file, sentence))
        elif is_nifti(file.name):
            volumes.append(file)
    for file, content in read_files(volumes):
        try:
            found.append(_found(file, content, sidecars.of(file), settings))
        except IngestError as error:
            problems.append((file, f"{file.name} {error}"))
    datasets = {place[0] for one in found if (place := bids_subject(one.file))}
    one_dataset = len(datasets) == 1
    return [_study(g, one_dataset=one_dataset) for g in _groups(found)], problems


def _found(
    file: SourceFile,
    content: bytes | str,
    sidecars: Sequence[SourceFile],
    settings: IngestSettings,
) -> _Found:
    """Read one volume far enough to place it.

    Raises
    ------
    IngestError
        If it is damaged, a label map or CT.
    """
    if isinstance(content, str):
        raise IngestError(content.removeprefix(f"{file.name} "))
    image = decode_nifti(content, settings.nifti)
    reason = reject_nifti(stem_of(file.name), voxel_values(image), settings)
    if reason:
        raise IngestError(f"{NOT_AN_INPUT}: {reason}")
    ends = [(-0.5, size - 0.5) for size in image.shape[:3]]
    corners = np.array(np.meshgrid(*ends)).reshape(3, -1).T
    points = corners @ image.affine[:3, :3].T + image.affine[:3, 3]
    texts = dict(read_files(sidecars))
    patient = str(merged([texts[one] for one in sidecars]).get("PatientID") or "")
    return _Found(
        file,
        tuple(sidecars),
        sha256(content).digest(),
        points.min(axis=0),
        points.max(axis=0),
        patient,
    )


def _groups(found: Sequence[_Found]) -> list[list[_Found]]:
    """Group volumes of one folder and name that touch in space."""
    groups: list[list[_Found]] = []
    for one in found:
        touching = [
            group
            for group in groups
            if any(one.group == other.group and _overlap(one, other) for other in group)
        ]
        groups = [group for group in groups if group not in touching]
        groups.append([*(other for group in touching for other in group), one])
    return groups


def _overlap(first: _Found, second: _Found) -> bool:
    """Tell whether two boxes have a volume in common."""
    low = np.maximum(first.low_mm, second.low_mm)
    high = np.minimum(first.high_mm, second.high_mm)
    return bool(np.all(high > low))


def _study(group: list[_Found], *, one_dataset: bool) -> StudyFiles:
    """Describe one study; a label of BIDS names a patient within one dataset only."""
    digest = sha256(b"".join(sorted(one.digest for one in group))).digest()
    files = [one.file for one in group]
    files += list(dict.fromkeys(side for one in group for side in one.sidecars))
    patient_id = next((one.patient_id for one in group if one.patient_id), "")
    place = bids_subject(group[0].file)
    if place and one_dataset:
        patient_id = patient_id or place[1]
    return StudyFiles(
        study_uid=f"2.25.{int.from_bytes(digest[:16], 'big')}",
        source="",
        kind=FileKind.NIFTI,
        files=tuple(files),
        series=tuple(SeriesSummary(one.file.name, "", "", 1) for one in group),
        patient_id=patient_id,
    )
