"""Split a multipart answer into its parts while it arrives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

from facetgrade.errors import ConnectionLostError, TransferError

_HEADER_END = b"\r\n\r\n"


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type header names.

    Raises
    ------
    TransferError
        If the answer is not multipart.
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_maintype() != "multipart" or not boundary:
        raise TransferError("the answer holds no DICOM instances")
    return boundary.encode()


def split_parts(chunks: Iterable[bytes], boundary: bytes) -> Iterator[bytes]:
    """Yield the body of each part as soon as the whole of it has come.

    Parameters
    ----------
    chunks : iterable of bytes
        The answer in pieces of any size.
    boundary : bytes
        As in the header.

    Raises
    ------
    ConnectionLostError
        If the answer ends before its closing boundary.

    References
    ----------
    .. [1] RFC 2046 section 5.1.1.
    """
    delimiter = b"\r\n--" + boundary
    # The first boundary may stand at the very start, without a line end before it.
    buffer, searched, preamble = bytearray(b"\r\n"), 0, True
    for chunk in chunks:
        buffer += chunk
        while (place := buffer.find(delimiter, searched)) >= 0:
            part = bytes(buffer[:place])
            del buffer[: place + len(delimiter)]
            searched = 0
            if not preamble:
                yield _body(part)
            preamble = False
        if not preamble and buffer.startswith(b"--"):
            return
        searched = max(0, len(buffer) - len(delimiter))
    raise ConnectionLostError("the answer is cut off")


def _body(part: bytes) -> bytes:
    """Drop the headers of a part, which may be none."""
    if part.startswith(b"\r\n\r\n"):
        return part[len(_HEADER_END) :]
    _, end, body = part.partition(_HEADER_END)
    if not end:
        raise TransferError("a part of the answer has no end of its headers")
    return body
