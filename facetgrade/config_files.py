"""Configuration files: find the shipped ones, read TOML, check it by a model."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from facetgrade.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)

_LONGEST_LINE = 4000


def shipped_path(name: str) -> Path:
    """Find a file or folder that belongs to facetgrade itself.

    Parameters
    ----------
    name : str
        Path relative to the repository, such as ``configs/grade.toml`` or ``models``.

    Returns
    -------
    Path
        Inside the installed package (wheel) or the repository root (checkout).

    Raises
    ------
    ConfigError
        If this installation does not hold it.
    """
    package = Path(__file__).resolve().parent
    for root in (package, package.parent):
        if (root / name).exists():
            return root / name
    raise ConfigError(f"{name} is missing from this installation; reinstall facetgrade")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        If the file is missing, unreadable, not TOML or made to keep the reader busy.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if max(map(len, text.splitlines()), default=0) > _LONGEST_LINE:
            # a key of 50,000 parts keeps tomllib busy for half a minute
            raise ConfigError(f"{path}: a line is too long for a configuration file")
        return tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        # not only TOMLDecodeError: endless numbers, brackets in brackets, \0 in a path
        raise ConfigError(f"{path}: not valid TOML ({error})") from error


def read_settings(path: Path, model: type[Settings]) -> Settings:
    """Read one TOML file into one settings model.

    Parameters
    ----------
    path : Path
        The whole file is the model.
    model : type of BaseModel
        Frozen, without defaults, unknown keys forbidden.

    Raises
    ------
    ConfigError
        With file and key, if a key is unknown, missing or impossible.
    """
    return check_settings(read_toml(path), model, path)


def read_shipped(
    name: str, model: type[Settings], changes: Path | None = None
) -> Settings:
    """Read a shipped TOML file, with the changes of a user's file.

    Parameters
    ----------
    name : str
        As for `shipped_path`.
    model : type of BaseModel
        Frozen, without defaults, unknown keys forbidden.
    changes : Path or None
        File that names only the keys that differ; None changes nothing.

    Raises
    ------
    ConfigError
        With file and key, if a key is unknown, missing or impossible.
    """
    path = shipped_path(name)
    values = read_toml(path)
    if changes is not None:
        values = merge(values, read_toml(changes))
    return check_settings(values, model, changes or path)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace values key by key; tables are merged, arrays replaced."""
    merged = dict(base)
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping):
            merged[key] = merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def check_settings(
    values: Mapping[str, Any], model: type[Settings], path: Path
) -> Settings:
    """Turn the values of a file into a settings model.

    Raises
    ------
    ConfigError
        With file and key, if a key is unknown, missing or impossible.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_first_problem(error, model)}") from None


def _first_problem(error: ValidationError, model: type[BaseModel]) -> str:
    """Say in one sentence what is wrong with which key."""
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "missing":
        return f"key {key} is missing{more}"
    if first["type"] == "extra_forbidden":
        return f"unknown key {key}{_hint(first['loc'], model)}{more}"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{key} = {first['input']!r}: {reason}{more}"


def _hint(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """Name the known key that looks most like the unknown one."""
    known: type[BaseModel] | None = model
    for part in loc[:-1]:
        field = known.model_fields.get(str(part)) if known else None
        kind = field.annotation if field else None
        known = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    names = list(known.model_fields) if known else []
    close = difflib.get_close_matches(str(loc[-1]), names, n=1)
    return f"; did you mean {close[0]}?" if close else ""
