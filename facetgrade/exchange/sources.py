"""The headers that a graded study was read from, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from facetgrade.errors import IngestError
from facetgrade.exchange.tolerant import tolerant
from facetgrade.ingest.archive import SourceFile, read_files
from facetgrade.ingest.dicom import Frame, classic_frame, read_header
from facetgrade.ingest.elements import text
from facetgrade.ingest.enhanced import enhanced_frames, is_multi_frame
from facetgrade.study import Stack, Study

# A slice this far from the even grid of its stack, in slice spacings, was interpolated.
_ON_GRID = 0.25


@dataclass(frozen=True, eq=False, slots=True)
class SourcePlane:
    """Where one slice of a stack lies, and the source frame that shows it.

    Attributes
    ----------
    position_lps_mm : (3,) float64 ndarray
        Center of the first voxel: that of the source frame, or of the grid where the
        slice was interpolated.
    frame : Frame or None
        None for an interpolated slice.
    in_multi_frame : bool
        The frame is one of several of its image.
    """

    position_lps_mm: NDArray[np.float64]
    frame: Frame | None
    in_multi_frame: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Sources:
    """Headers of the images of one study, without pixels.

    Attributes
    ----------
    headers : dict of str to Dataset
        SOPInstanceUID to header.
    frames : dict of (str, int) to Frame
        SOPInstanceUID and frame number to the frame.
    """

    headers: dict[str, Dataset]
    frames: dict[tuple[str, int], Frame]

    def planes(self, stack: Stack) -> list[SourcePlane]:
        """Return the plane of every slice of a stack."""
        geometry = stack.volume.geometry
        keys = zip(stack.instance_uids, stack.frame_numbers, strict=True)
        planes = []
        for k, key in enumerate(keys):
            on_grid = geometry.to_lps((k, 0, 0))
            frame = None if k in stack.missing_slices else self.frames.get(key)
            if frame is not None:
                offset = geometry.to_index(frame.position_lps_mm)[0] - k
                frame = frame if abs(offset) < _ON_GRID else None
            position = on_grid if frame is None else frame.position_lps_mm
            multi = frame is not None and is_multi_frame(self.headers[key[0]])
            planes.append(SourcePlane(position, frame, multi))
        return planes

    def header(self, stack: Stack) -> Dataset:
        """Return the header of the first image of a stack."""
        return self.headers[stack.instance_uids[0]]


def read_sources(files: Iterable[SourceFile], study: Study) -> Sources:
    """Read the headers behind the usable series of a study.

    Parameters
    ----------
    files : iterable of SourceFile
        All files of the study.
    study : Study
        Loaded from them, with the UIDs of the files.

    Raises
    ------
    IngestError
        If an image of the study is no longer there.
    """
    wanted = {
        uid
        for series in study.series
        for stack in series.stacks
        for uid in stack.instance_uids
    }
    sources = Sources({}, {})
    with tolerant():
        for file, content in read_files(files):
            if isinstance(content, bytes):
                _add(sources, file, content, wanted)
    missing = len(wanted - set(sources.headers))
    if missing:
        raise IngestError(f"{missing} images of the study are gone since it was read")
    return sources


def _add(sources: Sources, file: SourceFile, content: bytes, wanted: set[str]) -> None:
    """Keep the header of a wanted image."""
    try:
        header = read_header(BytesIO(content))
    except IngestError:
        return
    uid = text(header, "SOPInstanceUID")
    if uid not in wanted or uid in sources.headers:
        return
    multi = is_multi_frame(header)
    try:
        frames = (
            enhanced_frames(header, file) if multi else [classic_frame(header, file)]
        )
    except IngestError:
        return
    sources.headers[uid] = header
    for frame in frames:
        sources.frames[uid, frame.frame_number] = frame
