"""Graded folders: which studies they hold, and where their images are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facetgrade.compare.pairing import Examination
from facetgrade.errors import IngestError, OutputError
from facetgrade.ingest import (
    IngestSettings,
    Privacy,
    StudyFiles,
    content_sha256,
    load_study,
    scan_inputs,
)
from facetgrade.report.read_study import read_study_record
from facetgrade.study import Study

RUN_FILE, STUDY_FILE = "run.json", "study.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class GradedStudy:
    """A study that `facetgrade grade` finished.

    Attributes
    ----------
    folder : Path
        Holds study.json, report.html and masks.
    study_uid, source, subject, date, content_sha256 : str
        As in study.json.
    image_roots : tuple of Path
        Where its images may be: the inputs of the run that graded it.
    """

    folder: Path
    study_uid: str
    source: str
    subject: str
    date: str
    content_sha256: str
    image_roots: tuple[Path, ...]

    @property
    def examination(self) -> Examination:
        """What pairing needs to know."""
        return Examination(
            key=str(self.folder),
            source=self.source,
            subject=self.subject,
            date=self.date,
        )


def is_graded(path: Path) -> bool:
    """Tell whether `facetgrade grade` wrote a folder, or one study of it."""
    return (path / RUN_FILE).is_file() or (path / STUDY_FILE).is_file()


def graded_studies(path: Path) -> list[GradedStudy]:
    """List the finished studies of a graded folder, by source.

    Raises
    ------
    OutputError
        If run.json or a study.json is damaged, or no study is there.
    """
    if (path / STUDY_FILE).is_file():
        run = next(
            (p for p in path.resolve().parents if (p / RUN_FILE).is_file()), None
        )
        return [_graded(path, _roots(run) if run else ())]
    folders = sorted(file.parent for file in path.glob(f"studies/*/{STUDY_FILE}"))
    if not folders:
        raise OutputError(f"{path}: holds no finished study")
    roots = _roots(path)
    found = [_graded(folder, roots) for folder in folders]
    return sorted(found, key=lambda study: study.source)


class ImageSearch:
    """Finds and loads the images of graded studies; remembers what it scanned.

    Parameters
    ----------
    settings : IngestSettings
        How files are read.
    privacy : Privacy
        How UIDs are named.
    more_roots : sequence of Path
        Further places to look in, first.
    """

    def __init__(
        self, settings: IngestSettings, privacy: Privacy, more_roots: Sequence[Path]
    ) -> None:
        self._settings = settings
        self._privacy = privacy
        self._more_roots = tuple(more_roots)
        self._scanned: dict[Path, tuple[StudyFiles, ...]] = {}

    def files_in(self, root: Path) -> tuple[StudyFiles, ...]:
        """Return the studies below a place, scanning it once."""
        if root not in self._scanned:
            self._scanned[root] = (
                scan_inputs([root], self._settings).studies if root.exists() else ()
            )
        return self._scanned[root]

    def load(self, graded: GradedStudy) -> Study:
        """Load the images of a graded study, named as when it was graded.

        Raises
        ------
        IngestError
            If they are nowhere to be found, changed, or cannot be read.
        """
        files = self._find(graded)
        if files is None:
            places = ", ".join(str(root) for root in self._places(graded)) or "nowhere"
            raise IngestError(
                f"{graded.source}: its images are not where they were graded "
                f"(looked in {places}); say with --images where they are"
            )
        study = load_study(files, self._settings, self._privacy)
        return replace(
            study, uid=graded.study_uid, subject=graded.subject, date=graded.date
        )

    def _places(self, graded: GradedStudy) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((*self._more_roots, *graded.image_roots)))

    def _find(self, graded: GradedStudy) -> StudyFiles | None:
        """Look for the study with the right UID and content."""
        for root in self._places(graded):
            files = self.files_in(root)
            for one in sorted(files, key=lambda one: not self._named(one, graded)):
                if content_sha256(one) == graded.content_sha256:
                    return one
        return None

    def _named(self, files: StudyFiles, graded: GradedStudy) -> bool:
        return graded.study_uid in (
            files.study_uid,
            self._privacy.uid(files.study_uid),
        )


def _graded(folder: Path, roots: tuple[Path, ...]) -> GradedStudy:
    """Read the head of study.json."""
    record = read_study_record(folder)
    try:
        return GradedStudy(
            folder=folder,
            study_uid=record["study_uid"],
            source=record["source"],
            subject=record["subject"],
            date=record["study_date"],
            content_sha256=record["content_sha256"],
            image_roots=roots,
        )
    except KeyError as error:
        raise OutputError(f"{folder / STUDY_FILE}: no {error}") from error


def _roots(out: Path) -> tuple[Path, ...]:
    """Return the inputs of a run; relative ones count from here or from its folder."""
    path = out / RUN_FILE
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        inputs = [Path(one["path"]) for one in record["inputs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: not of a finished run ({error})") from error
    bases = (Path.cwd(), *out.resolve().parents)
    found = []
    for one in inputs:
        places = [one] if one.is_absolute() else [base / one for base in bases]
        found += [place for place in places if place.exists()][:1]
    return tuple(found)
