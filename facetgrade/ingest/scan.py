"""Find the studies in folders, archives and single files by their headers."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.elements import quiet
from facetgrade.ingest.files import FileKind, Scan, StudyFiles, UnreadPlace
from facetgrade.ingest.grouping import (
    NOT_AN_IMAGE_FILE,
    DicomHeader,
    dicom_studies,
    read_headers,
)
from facetgrade.ingest.nifti import is_nifti
from facetgrade.ingest.nifti_studies import NOT_AN_INPUT, nifti_studies
from facetgrade.ingest.settings import IngestSettings
from facetgrade.ingest.walk import Problem, Walk, walk_inputs

HeaderReader = Callable[
    [Iterable[SourceFile]], Iterator[tuple[SourceFile, DicomHeader | str]]
]

_log = logging.getLogger(__name__)
_PROBLEMS_SHOWN = 20


def find_studies(*paths: Path, settings: IngestSettings) -> list[StudyFiles]:
    """Find every study in the given places, reading headers only.

    Parameters
    ----------
    *paths : Path
        Folders, archives, DICOMDIR, DICOM or NIfTI files.
    settings : IngestSettings
        Limits and series rules.

    Returns
    -------
    list of StudyFiles
        Sorted by source, then study uid.

    Raises
    ------
    IngestError
        If nothing usable is found; one sentence with the first reasons.
    """
    scan = scan_inputs(paths, settings)
    if not scan.studies:
        raise IngestError(_nothing_found(paths, scan.problems))
    return list(scan.studies)


def scan_inputs(
    paths: Sequence[Path],
    settings: IngestSettings,
    read: HeaderReader = read_headers,
) -> Scan:
    """Find studies and list every file that could not be used.

    Parameters
    ----------
    paths : sequence of Path
        Folders, archives, DICOMDIR, DICOM or NIfTI files.
    settings : IngestSettings
        Limits and series rules.
    read : callable
        Reads DICOM headers, or remembers them.

    Raises
    ------
    IngestError
        If an input does not exist.
    """
    if not paths:
        raise IngestError("no input was given")
    start_s = time.perf_counter()
    inputs = list(
        dict.fromkeys(Path(os.path.normpath(Path.cwd() / path)) for path in paths)
    )
    walk = walk_inputs(inputs, settings.archive)
    nifti = [file for file in walk.files if is_nifti(file.name)]
    json = [file for file in walk.files if file.name.lower().endswith(".json")]
    studies, problems = nifti_studies([*nifti, *json], settings)
    walk.problems += [
        Problem(file.location, text, NOT_AN_INPUT not in text)
        for file, text in problems
    ]
    others = set(nifti) | set(json)
    studies += _dicom(walk, [file for file in walk.files if file not in others], read)
    named = [_with_source(study, inputs) for study in studies]
    named.sort(key=lambda study: (study.source, study.study_uid))
    _log.info(
        "ingest: %d studies in %d files, %d problems, %.1f s",
        len(named),
        len(walk.files),
        len(walk.problems),
        time.perf_counter() - start_s,
    )
    return Scan(
        studies=tuple(_with_problems(study, walk.problems) for study in named),
        problems=tuple(problem.sentence for problem in walk.problems),
        unread=tuple(
            sorted(
                _unread(named, walk.problems, _base(inputs)),
                key=lambda place: place.source,
            )
        ),
    )


def _dicom(
    walk: Walk, files: Sequence[SourceFile], read: HeaderReader
) -> list[StudyFiles]:
    """Group DICOM files, noting those that are not."""
    headers: list[DicomHeader] = []
    with quiet():
        for file, header in read(files):
            if isinstance(header, str):
                hides_images = not header.endswith(NOT_AN_IMAGE_FILE)
                walk.problems.append(Problem(file.location, header, hides_images))
            else:
                headers.append(header)
    studies = dicom_studies(headers)
    used = {file for study in studies for file in study.files}
    walk.problems += _without_image([h for h in headers if h.file not in used])
    return studies


def _without_image(headers: Sequence[DicomHeader]) -> list[Problem]:
    """Name the folders with DICOM files that hold no image, such as reports."""
    folders: dict[PurePosixPath, list[DicomHeader]] = {}
    for header in headers:
        folders.setdefault(header.file.location.parent, []).append(header)
    problems: list[Problem] = []
    for found in folders.values():
        more = f" and {len(found) - 1} other DICOM files" if len(found) > 1 else ""
        sentence = f"{found[0].file.name}{more}: no image; a report, or cut off"
        hides_images = any(header.modality in ("", "MR") for header in found)
        problems.append(Problem(found[0].file.location, sentence, hides_images))
    return problems


def _with_source(study: StudyFiles, inputs: Sequence[Path]) -> StudyFiles:
    """Name a study by its place relative to the input."""
    places = [
        file.location for file in study.files if not _is_sidecar(study, file.name)
    ]
    base = _base(inputs)
    alone = len(places) == 1
    is_input = alone and Path(places[0]) in inputs
    if alone and (study.kind is FileKind.NIFTI or is_input):
        folder = places[0]
    else:
        folder = PurePosixPath(os.path.commonpath([place.parent for place in places]))
    return replace(study, source=_relative(folder, base))


def _is_sidecar(study: StudyFiles, name: str) -> bool:
    """Tell the JSON files of a NIfTI study."""
    return study.kind is FileKind.NIFTI and not is_nifti(name)


def _base(inputs: Sequence[Path]) -> PurePosixPath:
    """Return the folder that sources are relative to."""
    if len(inputs) == 1:
        base = inputs[0] if inputs[0].is_dir() else inputs[0].parent
    else:
        base = Path(os.path.commonpath(inputs))
        base = base if base.is_dir() else base.parent
    return PurePosixPath(base.as_posix())


def _with_problems(study: StudyFiles, problems: Sequence[Problem]) -> StudyFiles:
    """Attach the problems of files that lie in the folder of a study."""
    folder = _folder(study)
    near = [p.sentence for p in problems if folder in (p.place, *p.place.parents)]
    if len(near) > _PROBLEMS_SHOWN:
        more = len(near) - _PROBLEMS_SHOWN
        near = [*near[:_PROBLEMS_SHOWN], f"{more} more files could not be used"]
    return replace(study, problems=tuple(near))


def _unread(
    studies: Sequence[StudyFiles], problems: Sequence[Problem], base: PurePosixPath
) -> Iterator[UnreadPlace]:
    """Yield the folders outside of studies with files that nobody could read."""
    known = {_folder(study) for study in studies}
    folders: dict[PurePosixPath, list[Problem]] = {}
    for problem in problems:
        if problem.hides_images and known.isdisjoint(problem.place.parents):
            folders.setdefault(problem.place.parent, []).append(problem)
    for folder, found in folders.items():
        alone = len(found) == 1
        more = "" if alone else f" (and {len(found) - 1} more files)"
        place = found[0].place if alone else folder
        yield UnreadPlace(
            source=_relative(place, base), sentence=found[0].sentence + more
        )


def _folder(study: StudyFiles) -> PurePosixPath:
    """Return the deepest folder that holds all files of a study."""
    files = [file for file in study.files if not _is_sidecar(study, file.name)]
    return PurePosixPath(os.path.commonpath([file.location.parent for file in files]))


def _relative(place: PurePosixPath, base: PurePosixPath) -> str:
    """Write a place as seen from the input."""
    return os.path.relpath(place, base).replace(os.sep, "/")


def _nothing_found(paths: Sequence[Path], problems: Sequence[str]) -> str:
    """Say in one sentence why nothing was found."""
    names = ", ".join(str(path) for path in paths)
    if not problems:
        return f"no study found in {names}: there are no files"
    more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
    return f"no study found in {names}: {problems[0]}{more}"
