"""Logins from the keyring of the system or from a file that only its owner reads."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from facetgrade.config_files import read_toml
from facetgrade.errors import ConfigError
from facetgrade.pacs.settings import KEYRING, NO_CREDENTIALS

SERVICE = "facetgrade"
_FORBIDDEN = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Login:
    """User and password, or a bearer token instead of both."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)


def find_login(name: str, credentials: str, user: str) -> Login | None:
    """Find the login of a node.

    Parameters
    ----------
    name : str
        Name of the node.
    credentials : str
        ``none``, ``keyring`` or the path of a credentials file.
    user : str
        User name in the keyring, where the service is called ``facetgrade:NAME``.

    Raises
    ------
    ConfigError
        If there is no login, or others than the owner can read the file.
    """
    if credentials == NO_CREDENTIALS:
        return None
    if credentials == KEYRING:
        return _from_keyring(name, user)
    return _from_file(name, Path(credentials))


def _from_keyring(name: str, user: str) -> Login:
    import keyring
    from keyring.errors import KeyringError

    service = f"{SERVICE}:{name}"
    try:
        password = keyring.get_password(service, user)
    except KeyringError as error:
        raise ConfigError(
            f"the keyring cannot be used ({type(error).__name__}); unlock it or name a "
            "credentials file"
        ) from error
    if password is None:
        raise ConfigError(
            f"the keyring has no password of {user} for {name}; store it with: "
            f"keyring set {service} {user}"
        )
    return Login(user, password)


def _from_file(name: str, path: Path) -> Login:
    """Read ``[NAME]`` with user and password, or token."""
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(
            f"{path}: credentials cannot be read ({error.strerror})"
        ) from error
    if status.st_mode & _FORBIDDEN or status.st_uid not in (0, os.getuid()):
        raise ConfigError(f"{path}: others may read it; run: chmod 600 {path.name}")
    section = _section(name, path)
    known = {"user", "password"}, {"token"}
    if set(section) not in known or not all(
        isinstance(value, str) and value for value in section.values()
    ):
        raise ConfigError(f"{path}: [{name}] needs user and password, or token")
    return Login(**section)


def _section(name: str, path: Path) -> dict[str, str]:
    """Read a section without ever quoting the file."""
    try:
        section = read_toml(path).get(name)
    except ConfigError:
        raise ConfigError(f"{path}: not valid TOML") from None
    if not isinstance(section, dict):
        raise ConfigError(f"{path}: there is no section [{name}]")
    return section
