"""Files that may lie in a folder or inside a zip or tar archive, read safely.

Nothing is ever extracted: members are read into memory one at a time, so that no
entry can leave the archive. Archives beyond the limits are refused before they are
decompressed.
"""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from facetgrade.errors import IngestError
from facetgrade.ingest.settings import ArchiveLimits

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_BYTES_PER_MB = 1_000_000
_NOT_REGULAR = "is a link or a device"
# What zipfile and tarfile raise on damaged bytes, and what they let through.
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, plain or inside an archive.

    Attributes
    ----------
    path : Path
        The plain file, or the archive.
    member : str
        Name inside the archive, empty for a plain file.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """File name without folders."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def location(self) -> PurePosixPath:
        """Full path, the archive counting as a folder."""
        return PurePosixPath(self.path.as_posix()) / self.member


def is_archive(path: Path) -> bool:
    """Tell by name and magic number whether a file is a zip or tar archive."""
    name = path.name.lower()
    if name.endswith(TAR_SUFFIXES):
        return True
    if not name.endswith(".zip"):
        return False
    with path.open("rb") as stream:
        return stream.read(2) == b"PK"


def list_members(
    path: Path, limits: ArchiveLimits
) -> tuple[list[SourceFile], list[tuple[str, bool]]]:
    """List the regular files of an archive without extracting anything.

    Parameters
    ----------
    path : Path
        Zip or tar archive.
    limits : ArchiveLimits
        Larger archives are refused.

    Returns
    -------
    list of SourceFile, list of (str, bool)
        Members in archive order, and one sentence per entry that was left out with
        whether it may hold images.

    Raises
    ------
    IngestError
        If the archive is damaged, locked by a password or beyond the limits.
    """
    try:
        is_tar = path.name.lower().endswith(TAR_SUFFIXES)
        entries = _tar_entries(path) if is_tar else _zip_entries(path)
        return _checked(path, entries, limits)
    except _BROKEN as error:
        raise IngestError(
            f"archive {path.name} cannot be read ({_first_line(error)}); it is "
            "damaged, incomplete or locked by a password"
        ) from error


def read_files(files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, bytes | str]]:
    """Read whole files, opening each archive once.

    Parameters
    ----------
    files : iterable of SourceFile
        Plain files and archive members in any order.

    Yields
    ------
    SourceFile, bytes or str
        The content, or the sentence that says why it could not be read. Members of
        one archive come in archive order.
    """
    members: dict[Path, dict[str, SourceFile]] = {}
    for file in files:
        if file.member:
            members.setdefault(file.path, {})[file.member] = file
            continue
        try:
            yield file, file.path.read_bytes()
        except (OSError, MemoryError) as error:
            yield file, unreadable(file, error)
    for path, wanted in members.items():
        yield from _read_members(path, wanted)


def unreadable(file: SourceFile, error: BaseException) -> str:
    """Word the sentence for a file that could not be opened."""
    cause = getattr(error, "strerror", None) or _first_line(error)
    return f"{file.name} cannot be read ({cause}); check permissions and disk"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a table of contents says about one entry."""

    name: str
    size: int
    reason: str


def _zip_entries(path: Path) -> Iterator[_Entry]:
    """List a zip archive; its table of contents is read first."""
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            is_link = (info.external_attr >> 28) == 0o12
            reason = _NOT_REGULAR if is_link else ""
            if info.flag_bits & 0x1:
                reason = "is locked by a password"
            yield _Entry(info.filename, info.file_size, reason)


def _tar_entries(path: Path) -> Iterator[_Entry]:
    """List a tar archive, header by header."""
    with tarfile.open(path) as archive:
        for info in archive:
            if info.isdir():
                continue
            yield _Entry(info.name, info.size, "" if info.isreg() else _NOT_REGULAR)


def _checked(
    path: Path, entries: Iterator[_Entry], limits: ArchiveLimits
) -> tuple[list[SourceFile], list[tuple[str, bool]]]:
    """Keep safe entries and stop at the first exceeded limit."""
    files: list[SourceFile] = []
    problems: list[tuple[str, bool]] = []
    total_bytes = 0
    archive_bytes = max(path.stat().st_size, 1)
    for count, entry in enumerate(entries, start=1):
        total_bytes += entry.size
        _refuse_bomb(path, count, total_bytes, archive_bytes, limits)
        reason = entry.reason or _unsafe_name(entry.name)
        if reason:
            sentence = f"{entry.name} in {path.name} {reason}; it is not read"
            problems.append((sentence, reason != _NOT_REGULAR))
        else:
            files.append(SourceFile(path, entry.name))
    return files, problems


def _refuse_bomb(
    path: Path, count: int, total_bytes: int, archive_bytes: int, limits: ArchiveLimits
) -> None:
    """Raise when an archive is larger than any real one."""
    total_mb = total_bytes / _BYTES_PER_MB
    ratio = total_bytes / archive_bytes
    if count > limits.max_entries:
        excess = f"more than {limits.max_entries} entries"
    elif total_mb > limits.max_total_mb:
        excess = f"more than {limits.max_total_mb:.0f} MB when unpacked"
    elif total_mb > limits.ratio_applies_above_mb and ratio > limits.max_ratio:
        excess = f"a compression ratio of {ratio:.0f}"
    else:
        return
    raise IngestError(
        f"archive {path.name} has {excess} and is refused as a likely zip bomb; "
        "unpack it yourself if it is trusted"
    )


def _unsafe_name(name: str) -> str:
    """Say what is wrong with an entry name, or nothing."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts:
        return "points outside the archive"
    return ""


def _read_members(
    path: Path, wanted: dict[str, SourceFile]
) -> Iterator[tuple[SourceFile, bytes | str]]:
    """Read the wanted members of one archive."""
    is_tar = path.name.lower().endswith(TAR_SUFFIXES)
    pending = dict(wanted)
    try:
        reader = _read_tar if is_tar else _read_zip
        for name, content in reader(path, wanted):
            yield pending.pop(name), content
    except _BROKEN as error:
        for file in pending.values():
            yield file, unreadable(file, error)


def _read_zip(
    path: Path, wanted: dict[str, SourceFile]
) -> Iterator[tuple[str, bytes | str]]:
    """Read members of a zip archive; a damaged one does not stop the rest."""
    with zipfile.ZipFile(path) as archive:
        for name, file in wanted.items():
            try:
                content: bytes | str = archive.read(name)
            except _BROKEN as error:
                content = unreadable(file, error)
            yield name, content


def _read_tar(
    path: Path, wanted: dict[str, SourceFile]
) -> Iterator[tuple[str, bytes | str]]:
    """Read members of a tar archive in one pass."""
    left = set(wanted)
    with tarfile.open(path) as archive:
        for info in archive:
            if info.name not in left or not info.isreg():
                continue
            stream = archive.extractfile(info)
            if stream is None:
                continue
            left.remove(info.name)
            yield info.name, stream.read()
            if not left:
                return


def _first_line(error: BaseException) -> str:
    """Return the first line of an error message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
