"""DICOM files: headers into frames, pixels into real values."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.pixels.utils import get_j2k_parameters
from pydicom.uid import (
    JPEG2000,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from facetgrade.errors import IngestError
from facetgrade.ingest.apart import decode_apart
from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.checked import LARGEST_RESCALE, checked_plane, checked_rescale
from facetgrade.ingest.deflate import refuse_deflate_bomb
from facetgrade.ingest.elements import number, numbers, quiet, raw, text, texts

_MAGIC_OFFSET = 128
_PHILIPS_SCALE_SLOPE = (0x2005, 0x100E)
# GDCM, which pydicom would ask first, ends the whole process on some damaged streams.
_DECODERS = {
    JPEG2000: "pillow",
    JPEG2000Lossless: "pillow",
    JPEGBaseline8Bit: "pillow",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
}
_ONLY_GDCM = (JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, slots=True)
class SeriesTags:
    """What the header of a series says about its kind; all may be empty.

    Texts are upper-level descriptions as written; times are in ms, NaN when absent.
    """

    modality: str = ""
    sop_class_uid: str = ""
    description: str = ""
    protocol: str = ""
    sequence_name: str = ""
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    scan_options: tuple[str, ...] = ()
    image_type: tuple[str, ...] = ()
    manufacturer: str = ""
    body_part: str = ""
    contrast_agent: str = ""
    acquisition_contrast: str = ""
    fat_suppression: str = ""
    repetition_time_ms: float = float("nan")
    echo_time_ms: float = float("nan")
    inversion_time_ms: float = float("nan")
    flip_angle_deg: float = float("nan")
    echo_train_length: float = float("nan")

    @property
    def words(self) -> str:
        """All free text, lower case, word separators made blanks."""
        joined = " ".join((self.description, self.protocol, self.sequence_name))
        return joined.lower().replace("_", " ")


@dataclass(eq=False, kw_only=True, slots=True)
class Frame:
    """One slice: where it lies and how its stored numbers become values.

    Attributes
    ----------
    position_lps_mm : (3,) float64 ndarray
        ImagePositionPatient: center of the first voxel.
    row_direction, column_direction : (3,) float64 ndarray
        Unit LPS directions in which the column index and the row index grow.
    pixel_spacing_mm : tuple of float
        Distance of rows, distance of columns.
    stored : (row, column) ndarray
        Numbers as stored.
    slope, intercept : float
        Modality rescale of this frame.
    philips_scale_slope : float
        (2005,100E), NaN when absent.
    temporal, echo : float
        Number of the repeat, echo time in ms; NaN when absent.
    """

    file: SourceFile
    frame_number: int
    series_uid: str
    instance_uid: str
    frame_of_reference_uid: str
    tags: SeriesTags
    position_lps_mm: NDArray[np.float64]
    row_direction: NDArray[np.float64]
    column_direction: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    slice_thickness_mm: float
    instance_number: float
    acquisition_number: float
    temporal: float
    echo: float
    slope: float
    intercept: float
    philips_scale_slope: float
    stored: NDArray[Any] = field(default_factory=lambda: np.empty((0, 0)))

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal, row direction x column direction."""
        return np.cross(self.row_direction, self.column_direction)


def looks_like_dicom(head: bytes) -> bool:
    """Tell from the first bytes of a file whether it may be DICOM.

    Files without preamble are recognized by a first element of group 2 or 8.
    """
    if head[_MAGIC_OFFSET : _MAGIC_OFFSET + 4] == b"DICM":
        return True
    return head[:2] in (b"\x08\x00", b"\x02\x00") or head[:3] == b"\x00\x08\x00"


def read_header(stream: BinaryIO, *, tags: list[str] | None = None) -> Dataset:
    """Read the elements before the pixels.

    Parameters
    ----------
    stream : binary file
        At its beginning.
    tags : list of str or None
        Keywords to keep, None for all.

    Raises
    ------
    IngestError
        If this is not DICOM or it ends within the header.
    """
    return _read(stream, tags=tags, stop_before_pixels=True)


def read_dataset(content: bytes) -> Dataset:
    """Read a whole file, pixels included.

    Raises
    ------
    IngestError
        If this is not DICOM or it ends within the header.
    """
    return _read(BytesIO(content), tags=None, stop_before_pixels=False)


def stored_pixels(dataset: Dataset) -> NDArray[Any]:
    """Decode all frames of a monochrome image.

    Unused high bits, where old files keep overlays, are cleared.

    Returns
    -------
    (frame, row, column) ndarray
        Numbers as stored, MONOCHROME1 inverted.

    Raises
    ------
    IngestError
        If the pixels are cut off or cannot be decompressed.
    """
    if not any(keyword in dataset for keyword in _PIXEL_KEYWORDS):
        raise IngestError("has no pixels; the file is cut off or not an image")
    try:
        with quiet():
            _complete_syntax(dataset)
            pixels = _decoded(dataset)
    except Exception as error:
        # pydicom and its codecs raise whatever the damaged bytes lead to
        raise IngestError(
            f"pixels cannot be decoded ({_first_line(error)}); the file is cut off, "
            "damaged or compressed in an unknown way"
        ) from error
    pixels = _clear_high_bits(pixels, dataset)
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        pixels = pixels.max() - pixels.astype(np.int32)
    return pixels.reshape(-1, *pixels.shape[-2:])


def real_values(
    frames: list[Frame], reference: Frame
) -> tuple[NDArray[np.float32], str]:
    """Turn stored numbers into values that compare between the frames.

    Philips rescales every image for display; where every frame names its scale
    slope the floating-point value FP = (SV * RS + RI) / (RS * SS) compares. It is
    multiplied by RS * SS of `reference`, so that images which were all rescaled alike
    keep the values that other programs show.

    Parameters
    ----------
    frames : list of Frame
        Slices of one stack.
    reference : Frame
        Any frame of the series, the same for all its stacks.

    Returns
    -------
    (slice, row, column) float32 ndarray, str
        Values, and a sentence when something other than the plain rescale was done.

    References
    ----------
    .. [1] DICOM PS3.3 C.11.1, Modality LUT.
    """
    slope = np.array([frame.slope for frame in frames])
    intercept = np.array([frame.intercept for frame in frames])
    unit = reference.slope * reference.philips_scale_slope
    scale = np.array([frame.philips_scale_slope for frame in frames])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = slope * scale / unit
    sound = (ratio > 1 / LARGEST_RESCALE) & (ratio < LARGEST_RESCALE)
    philips = bool(np.all(sound))
    divisor = ratio if philips else np.ones(len(frames))
    factors = (slope / divisor).astype(np.float32)
    offsets = (intercept / divisor).astype(np.float32)
    values = np.stack([frame.stored for frame in frames]).astype(np.float32)
    values *= factors[:, None, None]
    values += offsets[:, None, None]
    note = ""
    if philips and np.any(ratio != 1.0):
        note = "Philips scale slopes differ between slices and were applied"
    return values, note


def philips_scale_slope(dataset: Dataset) -> float:
    """Return Philips' scale slope, NaN for other vendors or when absent."""
    element = raw(dataset, _PHILIPS_SCALE_SLOPE)
    if element is None:
        return float("nan")
    value = element.value
    if isinstance(value, bytes):
        value = np.frombuffer(value[:4], "<f4")[0] if len(value) >= 4 else "nan"
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def series_tags(dataset: Dataset) -> SeriesTags:
    """Collect what the top level of a header says about the kind of series."""
    return SeriesTags(
        modality=text(dataset, "Modality").upper(),
        sop_class_uid=text(dataset, "SOPClassUID"),
        description=text(dataset, "SeriesDescription"),
        protocol=text(dataset, "ProtocolName"),
        sequence_name=text(dataset, "SequenceName")
        or text(dataset, "PulseSequenceName"),
        scanning_sequence=texts(dataset, "ScanningSequence"),
        sequence_variant=texts(dataset, "SequenceVariant"),
        scan_options=texts(dataset, "ScanOptions"),
        image_type=texts(dataset, "ImageType"),
        manufacturer=text(dataset, "Manufacturer"),
        body_part=text(dataset, "BodyPartExamined").upper(),
        contrast_agent=text(dataset, "ContrastBolusAgent"),
        acquisition_contrast=text(dataset, "AcquisitionContrast").upper(),
        repetition_time_ms=number(dataset, "RepetitionTime"),
        echo_time_ms=number(dataset, "EchoTime"),
        inversion_time_ms=number(dataset, "InversionTime"),
        flip_angle_deg=number(dataset, "FlipAngle"),
        echo_train_length=number(dataset, "EchoTrainLength"),
    )


def classic_frame(dataset: Dataset, file: SourceFile) -> Frame:
    """Describe the one frame of a classic image, without its pixels.

    Raises
    ------
    IngestError
        If position, orientation or pixel spacing is missing or impossible.
    """
    spacing = numbers(dataset, "PixelSpacing")
    if len(spacing) != 2:
        spacing = numbers(dataset, "ImagerPixelSpacing")
    return Frame(
        file=file,
        frame_number=1,
        series_uid=text(dataset, "SeriesInstanceUID"),
        instance_uid=text(dataset, "SOPInstanceUID"),
        frame_of_reference_uid=text(dataset, "FrameOfReferenceUID"),
        tags=series_tags(dataset),
        **checked_plane(
            numbers(dataset, "ImagePositionPatient"),
            numbers(dataset, "ImageOrientationPatient"),
            spacing,
        ),
        slice_thickness_mm=_or(number(dataset, "SliceThickness"), 0.0),
        instance_number=number(dataset, "InstanceNumber"),
        acquisition_number=number(dataset, "AcquisitionNumber"),
        temporal=number(dataset, "TemporalPositionIdentifier"),
        echo=number(dataset, "EchoTime"),
        **checked_rescale(
            number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        ),
        philips_scale_slope=philips_scale_slope(dataset),
    )


def _read(stream: BinaryIO, *, tags: list[str] | None, **options: Any) -> Dataset:
    """Read leniently, turning every failure into one sentence."""
    refuse_deflate_bomb(stream)
    try:
        with quiet():
            dataset = pydicom.dcmread(stream, force=True, specific_tags=tags, **options)
    except (InvalidDicomError, EOFError) as error:
        raise IngestError("is not DICOM or is cut off in its header") from error
    except Exception as error:
        # a damaged header makes pydicom fail in many ways
        raise IngestError(
            f"header cannot be read ({_first_line(error)}); the file is damaged"
        ) from error
    if len(dataset) == 0 and not dataset.file_meta:
        raise IngestError("is not DICOM")
    return dataset


def _decoded(dataset: Dataset) -> NDArray[Any]:
    """Decode the pixels with a library that a damaged file does not bring down."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _ONLY_GDCM:
        return decode_apart(dataset)
    dataset.pixel_array_options(decoding_plugin=_DECODERS.get(syntax, ""))
    pixels: NDArray[Any] = dataset.pixel_array
    if syntax in (JPEG2000, JPEG2000Lossless) and not dataset.PixelRepresentation:
        pixels = _as_unsigned(pixels, dataset)
    return pixels


def _as_unsigned(pixels: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Take back the shift by half the range that Pillow gives signed streams."""
    stream = next(generate_frames(dataset.PixelData, number_of_frames=1))
    about = get_j2k_parameters(stream)
    if not about.get("is_signed"):
        return pixels
    half = pixels.dtype.type(1 << (int(about["precision"]) - 1))
    return np.asarray(pixels ^ half)


def _complete_syntax(dataset: Dataset) -> None:
    """Name the transfer syntax of a file without meta information."""
    if dataset.file_meta.get("TransferSyntaxUID"):
        return
    implicit, little = dataset.original_encoding
    if not little:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    else:
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        )


def _clear_high_bits(pixels: NDArray[Any], dataset: Dataset) -> NDArray[Any]:
    """Remove what lies above BitsStored in native integers."""
    allocated = pixels.dtype.itemsize * 8
    known = _or(number(dataset, "BitsStored"), allocated)
    if pixels.dtype.kind not in "iu" or not 0 < known < allocated:
        return pixels
    stored = int(known)
    if pixels.dtype.kind == "u":
        limit = (1 << stored) - 1
        return pixels if pixels.max(initial=0) <= limit else pixels & limit
    shift = pixels.dtype.itemsize * 8 - stored
    return (pixels << shift) >> shift


def _or(value: float, default: float) -> float:
    """Replace NaN."""
    return default if np.isnan(value) else value


def _first_line(error: BaseException) -> str:
    """Return the first line of an error message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
