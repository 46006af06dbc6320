"""Decode pixels in a process of its own, which a damaged file may end.

Lossless JPEG is decoded by GDCM alone, and GDCM ends its process on some damaged
streams. The process here is started with the first such image and ends with the run.
"""

from __future__ import annotations

import atexit
import io
import os
import struct
import subprocess
import sys
from threading import Lock
from typing import IO, Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

_LENGTH = struct.Struct("<q")
_PIXEL_MODULE = 0x0028


class _Decoder:
    """The process, started when first needed and again after it died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def ask(self, content: bytes) -> bytes:
        """Send one image and return what comes back.

        Raises
        ------
        RuntimeError
            If the image ended the process.
        """
        with self._lock:
            process = self._process or self._start()
            try:
                _write(_pipe(process.stdin), content)
                answer = _read(_pipe(process.stdout))
            except OSError:
                answer = None
            if answer is None:
                self.close()
                raise RuntimeError("the decoder ended")
            return answer

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "facetgrade.ingest.apart"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process


_DECODER = _Decoder()
atexit.register(_DECODER.close)


def decode_apart(dataset: Dataset) -> NDArray[Any]:
    """Decode the pixels of an image where nothing else can be harmed.

    Parameters
    ----------
    dataset : Dataset
        With its file meta information; only what describes pixels is handed on.

    Returns
    -------
    ndarray
        As ``dataset.pixel_array``.

    Raises
    ------
    RuntimeError
        If the pixels cannot be decoded, with the decoder's words.
    """
    image = dataset.group_dataset(_PIXEL_MODULE)
    image["PixelData"] = dataset["PixelData"]
    image.file_meta = dataset.file_meta
    content = io.BytesIO()
    pydicom.dcmwrite(content, image, enforce_file_format=False)
    answer = _DECODER.ask(content.getvalue())
    if not answer.startswith(b"+"):
        raise RuntimeError(answer[1:].decode(errors="replace"))
    pixels: NDArray[Any] = np.load(io.BytesIO(answer[1:]), allow_pickle=False)
    return pixels


def main() -> None:
    """Decode image after image until the run closes the pipe."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # A library that prints must not write between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (content := _read(source)) is not None:
        _write(target, _decoded(content))


def _decoded(content: bytes) -> bytes:
    """Return a plus sign and the pixels, or a minus sign and what went wrong."""
    try:
        pixels = pydicom.dcmread(io.BytesIO(content), force=True).pixel_array
    except Exception as error:
        # a damaged stream raises whatever it leads to
        return b"-" + str(error).encode()
    answer = io.BytesIO()
    np.save(answer, pixels, allow_pickle=False)
    return b"+" + answer.getvalue()


def _write(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes | None:
    """Read one message, None at the end."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    content = pipe.read(length)
    return content if len(content) == length else None


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise TypeError("the decoder has no pipes")
    return pipe


if __name__ == "__main__":
    main()
