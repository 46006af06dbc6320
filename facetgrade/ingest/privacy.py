"""Pseudonyms: subject from PatientID, UIDs on request; the secret behind them."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from facetgrade.errors import ConfigError

_KEY_BYTES = 32
_MIN_KEY_BYTES = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Privacy:
    """How patients and UIDs are named in everything that leaves ingest.

    Attributes
    ----------
    key : bytes
        Secret of the keyed hash. The same key gives the same pseudonyms.
    keep_patient_id : bool
        PatientID itself is the subject.
    mask_uids : bool
        Study, series and instance UIDs are replaced by keyed ones.
    """

    key: bytes = field(repr=False)
    keep_patient_id: bool
    mask_uids: bool

    def subject(self, patient_id: str) -> str:
        """Return the name of a patient in tables, empty without PatientID."""
        patient_id = patient_id.strip(" \0")
        if not patient_id or self.keep_patient_id:
            return patient_id
        return "P" + self._digest("subject", patient_id).hex()[:12].upper()

    def uid(self, uid: str) -> str:
        """Return the UID to use outside ingest, ``2.25.`` keyed when masked."""
        if not uid or not self.mask_uids:
            return uid
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def _digest(self, purpose: str, text: str) -> bytes:
        """Hash `text` with the key, separated by purpose."""
        message = f"{purpose}\0{text}".encode()
        return hmac.new(self.key, message, sha256).digest()


def read_key(path: Path) -> bytes:
    """Read the secret of the pseudonyms from a file.

    Parameters
    ----------
    path : Path
        Any file of at least 16 bytes; white space at its ends does not count.

    Raises
    ------
    ConfigError
        If the file cannot be read or is too short to be a secret.
    """
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(
            f"key file {path} cannot be read ({error.strerror}); check --key"
        ) from error
    if len(key) < _MIN_KEY_BYTES:
        raise ConfigError(
            f"key file {path} has {len(key)} bytes, at least {_MIN_KEY_BYTES} are "
            "needed for a secret"
        )
    return key


def user_key(folder: Path | None = None) -> bytes:
    """Read the user's own secret, making it on first use.

    Parameters
    ----------
    folder : Path or None
        Configuration folder, None for ``~/.config/facetgrade``.

    Raises
    ------
    ConfigError
        If the folder cannot be written or the key cannot be read.
    """
    folder = folder or Path.home() / ".config" / "facetgrade"
    path = folder / "pseudonym.key"
    if not path.exists():
        _create_key(path)
    return read_key(path)


def _create_key(path: Path) -> None:
    """Write a new random key that only its owner can read, all of it or nothing."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as stream:
            stream.write(secrets.token_hex(_KEY_BYTES).encode() + b"\n")
        _keep_first(draft, path)
    except OSError as error:
        raise ConfigError(
            f"no key for pseudonyms can be made in {path.parent} ({error.strerror}); "
            "give one with --key FILE"
        ) from error


def _keep_first(draft: Path, path: Path) -> None:
    """Give the draft its name unless another process was faster."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    except OSError:
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
