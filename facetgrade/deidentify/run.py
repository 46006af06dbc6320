"""De-identify every MR image below a folder into another one."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from facetgrade.deidentify.clean import Changes, deidentify_dataset
from facetgrade.deidentify.pseudonyms import Pseudonyms
from facetgrade.deidentify.settings import DeidentifySettings
from facetgrade.errors import ConfigError, IngestError, OutputError
from facetgrade.exchange.tolerant import tolerant
from facetgrade.ingest import IngestSettings
from facetgrade.ingest.archive import read_files
from facetgrade.ingest.dicom import looks_like_dicom, read_dataset
from facetgrade.ingest.elements import text, texts
from facetgrade.ingest.screening import reject_image
from facetgrade.ingest.walk import walk_inputs
from facetgrade.report.atomic import write_bytes, write_json

log = logging.getLogger(__name__)

REPORT = "deidentification.json"
_SCREEN_WORDS = ("SCREEN", "CAPTURE", "SECONDARY CAPTURE")
_NAME_DIGITS = 16


@dataclass(eq=False, slots=True)
class Deidentified:
    """What became of the files; holds no value of any header.

    Attributes
    ----------
    changes : Changes
        Attributes and what was done to them.
    written : Counter of (str, str, str)
        Pseudonym, new study UID and new series UID to the number of images.
    left_out : Counter of str
        Reason to number of files.
    """

    changes: Changes = field(default_factory=Changes)
    written: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def images(self) -> int:
        """Number of images that were written."""
        return sum(self.written.values())


def deidentify_folder(
    source: Path,
    out: Path,
    *,
    key: bytes,
    settings: DeidentifySettings,
    ingest: IngestSettings,
) -> Deidentified:
    """Write a de-identified copy of every MR image.

    File names follow from the new UIDs, so that a second run writes the same files.

    Parameters
    ----------
    source : Path
        Folder, archive or file.
    out : Path
        Folder for the copies; not inside `source`.
    key : bytes
        The secret behind pseudonyms, UIDs and date shifts.
    settings : DeidentifySettings
        What is kept.
    ingest : IngestSettings
        Limits of archives, and what is no MR image.

    Raises
    ------
    ConfigError
        If one folder lies in the other.
    IngestError
        If there is no MR image.
    OutputError
        If `out` holds something else.
    """
    _check_places(source.resolve(), out.resolve())
    result = Deidentified()
    # An interrupted run leaves this mark, by which the next one knows the folder.
    write_json(out / REPORT, {"finished": False})
    walk = walk_inputs([source.resolve()], ingest.archive)
    if walk.problems:
        result.left_out["not readable, not DICOM or refused"] += len(walk.problems)
    with tolerant():
        for _, content in read_files(walk.files):
            try:
                _copy(content, out, key, settings, ingest, result)
            except _LeftOutError as reason:
                result.left_out[str(reason)] += 1
    if not result.written:
        reasons = "; ".join(sorted(result.left_out)) or "there are no files"
        raise IngestError(f"no MR image was found to de-identify: {reasons}")
    log.info("%d images written, %d left out", result.images, result.left_out.total())
    return result


class _LeftOutError(Exception):
    """A file that is not copied; the message is the reason, in words of ours."""


def _check_places(source: Path, out: Path) -> None:
    """Refuse folders within each other, and a folder that holds something else."""
    if out.is_relative_to(source) or source.is_relative_to(out):
        raise ConfigError("IN and OUT must not lie within each other")
    if out.is_dir():
        used = any(out.iterdir()) and not (out / REPORT).is_file()
    else:
        used = out.exists()
    if used:
        raise OutputError(f"{out} holds something else; choose an empty folder")


def _copy(
    content: bytes | str,
    out: Path,
    key: bytes,
    settings: DeidentifySettings,
    ingest: IngestSettings,
    result: Deidentified,
) -> None:
    """De-identify one file, or say why it is left out."""
    dataset = _read_image(content, ingest)
    pseudonyms = Pseudonyms(
        key=key,
        patient=text(dataset, "PatientID") or text(dataset, "StudyInstanceUID"),
        min_shift_days=settings.min_shift_days,
        max_shift_days=settings.max_shift_days,
    )
    try:
        deidentify_dataset(dataset, pseudonyms, settings, result.changes)
        encoded = _encode(dataset)
    except Exception as error:
        # a damaged header makes pydicom fail in many ways; no message may quote it
        raise _LeftOutError(f"damaged ({type(error).__name__})") from None
    study, series = str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID)
    place = out / pseudonyms.subject / _short(study) / _short(series)
    _write(place / f"{_short(str(dataset.SOPInstanceUID))}.dcm", encoded)
    result.written[pseudonyms.subject, study, series] += 1


def _write(path: Path, encoded: bytes) -> None:
    """Write one image; several of one UID get a number, exact copies are dropped."""
    names = (path, *(path.with_stem(f"{path.stem}-{k}") for k in range(2, 1000)))
    for name in names:
        if not name.exists():
            write_bytes(name, encoded)
            return
        if name.read_bytes() == encoded:
            return


def _read_image(content: bytes | str, ingest: IngestSettings) -> Dataset:
    """Read an MR image that may be kept."""
    if isinstance(content, str):
        raise _LeftOutError("not readable")
    if not looks_like_dicom(content[:256]):
        raise _LeftOutError("not DICOM")
    try:
        dataset = read_dataset(content)
    except IngestError:
        raise _LeftOutError("damaged DICOM") from None
    reason = _why_not(dataset, ingest)
    if reason:
        raise _LeftOutError(reason)
    return dataset


def _why_not(dataset: Dataset, ingest: IngestSettings) -> str:
    """Say why an object is left out: only MR images without burned-in text are kept."""
    if reject_image(dataset, ingest.series_rules.reject):
        return "not an MR image (screenshot, report, other modality)"
    if "PixelData" not in dataset:
        return "holds no pixels"
    if text(dataset, "SOPClassUID") == SecondaryCaptureImageStorage:
        return "screenshot (secondary capture)"
    if text(dataset, "ConversionType") or "SecondaryCaptureDeviceManufacturer" in (
        dataset
    ):
        return "screenshot (secondary capture)"
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        return "text is burned into its pixels"
    kinds = " ".join(texts(dataset, "ImageType")).upper()
    if any(word in kinds for word in _SCREEN_WORDS):
        return "screenshot (image type)"
    placed = (
        "ImagePositionPatient" in dataset
        or "PerFrameFunctionalGroupsSequence" in dataset
    )
    if not placed:
        return "has no place in the patient, like a screenshot"
    if not all(text(dataset, f"{x}InstanceUID") for x in ("Study", "Series", "SOP")):
        return "lacks a UID"
    return ""


def _encode(dataset: Dataset) -> bytes:
    """Write a file with new file meta, in the transfer syntax it had."""
    syntax = (
        dataset.file_meta.get("TransferSyntaxUID")
        if (hasattr(dataset, "file_meta"))
        else None
    )
    implicit, _ = dataset.original_encoding
    plain = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax or plain
    dataset.SOPClassUID = dataset.get("SOPClassUID") or MRImageStorage
    dataset.preamble = bytes(128)
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _short(uid: str) -> str:
    """Shorten a new UID to a file name."""
    return hashlib.sha256(uid.encode()).hexdigest()[:_NAME_DIGITS]


def report_record(result: Deidentified, version: str) -> dict[str, object]:
    """Put what was changed into JSON types, without a value of any header.

    Parameters
    ----------
    result : Deidentified
        Of one run.
    version : str
        Version of facetgrade.
    """
    subjects = sorted({subject for subject, _, _ in result.written})
    return {
        "finished": True,
        "facetgrade_version": version,
        "profile": "DICOM PS3.15 Basic Application Level Confidentiality Profile",
        "options": [
            "Clean Descriptors",
            "Retain Longitudinal Temporal Information with Modified Dates",
            "Retain Safe Private",
        ],
        "images_written": result.images,
        "files_left_out": dict(sorted(result.left_out.items())),
        "subjects": {subject: _studies(result, subject) for subject in subjects},
        "attributes": [
            {"attribute": name, "change": change.value, "count": count}
            for (name, change), count in sorted(result.changes.counts.items())
        ],
    }


def _studies(result: Deidentified, subject: str) -> dict[str, dict[str, int]]:
    """Count the images of a subject by study and series."""
    studies: dict[str, dict[str, int]] = {}
    for (who, study, series), count in _sorted(result):
        if who == subject:
            studies.setdefault(study, {})[series] = count
    return studies


def _sorted(result: Deidentified) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Go through the series in a fixed order."""
    yield from sorted(result.written.items())
