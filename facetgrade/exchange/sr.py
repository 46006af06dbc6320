"""DICOM Structured Report after TID 1500: one measurement group for each joint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from facetgrade.anatomy import ExtensionSite, FacetJoint
from facetgrade.exchange import codes
from facetgrade.exchange.codes import Code
from facetgrade.exchange.seg import Identity, coded, referenced_class
from facetgrade.exchange.segments import SEGMENT_CODES, SegmentKind, tracking_id
from facetgrade.exchange.settings import DicomSettings
from facetgrade.exchange.sources import SourcePlane
from facetgrade.exchange.study_module import adopt_study, neutral_header
from facetgrade.exchange.tolerant import tolerant
from facetgrade.findings import Extents, Flag, Graded, Outcome, StudyReport
from facetgrade.report.tables import (
    format_fraction,
    format_mm,
    format_probabilities,
    known_extents,
)

_SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"


@dataclass(frozen=True, eq=False, slots=True)
class JointSegments:
    """Where the segments of one joint are.

    Attributes
    ----------
    seg : Dataset
        The segmentation that shows most of the joint.
    numbers : dict of SegmentKind to int
        Numbers of the joint's segments in it.
    planes : tuple of SourcePlane
        Slices on which they were drawn, each with its source frame.
    """

    seg: Dataset
    numbers: dict[SegmentKind, int]
    planes: tuple[SourcePlane, ...]


def structured_report(
    report: StudyReport,
    segments: Mapping[FacetJoint, JointSegments],
    evidence: Sequence[Dataset],
    source: Dataset,
    *,
    identity: Identity,
    settings: DicomSettings,
) -> Dataset:
    """Build the report of a study.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    segments : mapping of FacetJoint to JointSegments
        Joints that were drawn.
    evidence : sequence of Dataset
        Source images and segmentations that the report refers to, with their UIDs.
    source : Dataset
        Header of an image of the study, for patient and study.
    identity : Identity
        UIDs, numbers and software.
    settings : DicomSettings
        Labels.

    Returns
    -------
    Dataset
        Comprehensive SR, complete with file meta.

    References
    ----------
    .. [1] DICOM PS3.16 TID 1500 Measurement Report, TID 1411 Volumetric ROI
       Measurements and Qualitative Evaluations, TID 1501.
    """
    from highdicom.sr import ComprehensiveSR, MeasurementReport

    with tolerant():
        content = MeasurementReport(
            observation_context=_observer(identity),
            procedure_reported=coded(codes.PROCEDURE),
            imaging_measurements=[
                _group(outcome, segments.get(outcome.joint), identity)
                for outcome in sorted(report.outcomes, key=lambda o: o.joint)
            ],
        )
        made: Any = ComprehensiveSR(
            evidence=[_reference(one, source) for one in evidence],
            content=content,
            series_instance_uid=identity.series_uid,
            series_number=identity.series_number,
            sop_instance_uid=identity.instance_uid,
            instance_number=identity.instance_number,
            manufacturer=settings.manufacturer,
            manufacturer_model_name="facetgrade",
            software_versions=identity.version,
            series_description="Facet joint synovitis (research use only)",
            is_complete=True,
            is_final=False,
        )
        _name_private_scheme(made)
        adopt_study(made, source)
    dataset: Dataset = made
    return dataset


def _reference(one: Dataset, source: Dataset) -> Dataset:
    """Return the UIDs of an object of the study, and nothing of the patient."""
    header = neutral_header(source)
    header.SeriesInstanceUID = one.SeriesInstanceUID
    header.SOPInstanceUID = one.SOPInstanceUID
    header.SOPClassUID = referenced_class(str(one.get("SOPClassUID", "")))
    return header


def _observer(identity: Identity) -> Any:
    """Say that software observed, not a person."""
    from highdicom.sr import (
        DeviceObserverIdentifyingAttributes,
        ObservationContext,
        ObserverContext,
    )
    from pydicom.sr.codedict import codes as standard

    attributes = DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=["facetgrade", identity.version]),
        name="facetgrade",
        manufacturer_name="facetgrade",
        model_name=identity.version,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(
            observer_type=standard.DCM.Device,
            observer_identifying_attributes=attributes,
        )
    )


def _group(outcome: Outcome, segments: JointSegments | None, identity: Identity) -> Any:
    """Build the measurement group of one joint: TID 1411 if drawn, else TID 1501."""
    from highdicom.sr import (
        AlgorithmIdentification,
        FindingSite,
        MeasurementsAndQualitativeEvaluations,
        TrackingIdentifier,
        VolumetricROIMeasurementsAndQualitativeEvaluations,
    )

    joint = outcome.joint
    shared: dict[str, Any] = {
        "tracking_identifier": TrackingIdentifier(
            uid=identity.tracking_uids[joint], identifier=tracking_id(joint)
        ),
        "finding_type": coded(codes.FACET_JOINT_SYNOVITIS),
        "algorithm_id": AlgorithmIdentification(
            name=identity.algorithm, version=identity.version
        ),
        "finding_sites": [
            FindingSite(
                anatomic_location=coded(codes.LEVELS[joint.level]),
                laterality=coded(codes.LATERALITY[joint.side]),
                topographical_modifier=coded(codes.FACET_JOINT),
            )
        ],
        "measurements": list(_measurements(outcome, segments)) or None,
        "qualitative_evaluations": list(_evaluations(outcome)),
    }
    if segments is None:
        return MeasurementsAndQualitativeEvaluations(**shared)
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=_referenced_segment(segments), **shared
    )


def _referenced_segment(segments: JointSegments) -> Any:
    """Refer to all segments of a joint in one segmentation, and to their images."""
    from highdicom.sr import ReferencedSegment, SourceImageForSegmentation

    numbers = list(segments.numbers.values())
    made = ReferencedSegment(
        sop_class_uid=_SEG_CLASS,
        sop_instance_uid=segments.seg.SOPInstanceUID,
        segment_number=numbers[0],
        source_images=[
            SourceImageForSegmentation(class_uid, uid, frame_numbers or None)
            for (class_uid, uid), frame_numbers in _images(segments).items()
        ],
    )
    # The macro allows several numbers (PS3.3 C.17.3.5); highdicom takes one.
    made[0].ReferencedSOPSequence[0].ReferencedSegmentNumber = numbers
    return made


def _images(segments: JointSegments) -> dict[tuple[str, str], list[int]]:
    """Collect source images, with frame numbers where an image has several frames."""
    images: dict[tuple[str, str], list[int]] = {}
    for plane in segments.planes:
        if plane.frame is not None:
            class_uid = referenced_class(plane.frame.tags.sop_class_uid)
            numbers = images.setdefault((class_uid, plane.frame.instance_uid), [])
            numbers += [plane.frame.frame_number] if plane.in_multi_frame else []
    return images


def _measurements(outcome: Outcome, segments: JointSegments | None) -> Iterator[Any]:
    """Write the numbers of a joint as in joints.csv; what is unknown is left out."""
    extents, edema_judged = known_extents(outcome)
    if extents is not None:
        yield from _effusion(extents, segments)
    if extents is not None and edema_judged:
        yield from _edema(extents, segments)
    if outcome.location is not None:
        probability = format_fraction(outcome.location.level_probability)
        yield from _number(codes.LEVEL_PROBABILITY, probability, codes.NO_UNITS)
    if isinstance(outcome, Graded):
        probabilities = format_probabilities(outcome.probabilities)
        for code, value in zip(codes.GRADE_PROBABILITIES, probabilities, strict=True):
            yield from _number(code, value, codes.NO_UNITS)


def _effusion(extents: Extents, segments: JointSegments | None) -> Iterator[Any]:
    """Write volume and width of the effusion."""
    of = _About(SegmentKind.EFFUSION, segments)
    volume = format_mm(extents.effusion_mm3.value)
    yield from _number(codes.VOLUME, volume, codes.CUBIC_MILLIMETER, of)
    width = format_mm(extents.effusion_width_mm.value)
    yield from _number(codes.WIDTH, width, codes.MILLIMETER, of)


def _edema(extents: Extents, segments: JointSegments | None) -> Iterator[Any]:
    """Write volumes of the edema, and how much of the perimeter it surrounds."""
    soft = _About(SegmentKind.SOFT_TISSUE_EDEMA, segments)
    marrow = _About(SegmentKind.MARROW_EDEMA, segments)
    volume = format_mm(extents.soft_tissue_edema_mm3.value)
    yield from _number(codes.VOLUME, volume, codes.CUBIC_MILLIMETER, soft)
    volume = format_mm(extents.marrow_edema_mm3.value)
    yield from _number(codes.VOLUME, volume, codes.CUBIC_MILLIMETER, marrow)
    fraction = extents.perimeter_fraction
    for code, value in (
        (codes.PERIMETER_FRACTION, fraction.value),
        (codes.PERIMETER_FRACTION_LOW, fraction.low),
        (codes.PERIMETER_FRACTION_HIGH, fraction.high),
    ):
        yield from _number(code, format_fraction(value), codes.NO_UNITS, soft)


@dataclass(frozen=True, eq=False, slots=True)
class _About:
    """What a number is about: the kind of segment that was measured."""

    kind: SegmentKind
    segments: JointSegments | None

    def images(self) -> list[Any] | None:
        """Refer to the segment, if it was drawn."""
        from highdicom.sr import SourceImageForMeasurement

        if self.segments is None or self.kind not in self.segments.numbers:
            return None
        uid = self.segments.seg.SOPInstanceUID
        image = SourceImageForMeasurement(_SEG_CLASS, uid)
        number = self.segments.numbers[self.kind]
        image.ReferencedSOPSequence[0].ReferencedSegmentNumber = number
        return [image]

    def sites(self) -> list[Any] | None:
        """Name the tissue, where the finding alone does not tell."""
        from highdicom.sr import FindingSite

        tissue = SEGMENT_CODES[self.kind].tissue
        return [FindingSite(coded(tissue))] if tissue else None


def _number(
    name: Code, value: str, unit: Code, about: _About | None = None
) -> Iterator[Any]:
    """Write one number, nothing when it is unknown."""
    from highdicom.sr import CodeContentItem, Measurement

    if not value:
        return
    made = Measurement(
        name=coded(name),
        value=float(value),
        unit=coded(unit),
        finding_sites=about.sites() if about else None,
        referenced_images=about.images() if about else None,
    )
    if about:
        finding = CodeContentItem(
            name=coded(codes.FINDING),
            value=coded(SEGMENT_CODES[about.kind].type),
            relationship_type="HAS CONCEPT MOD",
        )
        content = made[0].get("ContentSequence", [])
        made[0].ContentSequence = [finding, *content]
    yield made


def _evaluations(outcome: Outcome) -> Iterator[Any]:
    """Write the grade or why there is none, and what a reader should know."""
    if isinstance(outcome, Graded):
        yield _evaluation(codes.GRADE, codes.GRADES[outcome.best.grade])
        for site in ExtensionSite:
            if site in outcome.best.extension:
                yield _evaluation(codes.EXTENSION, codes.EXTENSION_SITES[site])
        if outcome.best.borderline:
            yield _evaluation(codes.BORDERLINE, codes.YES)
    else:
        yield _evaluation(codes.GRADE, codes.UNGRADABLE)
        yield _evaluation(codes.UNGRADABLE_REASON, codes.REASONS[outcome.reason])
    for flag in Flag:
        if flag in outcome.flags:
            yield _evaluation(codes.FLAG, codes.FLAGS[flag])


def _evaluation(name: Code, value: Code) -> Any:
    """Write one coded question and answer."""
    from highdicom.sr import QualitativeEvaluation

    return QualitativeEvaluation(name=coded(name), value=coded(value))


def _name_private_scheme(made: Dataset) -> None:
    """Say who is responsible for the private codes (PS3.3 C.12.1.1.3)."""
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    scheme.CodingSchemeName = codes.PRIVATE_SCHEME_NAME
    scheme.CodingSchemeResponsibleOrganization = "facetgrade"
    made.CodingSchemeIdentificationSequence = [scheme]
