"""Read structured reports back: rows like those of joints.csv."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydicom.dataset import Dataset

from facetgrade.anatomy import FacetJoint
from facetgrade.errors import IngestError
from facetgrade.exchange import codes
from facetgrade.exchange.codes import Code
from facetgrade.exchange.segments import SEGMENT_CODES, SegmentKind, joint_of
from facetgrade.report.tables import format_fraction, format_mm

COLUMNS = (
    "study_uid",
    "level",
    "side",
    "status",
    "reason",
    "grade",
    "p0",
    "p1",
    "p2",
    "p3",
    "p4",
    "level_probability",
    "effusion_mm3",
    "effusion_width_mm",
    "soft_tissue_edema_mm3",
    "marrow_edema_mm3",
    "perimeter_fraction",
    "perimeter_fraction_low",
    "perimeter_fraction_high",
    "extension",
    "borderline",
    "flags",
    "algorithm",
    "tracking_uid",
    "seg_uid",
    "segments",
)
_VOLUMES = {
    SegmentKind.EFFUSION: "effusion_mm3",
    SegmentKind.SOFT_TISSUE_EDEMA: "soft_tissue_edema_mm3",
    SegmentKind.MARROW_EDEMA: "marrow_edema_mm3",
}
_FRACTIONS = {
    codes.PERIMETER_FRACTION.key: "perimeter_fraction",
    codes.PERIMETER_FRACTION_LOW.key: "perimeter_fraction_low",
    codes.PERIMETER_FRACTION_HIGH.key: "perimeter_fraction_high",
    codes.LEVEL_PROBABILITY.key: "level_probability",
    **{code.key: f"p{k}" for k, code in enumerate(codes.GRADE_PROBABILITIES)},
}


@dataclass(frozen=True, slots=True)
class ReportedJoint:
    """One measurement group, read by its codes alone.

    Attributes
    ----------
    joint : FacetJoint
        From the tracking identifier, confirmed by finding site and laterality.
    row : dict of str to str
        A text for each of `COLUMNS`; what the report does not say is empty.
    image_uids : tuple of str
        Source images.
    """

    joint: FacetJoint
    row: dict[str, str]
    image_uids: tuple[str, ...]


def read_report(dataset: Dataset) -> list[ReportedJoint]:
    """Read the measurement groups of a report of facetgrade.

    Parameters
    ----------
    dataset : Dataset
        A structured report.

    Returns
    -------
    list of ReportedJoint
        By joint.

    Raises
    ------
    IngestError
        If this is no report of facetgrade, or one whose parts contradict each other.
    """
    if dataset.get("Modality") != "SR" or "ContentSequence" not in dataset:
        raise IngestError("is not a DICOM structured report")
    groups = [
        group
        for container in _children(dataset, codes.IMAGING_MEASUREMENTS)
        for group in _children(container, codes.MEASUREMENT_GROUP)
        if any(_children(group, codes.GRADE))
    ]
    if not groups:
        raise IngestError("is a structured report without Czervionke-Fenton grades")
    study_uid = str(dataset.get("StudyInstanceUID", ""))
    joints = [_joint(group, study_uid) for group in groups]
    return sorted(joints, key=lambda one: one.joint)


def _joint(group: Dataset, study_uid: str) -> ReportedJoint:
    """Read one measurement group."""
    tracking_id = _text(group, codes.TRACKING_IDENTIFIER)
    joint = joint_of(tracking_id)
    if joint is None:
        raise IngestError(f"has a group with the unknown joint {tracking_id!r}")
    _check_site(group, joint)
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "study_uid": study_uid,
        "level": joint.level.value,
        "side": joint.side.value,
        "algorithm": _text(group, codes.ALGORITHM_NAME),
        "tracking_uid": next(
            (str(c.UID) for c in _children(group, codes.TRACKING_UNIQUE_IDENTIFIER)), ""
        ),
    }
    row |= _grade(group) | _numbers(group) | _segments(group)
    images = tuple(
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in _children(group, codes.SOURCE_IMAGE_FOR_SEGMENTATION)
    )
    return ReportedJoint(joint, row, images)


def _check_site(group: Dataset, joint: FacetJoint) -> None:
    """Refuse a group whose finding site is another joint than its identifier."""
    for site in _children(group, codes.FINDING_SITE):
        sides = [_value_key(child) for child in _children(site, codes.LATERALITY_OF)]
        if _value_key(site) != codes.LEVELS[joint.level].key or sides != [
            codes.LATERALITY[joint.side].key
        ]:
            raise IngestError(f"has a group {joint} whose finding site is another one")


def _grade(group: Dataset) -> dict[str, str]:
    """Read the coded answers."""
    grades = {code.key: str(k) for k, code in enumerate(codes.GRADES)}
    reasons = {code.key: reason.value for reason, code in codes.REASONS.items()}
    sites = {code.key: site.value for site, code in codes.EXTENSION_SITES.items()}
    flags = {code.key: flag.value for flag, code in codes.FLAGS.items()}
    grade = _answers(group, codes.GRADE, grades)
    return {
        "status": "graded" if grade else "ungradable",
        "grade": grade,
        "reason": _answers(group, codes.UNGRADABLE_REASON, reasons),
        "extension": _answers(group, codes.EXTENSION, sites),
        "borderline": str(int(any(_children(group, codes.BORDERLINE)))),
        "flags": _answers(group, codes.FLAG, flags),
    }


def _answers(group: Dataset, name: Code, known: dict[tuple[str, str], str]) -> str:
    """Translate the answers to one question, separated by semicolons."""
    keys = [_value_key(child) for child in _children(group, name)]
    return ";".join(known[key] for key in keys if key in known)


def _numbers(group: Dataset) -> dict[str, str]:
    """Read the measurements."""
    found: dict[str, str] = {}
    for item in _children_of_type(group, "NUM"):
        value = float(item.MeasuredValueSequence[0].NumericValue)
        name = _key(item.ConceptNameCodeSequence)
        if name in _FRACTIONS:
            found[_FRACTIONS[name]] = format_fraction(value)
        elif name == codes.WIDTH.key:
            found["effusion_width_mm"] = format_mm(value)
        elif name == codes.VOLUME.key:
            kind = _measured(item)
            if kind in _VOLUMES:
                found[_VOLUMES[kind]] = format_mm(value)
    return found


def _measured(item: Dataset) -> SegmentKind | None:
    """Tell what a volume is the volume of."""
    finding = [_value_key(child) for child in _children(item, codes.FINDING)]
    site = [_value_key(child) for child in _children(item, codes.FINDING_SITE)]
    for kind, one in SEGMENT_CODES.items():
        if finding == [one.type.key] and site == (
            [one.tissue.key] if one.tissue else []
        ):
            return kind
    return None


def _segments(group: Dataset) -> dict[str, str]:
    """Read which segments show the joint."""
    for item in _children(group, codes.REFERENCED_SEGMENT):
        reference = item.ReferencedSOPSequence[0]
        numbers = reference.ReferencedSegmentNumber
        numbers = [numbers] if isinstance(numbers, int) else list(numbers)
        return {
            "seg_uid": str(reference.ReferencedSOPInstanceUID),
            "segments": ";".join(str(number) for number in numbers),
        }
    return {}


def _children(item: Dataset, name: Code) -> Iterator[Dataset]:
    """Yield the children with a concept name."""
    for child in item.get("ContentSequence", []):
        if _key(child.get("ConceptNameCodeSequence", [])) == name.key:
            yield child


def _children_of_type(item: Dataset, value_type: str) -> Iterator[Dataset]:
    """Yield the children of a value type."""
    for child in item.get("ContentSequence", []):
        if child.get("ValueType") == value_type:
            yield child


def _text(item: Dataset, name: Code) -> str:
    """Return the first text with a concept name."""
    return next((str(child.TextValue) for child in _children(item, name)), "")


def _value_key(item: Dataset) -> tuple[str, str]:
    """Return scheme and value of the code of a CODE item."""
    return _key(item.get("ConceptCodeSequence", []))


def _key(sequence: Iterable[Dataset]) -> tuple[str, str]:
    """Return scheme and value of the first code."""
    for code in sequence:
        return str(code.get("CodingSchemeDesignator")), str(code.get("CodeValue"))
    return "", ""
