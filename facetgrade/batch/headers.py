"""DICOM headers that an earlier search read, sealed in the ledger.

A header holds PatientID, which stays unreadable without the secret of the pseudonyms: a
record is found by a keyed hash of path, size and time of the file, and its text is
combined with a key stream that belongs to this hash alone.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Iterator
from hashlib import sha256, shake_256
from typing import Protocol

from facetgrade.ingest.archive import SourceFile
from facetgrade.ingest.grouping import DicomHeader, read_headers

_FIELDS = (
    "study_uid",
    "series_uid",
    "instance_uid",
    "modality",
    "description",
    "patient_id",
    "is_image",
)
_PURPOSE = b"facetgrade header 1"
_SAVED_TOGETHER = 2000


class HeaderStore(Protocol):
    """Where sealed headers are kept."""

    def sealed_header(self, key: bytes) -> bytes | None:
        """Return a record, None if there is none."""

    def keep_headers(self, records: list[tuple[bytes, bytes]]) -> None:
        """Keep records by their keys."""


class RememberedHeaders:
    """Reads the headers of files that are new or changed, remembers the others.

    Parameters
    ----------
    store : HeaderStore
        Holds what earlier searches read.
    secret : bytes
        Secret of the pseudonyms.
    """

    def __init__(self, store: HeaderStore, secret: bytes) -> None:
        self._store = store
        self._secret = hmac.digest(secret, _PURPOSE, sha256)
        self._new: list[tuple[bytes, bytes]] = []
        self.read_now = 0

    def read(
        self, files: Iterable[SourceFile]
    ) -> Iterator[tuple[SourceFile, DicomHeader | str]]:
        """Read headers like `read_headers`; members of archives are always read."""
        members: list[SourceFile] = []
        for file in files:
            if file.member:
                members.append(file)
            else:
                yield from self._plain(file)
        yield from read_headers(members)
        self._save()

    def _plain(
        self, file: SourceFile
    ) -> Iterator[tuple[SourceFile, DicomHeader | str]]:
        key = self._key(file)
        sealed = self._store.sealed_header(key) if key else None
        if sealed is not None:
            values = json.loads(_sealed(key, sealed, self._secret))
            yield file, DicomHeader(file, *values)
            return
        for _, header in read_headers([file]):
            self.read_now += 1
            if key and isinstance(header, DicomHeader):
                values = [getattr(header, name) for name in _FIELDS]
                content = json.dumps(values).encode()
                self._new.append((key, _sealed(key, content, self._secret)))
            yield file, header
        if len(self._new) >= _SAVED_TOGETHER:
            self._save()

    def _key(self, file: SourceFile) -> bytes:
        try:
            status = file.path.stat()
        except OSError:
            return b""
        seen = f"{file.location}\0{status.st_size}\0{status.st_mtime_ns}"
        return hmac.digest(self._secret, seen.encode(errors="surrogateescape"), sha256)

    def _save(self) -> None:
        self._store.keep_headers(self._new)
        self._new = []


def _sealed(key: bytes, content: bytes, secret: bytes) -> bytes:
    """Combine with the key stream of a record; twice gives the content again."""
    stream = shake_256(secret + key).digest(len(content))
    combined = int.from_bytes(content, "big") ^ int.from_bytes(stream, "big")
    return combined.to_bytes(len(content), "big")
