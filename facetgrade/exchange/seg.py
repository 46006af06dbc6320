"""DICOM Segmentation objects: one for each stack on which a joint was read.

A stack has one orientation and even spacing, so that every viewer and converter can
build a volume of its segmentation; a series of several oblique blocks gets several
objects in one series.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from facetgrade.anatomy import FacetJoint
from facetgrade.exchange import codes
from facetgrade.exchange.codes import Code
from facetgrade.exchange.segments import (
    SEGMENT_CODES,
    DrawnSegment,
    tracking_id,
)
from facetgrade.exchange.settings import DicomSettings
from facetgrade.exchange.sources import SourcePlane
from facetgrade.exchange.study_module import adopt_study, neutral_header
from facetgrade.exchange.tolerant import tolerant
from facetgrade.geometry import VolumeGeometry
from facetgrade.ingest.dicom import Frame

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """UIDs and numbers of one new object, and the software that makes it.

    Attributes
    ----------
    instance_uid, series_uid : str
        Of the new object.
    instance_number, series_number : int
        Of the new object.
    algorithm : str
        Name of the model that drew or measured.
    version : str
        Version of facetgrade.
    tracking_uids : mapping of FacetJoint to str
        The same for a joint at every visit of a patient.
    """

    instance_uid: str
    series_uid: str
    instance_number: int
    series_number: int
    algorithm: str
    version: str
    tracking_uids: dict[FacetJoint, str]


def segmentation(
    segments: Sequence[DrawnSegment],
    geometry: VolumeGeometry,
    planes: Sequence[SourcePlane],
    source: Dataset,
    *,
    identity: Identity,
    settings: DicomSettings,
    description: str,
) -> Dataset:
    """Build the BINARY segmentation of one stack.

    Parameters
    ----------
    segments : sequence of DrawnSegment
        At least one, on the grid of the stack.
    geometry : VolumeGeometry
        Grid of the stack.
    planes : sequence of SourcePlane
        One per slice.
    source : Dataset
        Header of an image of the stack, for patient, study and frame of reference.
    identity : Identity
        UIDs, numbers and software.
    settings : DicomSettings
        Labels and colors.
    description : str
        ContentDescription, at most 64 characters.

    Returns
    -------
    Dataset
        Complete, with file meta.

    References
    ----------
    .. [1] DICOM PS3.3 A.51 Segmentation IOD.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues

    with tolerant():
        made: Any = Segmentation(
            source_images=[_template(source, geometry)],
            pixel_array=np.stack([s.voxels for s in segments], axis=-1),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=[
                _description(k, segment, identity, settings)
                for k, segment in enumerate(segments, start=1)
            ],
            series_instance_uid=identity.series_uid,
            series_number=identity.series_number,
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=settings.manufacturer,
            manufacturer_model_name="facetgrade",
            software_versions=identity.version,
            device_serial_number="0",
            content_label="FACET_JOINTS",
            content_description=description,
            series_description="Facet joint inflammation (research use only)",
            **_planes(geometry, planes),
        )
        _refer_to_sources(made, planes)
        adopt_study(made, source)
    dataset: Dataset = made
    return dataset


def coded(code: Code) -> Any:
    """Turn a concept of the table into one of highdicom."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def _template(source: Dataset, geometry: VolumeGeometry) -> Dataset:
    """Return what highdicom needs to know of a source image, and nothing private."""
    header = neutral_header(source)
    header.SOPClassUID = MR_IMAGE
    header.Modality = "MR"
    header.SOPInstanceUID = source.SOPInstanceUID
    header.SeriesInstanceUID = source.SeriesInstanceUID
    header.FrameOfReferenceUID = source.get("FrameOfReferenceUID") or (
        geometry.frame_of_reference_uid or source.SeriesInstanceUID
    )
    header.PositionReferenceIndicator = source.get("PositionReferenceIndicator", "")
    _, header.Rows, header.Columns = geometry.shape
    header.ImagePositionPatient = [0, 0, 0]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing, header.SliceThickness = [1, 1], 1
    return header


def _planes(geometry: VolumeGeometry, planes: Sequence[SourcePlane]) -> dict[str, Any]:
    """Return orientation, spacing and positions as highdicom wants them."""
    from highdicom import (
        PixelMeasuresSequence,
        PlaneOrientationSequence,
        PlanePositionSequence,
    )

    down, along = geometry.axes[1], geometry.axes[2]
    slice_mm, row_mm, column_mm = (float(mm) for mm in geometry.spacing_mm)
    thickness_mm = next(
        (p.frame.slice_thickness_mm for p in planes if p.frame is not None), 0.0
    )
    return {
        "plane_orientation": PlaneOrientationSequence("PATIENT", (*along, *down)),
        "pixel_measures": PixelMeasuresSequence(
            pixel_spacing=(row_mm, column_mm),
            slice_thickness=thickness_mm or slice_mm,
            spacing_between_slices=_across_mm(geometry),
        ),
        "plane_positions": [
            PlanePositionSequence("PATIENT", plane.position_lps_mm.tolist())
            for plane in planes
        ],
    }


def _across_mm(geometry: VolumeGeometry) -> float:
    """Measure the slice spacing along the normal, also of a sheared stack."""
    normal = np.cross(geometry.axes[1], geometry.axes[2])
    return float(abs(geometry.index_to_lps[:3, 0] @ normal))


def _description(
    number: int, segment: DrawnSegment, identity: Identity, settings: DicomSettings
) -> Any:
    """Describe one segment with category, type, region, side, color and tracking."""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription

    kind = SEGMENT_CODES[segment.kind]
    made: Any = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=coded(kind.category),
        segmented_property_type=coded(kind.type),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name=identity.algorithm,
            family=coded(codes.ARTIFICIAL_INTELLIGENCE),
            version=identity.version,
        ),
        tracking_uid=identity.tracking_uids[segment.joint],
        tracking_id=tracking_id(segment.joint),
        anatomic_regions=[coded(codes.LEVELS[segment.joint.level])],
        display_color=CIELabColor(*settings.colors[segment.kind]),
    )
    region = made.AnatomicRegionSequence[0]
    side, joint = codes.LATERALITY[segment.joint.side], codes.FACET_JOINT
    region.AnatomicRegionModifierSequence = [coded(side), coded(joint)]
    if kind.tissue:
        made.SegmentedPropertyTypeCodeSequence[
            0
        ].SegmentedPropertyTypeModifierCodeSequence = [coded(kind.tissue)]
    return made


def _refer_to_sources(made: Any, planes: Sequence[SourcePlane]) -> None:
    """Refer every frame to the source frame at its place, and the object to all."""
    by_position = {_place(p.position_lps_mm): p for p in planes}
    for item in made.PerFrameFunctionalGroupsSequence:
        position = item.PlanePositionSequence[0].ImagePositionPatient
        plane = by_position[_place(np.array(position, float))]
        frame = plane.frame
        item.DerivationImageSequence = (
            [_derivation(frame, plane.in_multi_frame)] if frame else []
        )
    made.ReferencedSeriesSequence = _referenced_series(planes)
    if "SourceImageSequence" in made:
        del made.SourceImageSequence


def _place(position_lps_mm: Any) -> tuple[float, ...]:
    """Round a position as a key."""
    return tuple(round(float(mm), 4) for mm in position_lps_mm)


def _derivation(frame: Frame, in_multi_frame: bool) -> Dataset:
    """Say that a frame is a segmentation of its source frame."""
    item = Dataset()
    item.DerivationCodeSequence = [coded(codes.SEGMENTATION)]
    source = Dataset()
    source.ReferencedSOPClassUID = referenced_class(frame.tags.sop_class_uid)
    source.ReferencedSOPInstanceUID = frame.instance_uid
    source.SpatialLocationsPreserved = "YES"
    if in_multi_frame:
        source.ReferencedFrameNumber = frame.frame_number
    source.PurposeOfReferenceCodeSequence = [coded(codes.SOURCE_IMAGE)]
    item.SourceImageSequence = [source]
    return item


def referenced_class(sop_class_uid: str) -> str:
    """Return the class by which an image is referred to, MR when it names none."""
    return sop_class_uid or MR_IMAGE


def _referenced_series(planes: Sequence[SourcePlane]) -> list[Dataset]:
    """List the source images by series."""
    series: dict[str, dict[str, str]] = {}
    for plane in planes:
        if plane.frame is not None:
            frame = plane.frame
            instances = series.setdefault(frame.series_uid, {})
            instances[frame.instance_uid] = referenced_class(frame.tags.sop_class_uid)
    items = []
    for uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedInstanceSequence = []
        for instance_uid, class_uid in instances.items():
            reference = Dataset()
            reference.ReferencedSOPClassUID = class_uid
            reference.ReferencedSOPInstanceUID = instance_uid
            item.ReferencedInstanceSequence.append(reference)
        items.append(item)
    return items
