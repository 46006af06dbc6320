"""Read segmentations back: segments as masks in patient space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from facetgrade.anatomy import FacetJoint
from facetgrade.errors import IngestError
from facetgrade.exchange.segments import SEGMENT_CODES, SegmentKind, joint_of
from facetgrade.geometry import Mask, VolumeGeometry

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True, eq=False, slots=True)
class ReadSegment:
    """One segment of a segmentation object.

    Attributes
    ----------
    seg_uid : str
        SOPInstanceUID of the object.
    number : int
        Segment number.
    label : str
        Label for people.
    joint : FacetJoint or None
        From the tracking identifier; None if it is not one of facetgrade.
    kind : SegmentKind or None
        From category, type and tissue codes.
    mask : Mask
        On the smallest grid of the object that holds all of its frames.
    """

    seg_uid: str
    number: int
    label: str
    joint: FacetJoint | None
    kind: SegmentKind | None
    mask: Mask


def read_segments(dataset: Dataset) -> list[ReadSegment]:
    """Read every segment of a BINARY segmentation of parallel, even slices.

    Parameters
    ----------
    dataset : Dataset
        With pixels.

    Raises
    ------
    IngestError
        If this is no such segmentation.
    """
    if dataset.get("SOPClassUID") != SEGMENTATION:
        raise IngestError("is not a DICOM segmentation")
    if dataset.SegmentationType != "BINARY":
        raise IngestError("is a fractional segmentation; only binary ones are read")
    try:
        geometry, slices = _grid(dataset)
        pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
        numbers = [_segment_number(dataset, item) for item in _frames(dataset)]
    except (AttributeError, KeyError, IndexError, ValueError) as error:
        raise IngestError(
            f"is damaged or lacks what segmentations need ({type(error).__name__})"
        ) from (error)
    found = []
    for segment in dataset.SegmentSequence:
        voxels = np.zeros(geometry.shape, bool)
        for k, number, frame in zip(slices, numbers, pixels, strict=True):
            if number == segment.SegmentNumber:
                voxels[k] |= frame > 0
        found.append(_segment(dataset, segment, Mask(geometry=geometry, voxels=voxels)))
    return found


def _segment(dataset: Dataset, segment: Dataset, mask: Mask) -> ReadSegment:
    """Name a segment by its codes."""
    return ReadSegment(
        seg_uid=str(dataset.SOPInstanceUID),
        number=int(segment.SegmentNumber),
        label=str(segment.SegmentLabel),
        joint=joint_of(str(segment.get("TrackingID", ""))),
        kind=_kind(segment),
        mask=mask,
    )


def _kind(segment: Dataset) -> SegmentKind | None:
    """Find the kind with the codes of a segment."""
    category = _keys(segment.SegmentedPropertyCategoryCodeSequence)
    kind = segment.SegmentedPropertyTypeCodeSequence
    tissue = _keys(kind[0].get("SegmentedPropertyTypeModifierCodeSequence", []))
    for name, one in SEGMENT_CODES.items():
        if category == [one.category.key] and _keys(kind) == [one.type.key]:
            wanted = [one.tissue.key] if one.tissue else []
            if tissue == wanted:
                return name
    return None


def _keys(sequence: Any) -> list[tuple[str, str]]:
    """Return scheme and value of each code."""
    return [
        (str(item.CodingSchemeDesignator), str(item.CodeValue)) for item in sequence
    ]


def _frames(dataset: Dataset) -> Any:
    """Return the functional groups of the frames."""
    return dataset.PerFrameFunctionalGroupsSequence


def _segment_number(dataset: Dataset, item: Dataset) -> int:
    """Return the segment that a frame belongs to."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    macro = item.get("SegmentIdentificationSequence") or (
        shared.SegmentIdentificationSequence
    )
    return int(macro[0].ReferencedSegmentNumber)


def _grid(dataset: Dataset) -> tuple[VolumeGeometry, NDArray[np.int64]]:
    """Build the grid of the frames, and the slice of each frame."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    measures = shared.PixelMeasuresSequence[0]
    orientation = shared.PlaneOrientationSequence[0].ImageOrientationPatient
    along, down = np.array(orientation, float).reshape(2, 3)
    normal = np.cross(along, down)
    positions = np.array(
        [
            item.PlanePositionSequence[0].ImagePositionPatient
            for item in _frames(dataset)
        ],
        float,
    )
    offsets_mm = positions @ normal
    first = int(offsets_mm.argmin())
    spacing_mm = float(measures.get("SpacingBetweenSlices") or measures.SliceThickness)
    slices = np.rint((offsets_mm - offsets_mm[first]) / spacing_mm).astype(np.int64)
    step = _step(positions, slices, normal * spacing_mm)
    row_mm, column_mm = (float(mm) for mm in measures.PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([step, down * row_mm, along * column_mm], axis=1)
    affine[:3, 3] = positions[first]
    geometry = VolumeGeometry(
        shape=(int(slices.max()) + 1, int(dataset.Rows), int(dataset.Columns)),
        index_to_lps=affine,
        frame_of_reference_uid=str(dataset.get("FrameOfReferenceUID", "")),
    )
    return geometry, slices


def _step(
    positions: NDArray[np.float64],
    slices: NDArray[np.int64],
    otherwise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Measure the step from slice to slice, which a sheared stack has in-plane too."""
    if np.ptp(slices) == 0:
        return otherwise
    design = np.stack([slices, np.ones(len(slices))], axis=1).astype(float)
    (step, _), *_ = np.linalg.lstsq(design, positions, rcond=None)
    found: NDArray[np.float64] = step
    return found
