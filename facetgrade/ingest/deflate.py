"""Deflated DICOM files: how large they are when unpacked."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from pydicom.uid import DeflatedExplicitVRLittleEndian

from facetgrade.errors import IngestError

_GROUP_LENGTH_END = 144
_META_BYTES = 2048
_BYTES_PER_MB = 1_000_000
_MAX_DEFLATED_MB = 1000


def refuse_deflate_bomb(stream: BinaryIO) -> None:
    """Refuse a deflated file that unpacks to more than any image holds.

    Parameters
    ----------
    stream : binary file
        At the beginning of a DICOM file, where it is left.

    Raises
    ------
    IngestError
        If the limit is exceeded; nothing is kept of what is unpacked.

    References
    ----------
    .. [1] DICOM PS3.5 A.5, Deflated Explicit VR Little Endian.
    """
    head = stream.read(_META_BYTES)
    if DeflatedExplicitVRLittleEndian.encode() in head:
        length = int.from_bytes(
            head[_GROUP_LENGTH_END - 4 : _GROUP_LENGTH_END], "little"
        )
        stream.seek(_GROUP_LENGTH_END + length)
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        content, total = stream.read(), 0
        while content and total <= _MAX_DEFLATED_MB * _BYTES_PER_MB:
            try:
                total += len(unpacker.decompress(content, _BYTES_PER_MB))
            except zlib.error:
                break  # damaged: the reader says so
            content = unpacker.unconsumed_tail
        if total > _MAX_DEFLATED_MB * _BYTES_PER_MB:
            raise IngestError(f"unpacks to more than {_MAX_DEFLATED_MB} MB, refused")
    stream.seek(0)
