"""From magnitudes to stored integers, and the syntax they are stored in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from facetgrade.simulate.vendors.records import AcquiredSeries, Habit

SYNTAXES: dict[str, UID] = {
    "explicit": ExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg-ls": JPEGLSLossless,
    "jpeg-2000": JPEG2000Lossless,
}
_LARGEST = 4095
_SIEMENS_GAIN = 0.6
_GE_GAIN = 3.0


@dataclass(frozen=True, eq=False, slots=True)
class StoredPixels:
    """Integers of all slices of a series, block after block.

    Attributes
    ----------
    frames : (frame, row, column) ndarray
        uint16, or int16 where the vendor stores signed values.
    slope : float
        Rescale slope, 1 where the vendor writes none.
    """

    frames: NDArray[np.uint16] | NDArray[np.int16]
    slope: float


def store_pixels(series: AcquiredSeries, habit: Habit) -> StoredPixels:
    """Scale the magnitudes of a series as a vendor does.

    Parameters
    ----------
    series : AcquiredSeries
        Volumes with float32 magnitudes.
    habit : Habit
        Siemens fills part of 12 bits, GE 16 signed bits, Philips all 12 bits with
        a rescale slope.
    """
    values = np.concatenate([volume.voxels for volume in series.volumes])
    if habit is Habit.GE:
        signed = np.clip(np.rint(values * _GE_GAIN), 0, 32767).astype(np.int16)
        return StoredPixels(signed, 1.0)
    if habit in (Habit.PHILIPS, Habit.ENHANCED):
        slope = round(max(float(values.max()), 1.0) / _LARGEST, 6)
        return StoredPixels(np.rint(values / slope).clip(0, 4095).astype("u2"), slope)
    scaled = np.rint(values * _SIEMENS_GAIN)
    return StoredPixels(np.clip(scaled, 0, _LARGEST).astype(np.uint16), 1.0)


def add_pixels(
    dataset: Dataset,
    frames: NDArray[np.uint16] | NDArray[np.int16],
    transfer_syntax: str,
) -> None:
    """Put frames into a data set and compress them.

    Parameters
    ----------
    dataset : Dataset
        With its SOP instance UID and file meta.
    frames : (row, column) or (frame, row, column) ndarray
        Stored integers.
    transfer_syntax : str
        Key of `SYNTAXES`.
    """
    signed = frames.dtype == np.int16
    dataset.Rows, dataset.Columns = frames.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if signed else 12
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    dataset.add_new("PixelData", "OW", np.ascontiguousarray(frames).tobytes())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if transfer_syntax == "jpeg-2000":
        _compress_jpeg_2000(dataset, frames)
    elif transfer_syntax != "explicit":
        dataset.compress(SYNTAXES[transfer_syntax], frames, generate_instance_uid=False)


def _compress_jpeg_2000(
    dataset: Dataset, frames: NDArray[np.uint16] | NDArray[np.int16]
) -> None:
    """Compress with OpenJPEG itself; pydicom would need one more package for it."""
    from openjpeg.utils import encode_array

    stacked = frames if frames.ndim == 3 else frames[None]
    encoded = [
        encode_array(
            frame, bits_stored=dataset.BitsStored, photometric_interpretation=2
        )
        for frame in stacked
    ]
    dataset.add_new("PixelData", "OB", encapsulate(encoded))
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
