"""Tiny DICOM files written with pydicom, for the tests of ingest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MR_CLASS = "1.2.840.10008.5.1.4.1.1.4"
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SPACING_MM = (0.5, 0.8)


def uid(name: str) -> str:
    """Make the same UID for the same name."""
    return generate_uid(entropy_srcs=[name])


def image_dataset(
    pixels: np.ndarray,
    position: Any,
    *,
    axes: Any = SAGITTAL,
    series: str = "series",
    study: str = "study",
    instance: str = "",
    number: int = 1,
    signed: bool = False,
    bits_stored: int = 16,
    **elements: Any,
) -> Dataset:
    """Build one classic MR image; `elements` replace or (None) remove elements."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MR_CLASS
    dataset.SOPInstanceUID = uid(instance or f"{series} {position} {number}")
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(series)
    dataset.FrameOfReferenceUID = uid("frame")
    dataset.Modality = "MR"
    dataset.PatientID = "patient-7"
    dataset.PatientName = "Secret^Name"
    dataset.StudyDate = "20250304"
    dataset.SeriesDescription = series
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [round(float(mm), 6) for mm in position]
    dataset.ImageOrientationPatient = [float(x) for axis in axes for x in axis]
    dataset.PixelSpacing = list(SPACING_MM)
    dataset.SliceThickness = 4.0
    set_pixels(dataset, pixels, signed=signed, bits_stored=bits_stored)
    for keyword, value in elements.items():
        if keyword in dataset:
            delattr(dataset, keyword)
        if value is None:
            continue
        with config.disable_value_validation():
            setattr(dataset, keyword, value)
    return dataset


def set_pixels(
    dataset: Dataset, pixels: np.ndarray, *, signed: bool, bits_stored: int
) -> None:
    """Store uncompressed pixels with their description."""
    allocated = pixels.dtype.itemsize * 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.BitsAllocated = allocated
    dataset.BitsStored = min(bits_stored, allocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = pixels.tobytes()


def save(dataset: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a file with preamble and file meta information."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    with config.disable_value_validation():
        dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    volume: np.ndarray,
    *,
    axes: Any = SAGITTAL,
    origin: Any = (-20.0, -30.0, 40.0),
    step: Any = None,
    gap_mm: float = 4.4,
    name: str = "slice",
    first_number: int = 1,
    **options: Any,
) -> list[Path]:
    """Write a volume (slice, row, column) as one file for each slice."""
    if step is None:
        normal = np.cross(*axes)
        step = normal * (np.sign(normal[np.argmax(np.abs(normal))]) * gap_mm)
    paths = []
    for k, pixels in enumerate(volume):
        dataset = image_dataset(
            pixels,
            np.asarray(origin) + k * np.asarray(step),
            axes=axes,
            number=first_number + k,
            **options,
        )
        paths.append(save(dataset, folder / f"{name}{k:03d}.dcm"))
    return paths


def gradient_volume(shape: tuple[int, int, int] = (5, 8, 10)) -> np.ndarray:
    """Return distinct values so that swapped axes and slices show."""
    slices, rows, columns = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (1000 * slices + 37 * rows + 3 * columns + 5).astype(np.uint16)
