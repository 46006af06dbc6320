"""Write the DICOM objects of a graded study: segmentations and one report."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from facetgrade.anatomy import FacetJoint
from facetgrade.exchange.seg import Identity, segmentation
from facetgrade.exchange.segments import DrawnSegment, draw_segments
from facetgrade.exchange.settings import DicomSettings
from facetgrade.exchange.sources import SourcePlane, Sources, read_sources
from facetgrade.exchange.sr import JointSegments, structured_report
from facetgrade.exchange.study_module import illegal_elements
from facetgrade.exchange.tolerant import tolerant
from facetgrade.findings import StudyReport
from facetgrade.ingest import StudyFiles
from facetgrade.ingest.files import FileKind
from facetgrade.report.atomic import write_bytes
from facetgrade.report.context import ReportContext
from facetgrade.report.tables import joint_rows
from facetgrade.study import Series, Stack, Study

log = logging.getLogger(__name__)

FOLDER = "dicom"
_UIDS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
)


@dataclass(frozen=True, eq=False, slots=True)
class DicomFiles:
    """What was written for one study.

    Attributes
    ----------
    names : tuple of str
        Files relative to the folder of the study, segmentations first.
    notes : tuple of str
        Faults of the source that the new objects had to take over.
    """

    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_dicom(
    report: StudyReport,
    study: Study,
    files: StudyFiles,
    folder: Path,
    *,
    context: ReportContext,
    settings: DicomSettings,
) -> DicomFiles:
    """Write DICOM SEG and SR of one study into its folder ``dicom``.

    The objects carry the patient and study attributes of the source unchanged, so
    that an archive files them with the study.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    study : Study
        What it was graded from, with the UIDs of the files.
    files : StudyFiles
        The files of the study.
    folder : Path
        Folder of the study.
    context : ReportContext
        Version and models.
    settings : DicomSettings
        Labels, series numbers, colors.

    Returns
    -------
    DicomFiles
        Nothing for a study that was not DICOM.

    Raises
    ------
    IngestError
        If an image of the study is no longer there.
    """
    if files.kind is not FileKind.DICOM:
        log.info("study %s is not DICOM: no SEG and SR", study.uid)
        return DicomFiles()
    with tolerant():
        objects, faults = _objects(report, study, files, context, settings)
    for name, made in objects:
        write_bytes(folder / name, dicom_bytes(made))
    return DicomFiles(tuple(name for name, _ in objects), faults)


def dicom_bytes(dataset: Dataset) -> bytes:
    """Encode a data set as a DICOM file, illegal values of its source included."""
    stream = BytesIO()
    with tolerant():
        dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _objects(
    report: StudyReport,
    study: Study,
    files: StudyFiles,
    context: ReportContext,
    settings: DicomSettings,
) -> tuple[list[tuple[str, Dataset]], tuple[str, ...]]:
    """Build all objects of a study with their file names, segmentations first."""
    sources = read_sources(files.files, study)
    uids = _Uids.of(report, study, context)
    drawn = list(_draw_all(report, study, sources))
    objects: list[tuple[str, Dataset]] = []
    for number, one in enumerate(drawn, start=1):
        made = _segmentation(one, number, uids, settings)
        objects.append((f"{FOLDER}/seg_{number:02d}.dcm", made))
    segs = [made for _, made in objects]
    sr = _report(report, drawn, segs, sources, uids, settings)
    objects.append((f"{FOLDER}/sr.dcm", sr))
    return objects, _inherited_faults(sources.headers.values())


@dataclass(frozen=True, eq=False, slots=True)
class _Drawn:
    """A stack with its segments."""

    series: Series
    stack: Stack
    header: Dataset
    planes: list[SourcePlane]
    segments: list[DrawnSegment]


@dataclass(frozen=True, eq=False, slots=True)
class _Uids:
    """Makes the UIDs of the new objects: the same for the same results."""

    seed: str
    tracking_uids: dict[FacetJoint, str]
    algorithm: str
    version: str

    @classmethod
    def of(cls, report: StudyReport, study: Study, context: ReportContext) -> _Uids:
        """Tie the UIDs to what was graded, by what, and to what result."""
        made_by = (
            context.version,
            context.config_sha256,
            *context.model_sha256.items(),
        )
        rows = joint_rows(report)
        seed = repr((study.uid, study.content_sha256, made_by, rows))
        patient = study.subject or study.uid
        return cls(
            seed=seed,
            tracking_uids={
                outcome.joint: _uid("joint", patient, str(outcome.joint))
                for outcome in report.outcomes
            },
            algorithm=", ".join(["facetgrade", *context.model_sha256])[:64],
            version=context.version,
        )

    def identity(self, kind: str, number: int, series_number: int) -> Identity:
        """Identify one new object."""
        return Identity(
            instance_uid=_uid(self.seed, kind, str(number)),
            series_uid=_uid(self.seed, kind),
            instance_number=number,
            series_number=series_number,
            algorithm=self.algorithm,
            version=self.version,
            tracking_uids=self.tracking_uids,
        )


def _uid(*parts: str) -> str:
    """Derive a UID under the root 2.25 (PS3.5 B.2)."""
    digest = hashlib.sha256("\0".join(parts).encode(errors="replace")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _draw_all(report: StudyReport, study: Study, sources: Sources) -> Iterator[_Drawn]:
    """Draw the joints on every stack on which they were read."""
    for series in study.series:
        read = [o for o in report.outcomes if series.uid in o.series_used]
        for stack in series.stacks if read else ():
            segments = draw_segments(stack.volume.geometry, read)
            if segments:
                header = sources.header(stack)
                planes = sources.planes(stack)
                yield _Drawn(series, stack, header, planes, segments)


def _segmentation(
    one: _Drawn, number: int, uids: _Uids, settings: DicomSettings
) -> Dataset:
    """Build the segmentation of one stack."""
    place = one.series.stacks.index(one.stack) + 1
    block = f", block {place}" if len(one.series.stacks) > 1 else ""
    what = f"{one.series.plane.value} {one.series.sequence.value}{block}"
    return segmentation(
        one.segments,
        one.stack.volume.geometry,
        one.planes,
        one.header,
        identity=uids.identity("seg", number, settings.segmentation_series_number),
        settings=settings,
        description=f"Facet joint inflammation on {what}"[:64],
    )


def _report(
    report: StudyReport,
    drawn: list[_Drawn],
    segs: list[Dataset],
    sources: Sources,
    uids: _Uids,
    settings: DicomSettings,
) -> Dataset:
    """Build the report with references to the segmentations and their images."""
    segments: dict[FacetJoint, JointSegments] = {}
    for outcome in report.outcomes:
        shown = [(_shown_mm3(one, outcome.joint), -k) for k, one in enumerate(drawn)]
        volume_mm3, place = max(shown, default=(0.0, 0))
        if volume_mm3 > 0:
            one, seg = drawn[-place], segs[-place]
            segments[outcome.joint] = _joint_segments(one, seg, outcome.joint)
    images = {uid: sources.headers[uid] for one in drawn for uid in _images(one)}
    first = next(iter(sources.headers.values()))
    return structured_report(
        report,
        segments,
        [*(images.values() or [first]), *segs],
        first,
        identity=uids.identity("sr", 1, settings.report_series_number),
        settings=settings,
    )


def _images(one: _Drawn) -> list[str]:
    """Return the UIDs of the images of a stack."""
    frames = (plane.frame for plane in one.planes)
    return list(dict.fromkeys(f.instance_uid for f in frames if f is not None))


def _shown_mm3(one: _Drawn, joint: FacetJoint) -> float:
    """Measure how much of a joint was drawn on a stack."""
    voxels = sum(int(s.voxels.sum()) for s in one.segments if s.joint == joint)
    return voxels * one.stack.volume.geometry.voxel_volume_mm3


def _joint_segments(one: _Drawn, seg: Dataset, joint: FacetJoint) -> JointSegments:
    """Say where the segments of a joint are."""
    numbers = {
        segment.kind: number
        for number, segment in enumerate(one.segments, start=1)
        if segment.joint == joint
    }
    touched = np.any(
        [s.voxels.any(axis=(1, 2)) for s in one.segments if s.joint == joint], axis=0
    )
    planes = [plane for plane, used in zip(one.planes, touched, strict=True) if used]
    return JointSegments(
        seg, numbers, tuple(plane for plane in planes if plane.frame is not None)
    )


def _inherited_faults(headers: Iterable[Dataset]) -> tuple[str, ...]:
    """Name illegal values of the source, which the objects must repeat."""
    illegal = {
        keyword
        for header in headers
        for keyword in (*_illegal_uids(header), *illegal_elements(header))
    }
    if not illegal:
        return ()
    uids = sorted(illegal.intersection(_UIDS))
    others = sorted(illegal.difference(_UIDS))
    kinds = ((uids, "UIDs"), (others, "values"))
    what = [f"{kind} of the source ({', '.join(n)})" for n, kind in kinds if n]
    return (
        f"DICOM SEG and SR repeat illegal {' and '.join(what)}, so that they file with "
        "the study; validators report them",
    )


def _illegal_uids(header: Dataset) -> list[str]:
    """Name the UIDs that are there and illegal."""
    there = (keyword for keyword in _UIDS if header.get(keyword))
    return [k for k in there if not UID(str(header.get(k))).is_valid]
