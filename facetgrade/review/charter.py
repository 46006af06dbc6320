"""The charter: who reads what, in which order, seeing what."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facetgrade.anatomy import Level
from facetgrade.config_files import read_settings, shipped_path
from facetgrade.review.people import Role

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Person(_Section):
    """Somebody who takes part."""

    name: Name
    role: Role


class Repeats(_Section):
    """Items that every reader reads twice.

    Attributes
    ----------
    share : float
        Share of the cases, 0-1; at least one case unless 0.
    washout_days : float
        Time between the first read of a case and its repeat.
    """

    share: float = Field(ge=0.0, le=1.0)
    washout_days: float = Field(ge=0.0)


class Adjudication(_Section):
    """When and how a difference between readers is resolved.

    Attributes
    ----------
    rule : str
        ``any-difference``, ``more-than-one-grade`` or ``none``. A joint that one
        reader graded and another could not is a difference by both rules.
    view : str
        The adjudicator reads ``blind``, or ``sees-both`` reads without names.
    minor_difference : str
        Result of a difference that is not adjudicated: ``higher``, ``lower`` or
        ``first-reader`` of the charter.
    """

    rule: Literal["any-difference", "more-than-one-grade", "none"]
    view: Literal["blind", "sees-both"]
    minor_difference: Literal["higher", "lower", "first-reader"]


class Access(_Section):
    """Logins.

    Attributes
    ----------
    session_hours : float
        A session ends this long after its login.
    failed_logins : int
        So many failures of one name or address within `lockout_minutes` stop both.
    lockout_minutes : float
        How long failures count.
    """

    session_hours: float = Field(gt=0.0, le=24.0)
    failed_logins: int = Field(ge=1)
    lockout_minutes: float = Field(gt=0.0)


class Statistics(_Section):
    """Bootstrap intervals of the agreement page."""

    resamples: int = Field(ge=100)
    seed: int = Field(ge=0)
    coverage: float = Field(gt=0.0, lt=1.0)


class Charter(_Section):
    """Rules of a review, fixed before the first read.

    Attributes
    ----------
    title : str
        Name of the trial.
    seed : int
        Draws the order of every reader and which visit is A.
    reading : str
        ``paired``: both visits of a patient side by side; ``single``: one study.
    time_order : str
        ``masked`` or ``shown``.
    ai : str
        Result of facetgrade: ``hidden-until-locked`` or ``shown-from-start``.
    levels : tuple of Level
        Joints to be read, both sides.
    people : tuple of Person
        Readers, adjudicators and leads.
    """

    title: str = Field(min_length=1)
    seed: int = Field(ge=0)
    reading: Literal["paired", "single"]
    time_order: Literal["masked", "shown"]
    ai: Literal["hidden-until-locked", "shown-from-start"]
    levels: tuple[Level, ...] = Field(min_length=1)
    people: tuple[Person, ...] = Field(min_length=1)
    repeats: Repeats
    adjudication: Adjudication
    access: Access
    statistics: Statistics

    @model_validator(mode="after")
    def _check_people(self) -> Self:
        names = [person.name for person in self.people]
        if len(set(names)) != len(names):
            raise ValueError("two people have the same name")
        if not self.names(Role.READER):
            raise ValueError("there must be at least one reader")
        needed = self.adjudication.rule != "none" and len(self.names(Role.READER)) > 1
        if needed and not self.names(Role.ADJUDICATOR):
            raise ValueError("the rule of adjudication needs an adjudicator")
        if len(self.names(Role.ADJUDICATOR)) > 1:
            raise ValueError("there can be one adjudicator only")
        return self

    def names(self, role: Role) -> tuple[str, ...]:
        """Return the people of a role, in the order of the file."""
        return tuple(one.name for one in self.people if one.role is role)


def read_charter(path: Path | None = None) -> Charter:
    """Read a charter file; None is the shipped example.

    Raises
    ------
    ConfigError
        With file and key, if a key is unknown, missing or impossible.
    """
    return read_settings(path or shipped_path("configs/charter.toml"), Charter)
