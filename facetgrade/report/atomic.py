"""Whole files or none: write beside the target, then replace it."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

_SURROGATES = re.compile("[\ud800-\udfff]")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader or a crash never meets half of it.

    Parameters
    ----------
    path : Path
        The file; its folder is made if needed.
    content : bytes
        All of it.
    """
    _replace(path, content, settle=lambda _file: None)


def write_durable(path: Path, content: bytes, *, top: Path) -> None:
    """Write a file that is there for good when this returns, power loss included.

    Parameters
    ----------
    path : Path
        The file, below `top`; its folder is made if needed.
    content : bytes
        All of it.
    top : Path
        Folder that is known to be on the disk; those below may be new.
    """
    _replace(path, content, settle=os.fsync)
    for folder in path.relative_to(top).parents:
        sync_folder(top / folder)


def sync_folder(folder: Path) -> None:
    """Put on the disk which names a folder holds, where the system can do that."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(opened)
    except OSError as error:
        # what some network file systems answer for every folder
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(opened)


def _replace(path: Path, content: bytes, *, settle: Callable[[int], None]) -> None:
    """Write beside the file, let the content settle, then take its place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            settle(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with the line ends it has."""
    write_bytes(path, clean(text).encode())


def write_json(path: Path, value: Any) -> None:
    """Write JSON with finite numbers only; what is unknown becomes null."""
    text = json.dumps(finite(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def clean(text: str) -> str:
    """Replace what UTF-8 cannot hold, such as bytes of an undecodable file name."""
    return _SURROGATES.sub("\ufffd", text)


def finite(value: Any) -> Any:
    """Turn records into JSON types; NaN and infinity become None.

    Numbers are rounded to six decimals, far below what any measurement resolves.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [finite(item) for item in value]
    return value
