"""The DICOM files of one study: decode, screen, and assemble into series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from pydicom.dataset import Dataset

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile, read_files
from facetgrade.ingest.assemble import Assembled, assemble_scouts, assemble_series
from facetgrade.ingest.dicom import Frame, classic_frame, read_dataset, stored_pixels
from facetgrade.ingest.elements import quiet, text
from facetgrade.ingest.enhanced import enhanced_frames, is_multi_frame
from facetgrade.ingest.privacy import Privacy
from facetgrade.ingest.resplit import group_into_series
from facetgrade.ingest.screening import (
    is_plain_localizer,
    reject_image,
    reject_series,
)
from facetgrade.ingest.series import plane_of
from facetgrade.ingest.settings import IngestSettings
from facetgrade.study import Plane, RejectedSeries

_Named = tuple[str, str, str]  # uid and description of a series, reason
_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")


def read_dicom_series(
    files: Iterable[SourceFile], settings: IngestSettings, privacy: Privacy
) -> Assembled:
    """Read the DICOM files of one study into classified series.

    Parameters
    ----------
    files : iterable of SourceFile
        In any order, other objects than images included.
    settings : IngestSettings
        Tolerances and series rules.
    privacy : Privacy
        UIDs are masked here, before anything else sees them.

    Returns
    -------
    Assembled
        Series, what was left out, and why.
    """
    reading = _Reading()
    result = Assembled()
    with quiet():
        for file, content in read_files(files):
            if isinstance(content, str):
                result.notes.append(content)
                continue
            result.digests.append(sha256(content).digest())
            try:
                _read_file(file, content, settings, privacy, reading)
            except IngestError as error:
                reading.unusable.setdefault(str(error), []).append(file.name)
    result.date = reading.date
    for sentence, names in reading.unusable.items():
        more = f" and {len(names) - 1} more files" if len(names) > 1 else ""
        result.notes.append(f"{names[0]}{more}: {sentence}")
    _add_scouts(result, reading, settings)
    for series, rejected in reading.rejected.items():
        uid, description, reason = series
        count = len(rejected)
        reason = f"{reason} ({count} files)" if count > 1 else reason
        result.rejected.append(
            RejectedSeries(uid=uid, description=description, reason=reason)
        )
    groups, notes = group_into_series(reading.frames, settings.stacks)
    result.notes += notes
    for group in groups:
        result.extend(assemble_series(group, settings))
    return result


def header_date(dataset: Dataset) -> str:
    """Return the study date as YYYY-MM-DD, empty when unknown."""
    for keyword in _DATES:
        digits = text(dataset, keyword).replace(".", "").replace("-", "")
        if len(digits) == 8 and digits.isdigit():
            return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return ""


@dataclass(eq=False, slots=True)
class _Reading:
    """What has been read so far."""

    frames: list[Frame] = field(default_factory=list)
    rejected: dict[_Named, set[SourceFile]] = field(default_factory=dict)
    localizers: dict[_Named, list[Frame]] = field(default_factory=dict)
    unusable: dict[str, list[str]] = field(default_factory=dict)
    date: str = ""


def _read_file(
    file: SourceFile,
    content: bytes,
    settings: IngestSettings,
    privacy: Privacy,
    reading: _Reading,
) -> None:
    """Read the frames of one file, or count it as rejected."""
    dataset = read_dataset(content)
    reading.date = reading.date or header_date(dataset)
    frames: list[Frame] = []
    reason = reject_image(dataset, settings.series_rules.reject)
    if not reason:
        frames = _frames(dataset, file)
        reason = reject_series(frames[0].tags, settings.series_rules)
    if not reason:
        reading.frames += _with_pixels(frames, dataset, privacy)
        return
    uid = privacy.uid(text(dataset, "SeriesInstanceUID"))
    named = uid, text(dataset, "SeriesDescription"), reason
    sagittal = _sagittal_localizer(frames, dataset, settings, privacy)
    if sagittal:
        reading.localizers.setdefault(named, []).extend(sagittal)
    if len(sagittal) < max(len(frames), 1):
        reading.rejected.setdefault(named, set()).add(file)


def _with_pixels(
    frames: list[Frame], dataset: Dataset, privacy: Privacy
) -> list[Frame]:
    """Give frames their pixels and the UIDs that are shown."""
    pixels = stored_pixels(dataset)
    if len(pixels) != len(frames):
        raise IngestError(
            f"has pixels of {len(pixels)} frames but places for {len(frames)}; it is "
            "cut off or a film without geometry"
        )
    for frame, stored in zip(frames, pixels, strict=True):
        frame.stored = stored
        frame.series_uid = privacy.uid(frame.series_uid)
        frame.instance_uid = privacy.uid(frame.instance_uid)
        frame.frame_of_reference_uid = privacy.uid(frame.frame_of_reference_uid)
    return frames


def _sagittal_localizer(
    frames: list[Frame], dataset: Dataset, settings: IngestSettings, privacy: Privacy
) -> list[Frame]:
    """Return the sagittal frames of a localizer; none if its pixels are damaged."""
    sagittal = [frame for frame in frames if plane_of(frame.normal) is Plane.SAGITTAL]
    rules = settings.series_rules
    if not sagittal or not is_plain_localizer(frames[0].tags, rules):
        return []
    try:
        _with_pixels(frames, dataset, privacy)
    except IngestError:
        return []
    return sagittal


def _add_scouts(result: Assembled, reading: _Reading, settings: IngestSettings) -> None:
    """Build series of sagittal localizers; those of too few slices stay rejected."""
    for named, frames in reading.localizers.items():
        scouts = assemble_scouts(frames, named[2], settings)
        result.scouts += scouts
        if not scouts:
            files = {frame.file for frame in frames}
            reading.rejected.setdefault(named, set()).update(files)


def _frames(dataset: Dataset, file: SourceFile) -> list[Frame]:
    """Describe the frames of an image."""
    if is_multi_frame(dataset):
        return enhanced_frames(dataset, file)
    return [classic_frame(dataset, file)]
