"""The links of the audit trail: hashes of rows, keyed hash of entries, the head."""

from __future__ import annotations

import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from facetgrade.errors import ConfigError
from facetgrade.review.errors import ReviewError
from facetgrade.review.people import Origin

START = "0" * 64
_KEY_BYTES = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One link of the audit trail.

    Attributes
    ----------
    number : int
        From 1, without gaps.
    at : str
        ISO 8601, UTC.
    action : str
        What was done, such as ``lock-read``.
    origin : Origin
        Who, from where, with which versions.
    subject : mapping
        What it was done to.
    rows : mapping of str to str
        ``table/row`` to the SHA-256 of the content of every row it wrote.
    previous, mac : str
        HMAC-SHA256 of the entry before, and of this one.
    """

    number: int
    at: str
    action: str
    origin: Origin
    subject: Mapping[str, str]
    rows: Mapping[str, str]
    previous: str
    mac: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """Last link of the audit trail; kept outside the database."""

    count: int
    mac: str


def canonical(value: Any) -> str:
    """Write JSON in one way only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def row_hash(row: Mapping[str, Any]) -> str:
    """Hash the content of a row; binary columns by their own hash."""
    content = {
        name: sha256(value).hexdigest() if isinstance(value, bytes) else value
        for name, value in row.items()
    }
    return sha256(canonical(content).encode()).hexdigest()


def entry_mac(key: bytes, entry: Mapping[str, Any]) -> str:
    """Chain an entry to the one before; `entry` is its row without ``mac``."""
    content = {name: value for name, value in entry.items() if name != "mac"}
    return hmac.new(key, canonical(content).encode(), sha256).hexdigest()


def read_or_make_key(path: Path, *, may_make: bool) -> bytes:
    """Read the secret of the audit trail.

    Parameters
    ----------
    path : Path
        File of 32 bytes in hexadecimal digits, outside the database.
    may_make : bool
        Make it where it is missing; not for a database that has entries.

    Raises
    ------
    ConfigError
        If it is missing, unreadable or no such secret.
    """
    if may_make and not path.exists():
        _make_key(path)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        raise ConfigError(
            f"audit key {path} is missing; without the key that began the audit trail "
            "it can be neither continued nor verified"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"audit key {path} cannot be read ({error})") from error
    if len(key) < _KEY_BYTES:
        raise ConfigError(f"audit key {path} is shorter than {_KEY_BYTES} bytes")
    return key


def read_head(path: Path) -> Head | None:
    """Read an exported head; None where there is no file.

    Raises
    ------
    ReviewError
        If the file is no head.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Head(count=int(record["count"]), mac=str(record["hash"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"{path}: not a head of an audit trail ({error})") from error


def write_head(path: Path, head: Head, *, at: str) -> None:
    """Write a head so that it is whole and on the disk; never an older one."""
    known = read_head(path)
    if known is not None and known.count > head.count:
        return
    record = {"count": head.count, "hash": head.mac, "at": at}
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _make_key(path: Path) -> None:
    """Write a new key that only its owner can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            f"audit key {path} cannot be made ({error.strerror})"
        ) from error
