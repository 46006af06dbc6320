"""NIfTI volumes with JSON sidecars: RAS (i, j, k) into LPS (slice, row, column)."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.imageglobals import LoggingOutputSuppressor
from numpy.typing import NDArray

from facetgrade.errors import IngestError
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest.archive import SourceFile, read_files
from facetgrade.ingest.assemble import Assembled, add_classified
from facetgrade.ingest.dicom import SeriesTags
from facetgrade.ingest.screening import reject_nifti, reject_series
from facetgrade.ingest.series import plane_of
from facetgrade.ingest.settings import IngestSettings, NiftiSettings
from facetgrade.ingest.sidecars import index_sidecars, merged, stem_of
from facetgrade.study import Plane, RejectedSeries, Stack

SUFFIXES = (".nii", ".nii.gz")
_GZIP_MAGIC = b"\x1f\x8b"
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_BYTES_PER_MB = 1_000_000
_MS_PER_S = 1000.0
_LARGEST_AMOUNT = 1e9  # no time or angle is larger
_MIN_DETERMINANT = 0.5  # of unit axes; they may be sheared by up to 60 degrees


def is_nifti(name: str) -> bool:
    """Tell by its name whether a file is NIfTI."""
    return name.lower().endswith(SUFFIXES)


def decode_nifti(content: bytes, settings: NiftiSettings) -> Any:
    """Decode a NIfTI file held in memory.

    Parameters
    ----------
    content : bytes
        The file, gzip-compressed or not.
    settings : NiftiSettings
        Largest size after decompression.

    Returns
    -------
    nibabel image
        Three-dimensional; the first volume of a series of volumes.

    Raises
    ------
    IngestError
        If it is damaged, too large, or does not say where it lies in the patient.
    """
    if not content:
        raise IngestError("is empty (zero bytes)")
    try:
        with LoggingOutputSuppressor():
            image = nib.Nifti1Image.from_bytes(_unpacked(content, settings))
    except IngestError:
        raise
    except Exception as error:
        # nibabel raises whatever a damaged header leads to
        raise IngestError("is not NIfTI or is damaged in its header") from error
    header: Any = image.header
    if int(header["qform_code"]) == 0 and int(header["sform_code"]) == 0:
        raise IngestError(
            "does not say which way the patient lies (qform and sform codes are 0), so "
            "left and right are unknown"
        )
    if image.ndim < 3 or 0 in image.shape or header.get_data_dtype().kind not in "iuf":
        raise IngestError("is not a three-dimensional gray-scale volume")
    _check_affine(image.affine)
    return image


def voxel_values(image: Any) -> NDArray[np.float32]:
    """Return the scaled values of the first volume, indexed (i, j, k).

    Raises
    ------
    IngestError
        If the file is cut off.
    """
    try:
        values = np.asarray(image.dataobj, dtype=np.float32)
    except Exception as error:
        # nibabel and numpy raise whatever the missing bytes lead to
        raise IngestError("is cut off or damaged in its voxels") from error
    values = values.reshape(*values.shape[:3], -1)[..., 0]
    return np.nan_to_num(values)


def oriented_volume(
    values: NDArray[np.float32], affine_ras: NDArray[np.float64], tolerance: float
) -> Volume:
    """Reorder voxels to (slice, row, column) as a scanner would store them.

    The slice axis is the one with the largest spacing; volumes isotropic within
    `tolerance` are read as sagittal.

    Parameters
    ----------
    values : (i, j, k) float32 ndarray
        Voxels as in the file.
    affine_ras : (4, 4) float64 ndarray
        Maps (i, j, k, 1) to RAS mm.
    tolerance : float
        Relative difference of spacings that still counts as isotropic.
    """
    affine = _RAS_TO_LPS @ affine_ras
    order = _axis_order(affine[:3, :3], tolerance)
    signs = _axis_signs(affine[:3, :3], order)
    permuted = np.transpose(values, order)
    matrix = np.eye(4)
    matrix[:3, :3] = affine[:3, order] * signs
    flipped = signs < 0
    last = np.where(flipped, np.array(permuted.shape) - 1, 0)
    matrix[:3, 3] = affine[:3, 3] + affine[:3, order] @ last
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
    voxels = np.ascontiguousarray(permuted[steps], dtype=np.float32)
    return Volume(
        geometry=VolumeGeometry(shape=voxels.shape, index_to_lps=matrix), voxels=voxels
    )


def nifti_tags(name: str, sidecar: Mapping[str, Any]) -> SeriesTags:
    """Read what a JSON sidecar says about the kind of series; its times are in s.

    Parameters
    ----------
    name : str
        File name; its words are used like a protocol name.
    sidecar : mapping
        Content of the sidecar, empty when there is none.
    """

    def words(key: str) -> tuple[str, ...]:
        value = sidecar.get(key, ())
        values = value if isinstance(value, list) else str(value or "").split("\\")
        return tuple(str(item) for item in values if str(item))

    def first(key: str) -> str:
        return " ".join(words(key))

    def amount(key: str, factor: float = 1.0) -> float:
        value = sidecar.get(key)
        if not isinstance(value, int | float) or not abs(value) < _LARGEST_AMOUNT:
            return float("nan")
        return float(value) * factor

    return SeriesTags(
        modality=first("Modality").upper(),
        description=first("SeriesDescription"),
        protocol=f"{first('ProtocolName')} {stem_of(name)}".strip(),
        sequence_name=first("SequenceName"),
        scanning_sequence=tuple(" ".join(words("ScanningSequence")).split("_")),
        scan_options=tuple(" ".join(words("ScanOptions")).split("_")),
        image_type=words("ImageType"),
        manufacturer=first("Manufacturer"),
        body_part=first("BodyPartExamined").upper(),
        contrast_agent=first("ContrastBolusIngredient"),
        repetition_time_ms=amount("RepetitionTime", _MS_PER_S),
        echo_time_ms=amount("EchoTime", _MS_PER_S),
        inversion_time_ms=amount("InversionTime", _MS_PER_S),
        flip_angle_deg=amount("FlipAngle"),
    )


def read_nifti_series(
    files: Iterable[SourceFile], settings: IngestSettings
) -> Assembled:
    """Read the NIfTI files of one study into classified series.

    Parameters
    ----------
    files : iterable of SourceFile
        Volumes and sidecars.
    settings : IngestSettings
        Limits and series rules.
    """
    result = Assembled()
    contents = dict(read_files(files))
    sidecars = index_sidecars(file for file in contents if not is_nifti(file.name))
    for file in sorted(contents, key=lambda file: file.name):
        content = contents[file]
        if isinstance(content, str):
            result.notes.append(content)
            continue
        result.digests.append(sha256(content).digest())
        if is_nifti(file.name):
            about = merged([contents[one] for one in sidecars.of(file)])
            tags = nifti_tags(file.name, about)
            _add_volume(result, file.name, content, tags, settings)
    return result


def _add_volume(
    result: Assembled,
    name: str,
    content: bytes,
    tags: SeriesTags,
    settings: IngestSettings,
) -> None:
    """Add one volume, or the reason why it is not used."""
    try:
        image = decode_nifti(content, settings.nifti)
        values = voxel_values(image)
    except IngestError as error:
        result.notes.append(f"{name} {error}")
        return
    reason = reject_nifti(stem_of(name), values, settings)
    reason = reason or reject_series(tags, settings.series_rules)
    if not reason and min(values.shape) < settings.stacks.min_slices:
        reason = f"only {min(values.shape)} slices, too few to use"
    if reason:
        result.rejected.append(
            RejectedSeries(uid=name, description=tags.description, reason=reason)
        )
        return
    if image.ndim > 3 and image.shape[3] > 1:
        result.notes.append(f"{name} holds {image.shape[3]} volumes; the first is used")
    volume = oriented_volume(values, image.affine, settings.nifti.isotropic_tolerance)
    stack = Stack(volume=volume)
    rules = settings.series_rules
    add_classified(result, name, tags, [stack], rules)


def _check_affine(affine: NDArray[np.float64]) -> None:
    """Raise when voxels have no place, no size, or directions that fall together."""
    if not np.isfinite(affine).all():
        raise IngestError("has an affine with values that are no numbers")
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    if spacing_mm.min() == 0 or not np.isfinite(spacing_mm).all():
        raise IngestError("has an affine that is not invertible")
    if abs(np.linalg.det(affine[:3, :3] / spacing_mm)) < _MIN_DETERMINANT:
        raise IngestError("has an affine whose axes are not at right angles")


def _unpacked(content: bytes, settings: NiftiSettings) -> bytes:
    """Decompress gzip of one or more members, but never more than the limit."""
    limit = int(settings.max_unpacked_mb * _BYTES_PER_MB)
    if not content.startswith(_GZIP_MAGIC):
        return content
    parts: list[bytes] = []
    while content.startswith(_GZIP_MAGIC):
        unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            parts.append(unpacker.decompress(content, limit + 1))
        except zlib.error as error:
            raise IngestError("is damaged (not valid gzip)") from error
        limit -= len(parts[-1])
        if limit < 0:
            size_mb = settings.max_unpacked_mb
            raise IngestError(f"unpacks to more than {size_mb:.0f} MB and is refused")
        content = unpacker.unused_data
    return b"".join(parts)


def _axis_order(matrix: NDArray[np.float64], tolerance: float) -> list[int]:
    """Return which file axes become slice, row and column."""
    spacing_mm = np.linalg.norm(matrix, axis=0)
    if spacing_mm.max() <= spacing_mm.min() * (1.0 + tolerance):
        slices = int(np.argmax(np.abs(matrix[0] / spacing_mm)))
    else:
        slices = int(np.argmax(spacing_mm))
    left = [axis for axis in range(3) if axis != slices]
    normal = np.cross(matrix[:, left[0]], matrix[:, left[1]])
    down = 1 if plane_of(normal / np.linalg.norm(normal)) is Plane.AXIAL else 2
    rows = max(left, key=lambda axis: abs(matrix[down, axis]) / spacing_mm[axis])
    return [slices, rows, *(axis for axis in left if axis != rows)]


def _axis_signs(matrix: NDArray[np.float64], order: list[int]) -> NDArray[np.float64]:
    """Return the sign of each new axis: rows run down or backward, the rest up."""
    signs = []
    for place, axis in enumerate(order):
        direction = matrix[:, axis]
        main = int(np.argmax(np.abs(direction)))
        sign = 1.0 if direction[main] >= 0 else -1.0
        signs.append(-sign if place == 1 and main == 2 else sign)
    return np.array(signs)
