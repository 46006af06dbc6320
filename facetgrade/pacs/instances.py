"""DICOM files as they travel: who they are, and whether all of them is there."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from facetgrade.errors import TransferError

_TAGS = {
    "class_uid": Tag("SOPClassUID"),
    "instance_uid": Tag("SOPInstanceUID"),
    "study_uid": Tag("StudyInstanceUID"),
    "series_uid": Tag("SeriesInstanceUID"),
}
_UNDEFINED = 0xFFFFFFFF
_PATIENT_ID, _PIXELS = Tag("PatientID"), Tag("PixelData")
# Storage classes that hold no image: presentation states, reports, segmentations and
# registrations, encapsulated documents, waveforms (PS3.4 B.5).
_NOT_IMAGES = tuple(
    f"1.2.840.10008.5.1.4.1.1.{branch}" for branch in ("11.", "88.", "66", "104.", "9.")
)
# MR, Enhanced MR, its color and legacy forms, Secondary Capture, Segmentation.
_HAVE_PIXELS = tuple(
    f"1.2.840.10008.5.1.4.1.1.{branch}"
    for branch in ("4", "4.1", "4.3", "4.4", "7", "66.4")
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Received:
    """A DICOM file in memory and what it says of itself.

    Attributes
    ----------
    instance_uid, class_uid, series_uid, study_uid : str
        As written, also where they are not legal.
    patient_id : str
        As written; never shown.
    sha256 : str
        Of the whole file.
    """

    instance_uid: str
    class_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    sha256: str

    @property
    def may_be_image(self) -> bool:
        """Tell whether there could be something to grade in it."""
        return not self.class_uid.startswith(_NOT_IMAGES)


def identify(content: bytes) -> Received:
    """Read the identity of a DICOM file and check that it is whole.

    Raises
    ------
    TransferError
        If it is not a DICOM file, is cut off, or lacks a UID.
    """
    stream = BytesIO(content)
    try:
        header = pydicom.dcmread(
            stream, specific_tags=[*_TAGS.values(), _PATIENT_ID, _PIXELS]
        )
    except Exception as error:
        # a damaged file makes pydicom fail in many ways
        raise TransferError(
            f"an instance cannot be read ({type(error).__name__})"
        ) from None
    # Elements that were not asked for are passed over by their length.
    if stream.tell() > len(content) or _is_short(header, _PIXELS):
        raise TransferError("an instance is cut off")
    found = {name: _ascii(header, tag) for name, tag in _TAGS.items()}
    if found["class_uid"] in _HAVE_PIXELS and not _raw(header, _PIXELS):
        raise TransferError("an instance is cut off before its pixels")
    missing = [name for name, value in found.items() if not value]
    if missing:
        what = missing[0].replace("_", " ")
        raise TransferError(f"an instance is cut off or has no {what}")
    return Received(
        **found,
        patient_id=_raw(header, _PATIENT_ID).decode("utf-8", "replace").strip(" \0"),
        sha256=sha256(content).hexdigest(),
    )


def says_the_same(path: Path, content: bytes) -> bool:
    """Tell whether a file holds the same data set, maybe in another plain encoding."""
    try:
        return bool(pydicom.dcmread(path) == pydicom.dcmread(BytesIO(content)))
    except Exception:
        # what cannot be compared counts as new
        return False


def _is_short(header: Dataset, tag: int) -> bool:
    """Tell whether a value has fewer bytes than its header promises."""
    item = header.get_item(tag) if tag in header else None
    length = getattr(item, "length", _UNDEFINED)
    return length != _UNDEFINED and len(_raw(header, tag)) < length


def _raw(header: Dataset, tag: int) -> bytes:
    """Return the bytes of a value, which are not checked against the standard."""
    if tag not in header:
        return b""
    value = header.get_item(tag).value
    return value if isinstance(value, bytes) else str(value or "").encode()


def _ascii(header: Dataset, tag: int) -> str:
    return _raw(header, tag).decode("ascii", "replace").strip(" \0")
