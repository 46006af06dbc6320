"""Sources and dates as outputs show them: as they are, or masked.

A masked source is a running number that a study keeps in its output folder; a masked
date is the number of days since the first study of the same subject in this run.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from facetgrade.errors import OutputError
from facetgrade.ingest import Privacy, StudyFiles
from facetgrade.ingest.dates import study_date
from facetgrade.ingest.files import FileKind
from facetgrade.ingest.sidecars import stem_of
from facetgrade.report import Failure
from facetgrade.report.atomic import write_json
from facetgrade.study import RejectedSeries, Series, Study

Image = TypeVar("Image", Series, RejectedSeries)
NUMBERS = "masked_sources.json"
_ANY_FILE = "a file"


@dataclass(frozen=True, kw_only=True, slots=True)
class Masking:
    """What the user wants masked."""

    sources: bool = False
    dates: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Masks:
    """How the studies of a run are shown.

    Attributes
    ----------
    masking : Masking
        What is masked.
    files : tuple of StudyFiles
        The studies, with the source that is shown.
    originals : dict of (str, str) to str
        Shown source and study UID to the true source.
    dates : dict of (str, str) to str
        Shown source and study UID to the days that are shown instead of the date.
    """

    masking: Masking
    files: tuple[StudyFiles, ...]
    originals: dict[tuple[str, str], str] = field(repr=False)
    dates: dict[tuple[str, str], str]

    def only(self, files: StudyFiles) -> Masks:
        """Return the masks of one study, small enough to travel with it."""
        key = files.source, files.study_uid
        dates = {key: self.dates[key]} if key in self.dates else {}
        return Masks(self.masking, (files,), {key: self.originals[key]}, dates)

    def original(self, files: StudyFiles) -> str:
        """Return the true source, by which anchors are given."""
        return self.originals[files.source, files.study_uid]

    def key(self, files: StudyFiles) -> dict[str, str]:
        """Return what a result depends on beside its content."""
        shown = self.dates.get((files.source, files.study_uid))
        return {} if shown is None else {"date": shown}

    def study(self, study: Study, files: StudyFiles) -> Study:
        """Mask date and notes of a loaded study, and names of files that are images."""
        shown = self.dates.get((files.source, files.study_uid), study.date)
        notes = tuple(self.text(note, files) for note in study.notes)
        study = replace(study, date=shown, notes=notes)
        if not self.masking.sources or files.kind is not FileKind.NIFTI:
            return study
        used = len(study.series)
        series = (self._image(one, k, files) for k, one in enumerate(study.series))
        rejected = (
            self._image(one, k, files) for k, one in enumerate(study.rejected, used)
        )
        return replace(study, series=tuple(series), rejected=tuple(rejected))

    def text(self, sentence: str, files: StudyFiles) -> str:
        """Take the names of files out of a sentence about a study."""
        if not self.masking.sources:
            return sentence
        names = {file.name for file in files.files}
        names |= {str(file.location) for file in files.files}
        if files.kind is FileKind.NIFTI:
            names |= {stem_of(name) for name in names}
        for name in sorted(names, key=len, reverse=True):
            whole = rf"(?<!\w){re.escape(name)}(?!\w)"
            sentence = re.sub(whole, _ANY_FILE, sentence)
        return sentence

    def _image(self, image: Image, index: int, files: StudyFiles) -> Image:
        """Give a NIfTI volume a number instead of the name of its file."""
        description = self.text(image.description, files)
        return replace(image, uid=f"image {index + 1}", description=description)

    def problems(self, sentences: Sequence[str]) -> list[str]:
        """Take the names of files out of what could not be used."""
        return hidden_problems(sentences, self.masking)

    def failure(self, failure: Failure, number: int) -> Failure:
        """Mask a failure that belongs to no study."""
        if not self.masking.sources:
            return failure
        message = "files of this input could not be read"
        return replace(failure, source=f"unread {number}", message=message)

    def input_name(self, path: Path, number: int) -> str:
        """Name one INPUT of the command."""
        return f"input {number}" if self.masking.sources else str(path)


def hidden_problems(sentences: Sequence[str], masking: Masking) -> list[str]:
    """Take the names of files out of what could not be used."""
    if not masking.sources or not sentences:
        return list(sentences)
    return [f"{len(sentences)} files or folders could not be used"]


def find_masks(
    found: Sequence[StudyFiles], masking: Masking, privacy: Privacy, out: Path
) -> Masks:
    """Decide how the studies of a run are shown.

    Parameters
    ----------
    found : sequence of StudyFiles
        All studies of the run.
    masking : Masking
        What is masked.
    privacy : Privacy
        Tells which studies are of one subject.
    out : Path
        Output folder, which keeps the numbers.

    Raises
    ------
    OutputError
        If the numbers of earlier runs cannot be read.
    """
    numbers = _numbers(found, privacy, out) if masking.sources else {}
    days = _days(found, privacy) if masking.dates else {}
    files, originals, dates = [], {}, {}
    for one in found:
        key = one.source, one.study_uid
        shown = replace(
            one,
            source=str(numbers.get(key, one.source)),
            problems=tuple(hidden_problems(one.problems, masking)),
        )
        files.append(shown)
        originals[shown.source, one.study_uid] = one.source
        if masking.dates:
            dates[shown.source, one.study_uid] = days.get(key, "")
    return Masks(masking, tuple(files), originals, dates)


def _numbers(
    found: Sequence[StudyFiles], privacy: Privacy, out: Path
) -> dict[tuple[str, str], int]:
    """Give each study a number, the same as before; the file holds hashes."""
    path = out / NUMBERS
    try:
        known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise OutputError(f"{path}: cannot be read; use another folder") from error
    numbers = {}
    for one in found:
        message = f"source\0{one.source}\0{one.study_uid}".encode(errors="replace")
        digest = hmac.new(privacy.key, message, sha256).hexdigest()
        known.setdefault(digest, len(known) + 1)
        numbers[one.source, one.study_uid] = known[digest]
    write_json(path, known)
    return numbers


def _days(found: Sequence[StudyFiles], privacy: Privacy) -> dict[tuple[str, str], str]:
    """Count the days since the first study of each subject."""
    dates: dict[tuple[str, str], date] = {}
    first: dict[str, date] = {}
    for one in found:
        written = study_date(one)
        try:
            day = date.fromisoformat(written)
        except ValueError:
            continue
        dates[one.source, one.study_uid] = day
        who = _who(one, privacy)
        first[who] = min(day, first.get(who, day))
    days = {}
    for one in found:
        key = one.source, one.study_uid
        if key in dates:
            days[key] = str((dates[key] - first[_who(one, privacy)]).days)
    return days


def _who(files: StudyFiles, privacy: Privacy) -> str:
    """Return the subject; a study without one stands alone."""
    return privacy.subject(files.patient_id) or files.study_uid
