"""List every file below the inputs, archives included, without opening images."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facetgrade.errors import IngestError
from facetgrade.ingest.archive import SourceFile, is_archive, list_members, unreadable
from facetgrade.ingest.dicomdir import is_dicomdir, referenced_files
from facetgrade.ingest.settings import ArchiveLimits

_log = logging.getLogger(__name__)
_HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini", "facetgrade.log")
_BIDS_ROOT = "dataset_description.json"
_BIDS_SKIPPED = ("derivatives", "sourcedata", "code")
_RESULTS = ("studies", "bids")
_TRUTH = "truth.json"
_LEDGER = "ledger.sqlite"
_TABLES = (
    "run.json",
    "joints.csv",
    "joints.parquet",
    "quarantine.csv",
    "index.html",
    _LEDGER,
)
_MARKS = (_TRUTH, _LEDGER, "run.json", "joints.csv")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be used.

    Attributes
    ----------
    place : PurePosixPath
        Full path of the file, an archive counting as a folder.
    sentence : str
        What is wrong and the likely cause.
    hides_images : bool
        Whether it may hold images that nobody could read, unlike a text file.
    """

    place: PurePosixPath
    sentence: str
    hides_images: bool = False


@dataclass(eq=False, slots=True)
class Walk:
    """Files found, in a fixed order, and what was skipped."""

    files: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_problem(
        self, path: Path, sentence: str, *, hides_images: bool = True
    ) -> None:
        """Record a file that cannot be used."""
        place = PurePosixPath(path.as_posix())
        self.problems.append(Problem(place, sentence, hides_images))


def walk_inputs(paths: Sequence[Path], limits: ArchiveLimits) -> Walk:
    """List the files of all inputs once, in sorted order.

    Folders `truth` that hold truth.json, results of facetgrade in any folder, and the
    derivatives and source data of a BIDS tree are left out.

    Parameters
    ----------
    paths : sequence of Path
        Absolute paths of folders, archives and files.
    limits : ArchiveLimits
        Larger archives are refused.

    Raises
    ------
    IngestError
        If an input does not exist.
    """
    walk = Walk()
    for path in paths:
        if not os.path.lexists(path):
            raise IngestError(f"{path} does not exist; check the spelling")
        if path.is_dir():
            _add_folder(walk, path, limits)
        elif is_dicomdir(path):
            _add_dicomdir(walk, path)
        else:
            _add_file(walk, path, limits)
    walk.files = list(dict.fromkeys(walk.files))
    return walk


def is_hidden(name: str) -> bool:
    """Tell files and folders that systems leave behind."""
    return name.startswith(".") or name in _HIDDEN


def skipped_reason(folder: str, names: Iterable[str], parents: Iterable[str]) -> str:
    """Say why a folder is left out, or nothing.

    Parameters
    ----------
    folder : str
        Its name.
    names : iterable of str
        Files in it.
    parents : iterable of str
        Files of the folder above.
    """
    if folder == "truth" and _TRUTH in set(names):
        return "truth of a simulated study"
    if folder in _RESULTS and holds_results(parents):
        return "results of facetgrade"
    if folder in _BIDS_SKIPPED and _BIDS_ROOT in set(parents):
        return "not raw images of the BIDS tree"
    return ""


def holds_results(names: Iterable[str]) -> bool:
    """Tell an output folder of facetgrade by its files; it may also hold images."""
    files = set(names)
    return _LEDGER in files or {"run.json", "joints.csv"} <= files


def _add_folder(walk: Walk, top: Path, limits: ArchiveLimits) -> None:
    """Add what lies in and below a folder; loops of links end."""
    seen: set[tuple[int, int]] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            status = folder.stat()
            with os.scandir(folder) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            walk.add_problem(folder, unreadable(SourceFile(folder), error))
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        shown = [entry for entry in listed if not is_hidden(entry.name)]
        folders = [Path(entry.path) for entry in shown if _is_folder(entry)]
        names = [entry.name for entry in shown if Path(entry.path) not in folders]
        for name in names:
            own = name in _TABLES and holds_results(names)
            if not own and not is_dicomdir(folder / name):
                _add_file(walk, folder / name, limits)
        waiting += reversed(_wanted(folders, names))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell folders and links to folders."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _wanted(folders: list[Path], parent_files: list[str]) -> list[Path]:
    """Keep the folders that are not left out."""
    wanted: list[Path] = []
    for folder in folders:
        names = [mark for mark in _MARKS if os.path.lexists(folder / mark)]
        reason = skipped_reason(folder.name, names, parent_files)
        if reason:
            _log.info("ingest: a folder is left out: %s", reason)
        else:
            wanted.append(folder)
    return wanted


def _add_file(walk: Walk, path: Path, limits: ArchiveLimits) -> None:
    """Add a plain file or the members of an archive."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            sentence = f"{path.name} is not a regular file"
            walk.add_problem(path, sentence, hides_images=False)
        elif status.st_size == 0:
            walk.add_problem(
                path, f"{path.name} is empty (zero bytes); the copy was interrupted"
            )
        elif is_archive(path):
            _add_archive(walk, path, limits)
        else:
            walk.files.append(SourceFile(path))
    except OSError as error:
        walk.add_problem(path, unreadable(SourceFile(path), error))


def _add_archive(walk: Walk, path: Path, limits: ArchiveLimits) -> None:
    """Add the members of an archive."""
    try:
        members, problems = list_members(path, limits)
    except IngestError as error:
        walk.add_problem(path, str(error))
        return
    for sentence, hides_images in problems:
        walk.add_problem(path / "entry", sentence, hides_images=hides_images)
    names: dict[PurePosixPath, list[str]] = {}
    for file in members:
        names.setdefault(PurePosixPath(file.member).parent, []).append(file.name)
    folders = {folder for below in names for folder in (below, *below.parents)}
    skipped = {folder for folder in folders if _skipped_in_archive(folder, names)}
    for file in sorted(members, key=lambda file: file.member):
        place = PurePosixPath(file.member)
        hidden = any(is_hidden(part) for part in place.parts)
        own = file.name in _TABLES and holds_results(names[place.parent])
        index = is_dicomdir(Path(file.name))
        if not (hidden or own or index) and skipped.isdisjoint(place.parents):
            walk.files.append(file)


def _skipped_in_archive(
    folder: PurePosixPath, names: dict[PurePosixPath, list[str]]
) -> bool:
    """Tell whether a folder of an archive is left out."""
    parents = names.get(folder.parent, [])
    return bool(skipped_reason(folder.name, names.get(folder, []), parents))


def _add_dicomdir(walk: Walk, path: Path) -> None:
    """Add the files that a DICOMDIR lists."""
    try:
        files, problems = referenced_files(path)
    except IngestError as error:
        walk.add_problem(path, f"{path.name} {error}")
        return
    walk.files += [SourceFile(file) for file in files]
    for sentence in problems:
        walk.add_problem(path, sentence)
