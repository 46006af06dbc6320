"""Find reports and segmentations in folders and write them as tables and masks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from facetgrade.errors import IngestError
from facetgrade.exchange.read_seg import ReadSegment, read_segments
from facetgrade.exchange.read_sr import COLUMNS, ReportedJoint, read_report
from facetgrade.exchange.tolerant import tolerant
from facetgrade.ingest.elements import text
from facetgrade.report.atomic import write_bytes
from facetgrade.report.nifti import LabelMap, nifti_bytes

_CONTENT = Tag("ContentSequence")
_UNDEFINED = 0xFFFFFFFF


@dataclass(eq=False, slots=True)
class ReadBack:
    """What was found.

    Attributes
    ----------
    joints : list of ReportedJoint
        Of all reports.
    segments : list of ReadSegment
        Of all segmentations.
    problems : list of str
        One sentence for each report or segmentation that could not be read.
    """

    joints: list[ReportedJoint] = field(default_factory=list)
    segments: list[ReadSegment] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_back(paths: Sequence[Path]) -> ReadBack:
    """Read every structured report and segmentation of facetgrade.

    Parameters
    ----------
    paths : sequence of Path
        Files, or folders that are searched; other files in them are passed over.

    Raises
    ------
    IngestError
        If there is neither a report nor a segmentation.
    """
    found = ReadBack()
    with tolerant():
        for path in _files(paths):
            _read(path, found)
    if not (found.joints or found.segments):
        reason = f": {found.problems[0]}" if found.problems else ""
        raise IngestError(f"no report or segmentation of facetgrade was found{reason}")
    return found


def table_text(joints: Iterable[ReportedJoint]) -> str:
    """Write the joints of reports as CSV with the columns of `COLUMNS`."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(joint.row for joint in joints)
    return stream.getvalue()


def write_back(found: ReadBack, folder: Path) -> list[Path]:
    """Write joints.csv, and each segment as a NIfTI mask in folder ``masks``.

    Parameters
    ----------
    found : ReadBack
        From `read_back`.
    folder : Path
        Output folder; made if needed.

    Returns
    -------
    list of Path
        The files.
    """
    table = folder / "joints.csv"
    write_bytes(table, table_text(found.joints).encode())
    written = [table]
    for segment in found.segments:
        name = f"{segment.seg_uid}_{segment.number:02d}_seg.nii.gz"
        label_map = LabelMap(
            geometry=segment.mask.geometry,
            voxels=segment.mask.voxels.astype("uint8"),
        )
        write_bytes(folder / "masks" / name, nifti_bytes(label_map))
        written.append(folder / "masks" / name)
    return written


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """List the files of folders in order."""
    for path in paths:
        yield from (
            (p for p in sorted(path.rglob("*")) if p.is_file())
            if (path.is_dir())
            else [path]
        )


def _read(path: Path, found: ReadBack) -> None:
    """Read one file, if it is a report or a segmentation."""
    try:
        header = pydicom.dcmread(path, specific_tags=["Modality", "SOPClassUID"])
    except (InvalidDicomError, OSError, EOFError):
        return
    modality = text(header, "Modality")
    try:
        if modality == "SR":
            found.joints += read_report(_whole(path))
        elif modality == "SEG":
            found.segments += read_segments(_whole(path))
    except IngestError as error:
        found.problems.append(f"{path.name} {error}")


def _is_cut(path: Path) -> bool:
    """Tell whether the file ends within the content of a report.

    pydicom takes a shortened sequence for a whole one.
    """
    lengths: list[int] = []

    def at_content(tag: BaseTag, _vr: str | None, length: int) -> bool:
        lengths.extend([length] if tag == _CONTENT else [])
        return bool(lengths)

    with path.open("rb") as stream:
        read_partial(stream, stop_when=at_content)
        place = stream.tell()
    known = bool(lengths) and lengths[0] != _UNDEFINED
    return known and path.stat().st_size < place + lengths[0]


def _whole(path: Path) -> Dataset:
    """Read a file that was recognized, refusing one whose content is cut off."""
    try:
        if _is_cut(path):
            raise IngestError("is cut off")
        return pydicom.dcmread(path)
    except IngestError:
        raise
    except Exception as error:
        # a damaged file makes pydicom fail in many ways
        raise IngestError(f"cannot be read ({type(error).__name__})") from error
