"""Who takes part: roles, accounts, logins, and where an action comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What somebody may do."""

    READER = "reader"
    ADJUDICATOR = "adjudicator"
    LEAD = "lead"


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Who acts, from where and with which program.

    Attributes
    ----------
    who : str
        Name of the account, or ``system``.
    address : str
        Network address of the client, empty on this machine.
    software : str
        Version of facetgrade.
    models : mapping of str to str
        SHA-256 of each model whose result is compared.
    """

    who: str
    address: str = ""
    software: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Somebody who may log in."""

    name: str
    role: Role
    active: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A login.

    Attributes
    ----------
    token : str
        Secret of the cookie; the database holds its hash only.
    name, role
        Who.
    expires_at : str
        ISO 8601, UTC.
    """

    token: str = field(repr=False)
    name: str
    role: Role
    expires_at: str
