"""DICOMDIR: the table of contents of a DICOM medium."""

from __future__ import annotations

from pathlib import Path

from facetgrade.errors import IngestError
from facetgrade.ingest.dicom import read_header
from facetgrade.ingest.elements import quiet, raw, texts


def is_dicomdir(path: Path) -> bool:
    """Tell a DICOMDIR by its fixed name."""
    return path.name.upper() == "DICOMDIR"


def referenced_files(path: Path) -> tuple[list[Path], list[str]]:
    """List the files that a DICOMDIR names.

    Parameters
    ----------
    path : Path
        The DICOMDIR.

    Returns
    -------
    list of Path, list of str
        Existing files below its folder, and a sentence for every other entry.

    Raises
    ------
    IngestError
        If it cannot be read or lists nothing.

    References
    ----------
    .. [1] DICOM PS3.3 F.3, Basic Directory; PS3.10 8.2, File IDs.
    """
    root = path.parent
    try:
        with path.open("rb") as stream, quiet():
            records = raw(read_header(stream), "DirectoryRecordSequence") or []
            names = [texts(record, "ReferencedFileID") for record in records]
    except OSError as error:
        raise IngestError(f"cannot be read ({error.strerror})") from error
    files: list[Path] = []
    problems: list[str] = []
    for parts in filter(None, names):
        file = _find(root, parts)
        if file is None:
            problems.append(
                f"{'/'.join(parts)} is listed in {path.name} but is not in its folder"
            )
        else:
            files.append(file)
    if not files:
        raise IngestError("lists no files that exist; it was copied without them")
    return files, problems


def _find(root: Path, parts: tuple[str, ...]) -> Path | None:
    """Find a listed file below the root; copying changes the case of names."""
    place = root
    for part in parts:
        if part in (".", "..") or "/" in part or not place.is_dir():
            return None
        exact = place / part
        matches = (at for at in place.iterdir() if at.name.lower() == part.lower())
        found = exact if exact.exists() else next(matches, None)
        if found is None:
            return None
        place = found
    return place if place.is_file() else None
