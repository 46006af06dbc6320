"""What a research archive leaves of a classic MR header."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

_KEPT = frozenset(
    {
        "SpecificCharacterSet",
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesDescription",
        "PatientID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "SeriesNumber",
        "InstanceNumber",
        "PatientPosition",
        "SliceThickness",
        "SpacingBetweenSlices",
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceLocation",
        "SamplesPerPixel",
        "PhotometricInterpretation",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PixelData",
    }
)


def strip_header(dataset: Dataset, frame_of_reference_uid: str) -> None:
    """Remove modality, timing, maker and dates, in place, and spoil the UIDs.

    Archives of this kind exist: UIDs have components with leading zeros (illegal,
    PS3.5 9.1), every series its own frame of reference although the coordinates
    agree, and the file meta names Enhanced MR for single-frame images.

    Parameters
    ----------
    dataset : Dataset
        Classic MR image with pixels.
    frame_of_reference_uid : str
        Other than that of the other series.
    """
    for element in list(dataset):
        if element.keyword not in _KEPT:
            del dataset[element.tag]
    dataset.FrameOfReferenceUID = frame_of_reference_uid
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, illegal_uid(str(dataset.get(keyword))))
    dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID


def illegal_uid(uid: str) -> str:
    """Replace a legal UID by one with leading zeros, the same for the same UID."""
    parts = uid.split(".")
    long = f"{int(parts[2]) % 10**24:024d}"
    tail = "".join(f".{part}" for part in parts[3:])
    return f"1.2.826.0.1.3680043.00{long[:11]}.0{long[11:]}{tail}"


def own_frame_of_reference(series_uid: str) -> str:
    """Derive a frame of reference that no other series has."""
    number = int(series_uid.split(".")[2])
    return f"2.25.{(number + int(np.uint64(2**61))) % 10**38}"
