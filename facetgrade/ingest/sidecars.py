"""JSON files that describe NIfTI volumes: beside them, and inherited in BIDS trees."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from facetgrade.ingest.archive import SourceFile

_SUFFIXES = (".nii.gz", ".nii", ".json")
_SUBJECT = "sub-"
_SESSION = "ses-"
_ANATOMICAL = "anat"


def stem_of(name: str) -> str:
    """Return a file name without ``.nii``, ``.nii.gz`` or ``.json``."""
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


@dataclass(frozen=True, eq=False, slots=True)
class Sidecars:
    """The JSON files of an input, ready to be found for each volume.

    Attributes
    ----------
    by_name : dict of (PurePosixPath, str) to SourceFile
        Folder and name without suffix.
    by_folder : dict of PurePosixPath to list of SourceFile
        All of a folder.
    """

    by_name: dict[tuple[PurePosixPath, str], SourceFile]
    by_folder: dict[PurePosixPath, list[SourceFile]]

    def of(self, volume: SourceFile) -> list[SourceFile]:
        """Return the files that describe a volume, the most general one first.

        That is the file of the same name in the same folder and, for a volume of a
        BIDS tree, the files of its folders whose entities the volume has.

        References
        ----------
        .. [1] BIDS specification 1.10, The Inheritance Principle.
        """
        own = self.by_name.get((volume.location.parent, stem_of(volume.name)))
        place = bids_subject(volume)
        if place is None:
            return [own] if own else []
        found = []
        for folder in _folders_up_to(place[0], volume):
            inherited = self.by_folder.get(folder, ())
            here = [file for file in inherited if _is_general(file, volume)]
            found += sorted(here, key=lambda file: (len(file.name), file.name))
        return found


def index_sidecars(files: Iterable[SourceFile]) -> Sidecars:
    """Index JSON files for `Sidecars.of`."""
    result = Sidecars({}, {})
    for file in files:
        folder = file.location.parent
        result.by_name[folder, stem_of(file.name)] = file
        result.by_folder.setdefault(folder, []).append(file)
    return result


def read_sidecar(content: bytes | str) -> Mapping[str, Any]:
    """Read a JSON sidecar; a bad one counts as absent."""
    if isinstance(content, str):
        return {}
    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def merged(contents: Sequence[bytes | str]) -> Mapping[str, Any]:
    """Read sidecars from the most general to the closest, whose values win."""
    values: dict[str, Any] = {}
    for content in contents:
        values |= read_sidecar(content)
    return values


def bids_subject(volume: SourceFile) -> tuple[PurePosixPath, str] | None:
    """Tell the dataset and the subject of a volume of a BIDS tree.

    Returns
    -------
    tuple of PurePosixPath and str, or None
        Folder that holds the folder ``sub-<label>``, and that name; None elsewhere.
    """
    name = stem_of(volume.name).split("_")[0]
    if not name.startswith(_SUBJECT):
        return None
    for folder in volume.location.parents:
        if folder.name == name:
            return folder.parent, name
    return None


def other_bids_data(volume: SourceFile) -> str:
    """Name the folder of a BIDS tree with images that are not anatomical, or nothing.

    Parameters
    ----------
    volume : SourceFile
        The volume.
    """
    folder = volume.location.parent
    inside = folder.parent.name.startswith((_SUBJECT, _SESSION))
    if bids_subject(volume) is None or not inside or folder.name == _ANATOMICAL:
        return ""
    return folder.name


def _folders_up_to(root: PurePosixPath, volume: SourceFile) -> list[PurePosixPath]:
    """List the folders from the dataset down to the volume."""
    folders = list(volume.location.parents)
    return folders[: folders.index(root) + 1][::-1]


def _is_general(file: SourceFile, volume: SourceFile) -> bool:
    """Tell whether the volume has the suffix and all entities of a file."""
    *entities, suffix = stem_of(file.name).split("_")
    *known, kind = stem_of(volume.name).split("_")
    return suffix == kind and set(entities) <= set(known)
