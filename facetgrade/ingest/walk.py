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
_HIDDEN = ("__MACOSX", "Thumbs.db", "desktop.ini")
_BIDS_ROOT = "dataset_description.json"
_BIDS_SKIPPED = ("derivatives", "sourcedata", "code")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be used.

    Attributes
    ----------
    place : PurePosixPath
        Full path of the file, an archive counting as a folder.
    sentence : str
        What is wrong and the likely cause.
    """

    place: PurePosixPath
    sentence: str


@dataclass(eq=False, slots=True)
class Walk:
    """Files found, in a fixed order, and what was skipped."""

    files: list[SourceFile] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add_problem(self, path: Path, sentence: str) -> None:
        """Record a file that cannot be used."""
        self.problems.append(Problem(PurePosixPath(path.as_posix()), sentence))


def walk_inputs(paths: Sequence[Path], limits: ArchiveLimits) -> Walk:
    """List the files of all inputs once, in sorted order.

    Folders `truth` that hold truth.json, earlier results of facetgrade, and the
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
            _add_folder(walk, path, limits, seen=set())
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
    files = set(names)
    if folder == "truth" and "truth.json" in files:
        return "truth of a simulated study"
    if {"run.json", "joints.csv"} <= files:
        return "results of facetgrade"
    if folder in _BIDS_SKIPPED and _BIDS_ROOT in set(parents):
        return "not raw images of the BIDS tree"
    return ""


def _add_folder(
    walk: Walk, folder: Path, limits: ArchiveLimits, *, seen: set[str]
) -> None:
    """Add a folder and what lies below it; loops of links end."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        walk.add_problem(folder, unreadable(SourceFile(folder), error))
        return
    below = [Path(entry.path) for entry in listed if not is_hidden(entry.name)]
    folders = [path for path in below if path.is_dir()]
    files = [path.name for path in below if path not in folders]
    for path in folders:
        reason = _skipped(path, files)
        if reason:
            _log.info("ingest: a folder is left out: %s", reason)
        else:
            _add_folder(walk, path, limits, seen=seen)
    for name in files:
        if not is_dicomdir(folder / name):
            _add_file(walk, folder / name, limits)


def _skipped(folder: Path, parent_files: list[str]) -> str:
    """Say why a folder on disk is left out, or nothing."""
    marks = ("truth.json", "run.json", "joints.csv")
    names = [mark for mark in marks if (folder / mark).exists()]
    return skipped_reason(folder.name, names, parent_files)


def _add_file(walk: Walk, path: Path, limits: ArchiveLimits) -> None:
    """Add a plain file or the members of an archive."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            walk.add_problem(path, f"{path.name} is not a regular file")
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
    for sentence in problems:
        walk.add_problem(path / "entry", sentence)
    names: dict[PurePosixPath, list[str]] = {}
    for file in members:
        names.setdefault(PurePosixPath(file.member).parent, []).append(file.name)
    skipped = {folder for folder in names if _skipped_in_archive(folder, names)}
    for file in sorted(members, key=lambda file: file.member):
        place = PurePosixPath(file.member)
        hidden = any(is_hidden(part) for part in place.parts)
        if hidden or not skipped.isdisjoint(place.parents) or file.name == "DICOMDIR":
            continue
        walk.files.append(file)


def _skipped_in_archive(
    folder: PurePosixPath, names: dict[PurePosixPath, list[str]]
) -> bool:
    """Tell whether a folder of an archive is left out."""
    parents = names.get(folder.parent, [])
    return bool(skipped_reason(folder.name, names[folder], parents))


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
