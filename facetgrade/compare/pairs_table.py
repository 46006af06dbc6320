"""pairs.csv: which baseline belongs to which follow-up, as the user wrote it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from facetgrade.errors import ConfigError

REQUIRED = ("baseline", "followup")
KNOWN = ("pair", "baseline", "followup", "subject")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedPair:
    """One row of pairs.csv; `pair` and `subject` may be empty."""

    pair: str
    subject: str
    baseline: Path
    followup: Path


def read_pairs(path: Path) -> tuple[NamedPair, ...]:
    """Read pairs.csv.

    Parameters
    ----------
    path : Path
        UTF-8 CSV with the columns ``baseline`` and ``followup`` and, if wanted,
        ``pair`` and ``subject``. Paths count from the folder of the file, or from the
        working directory where that has no such file.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column, holds an unknown one, names a pair
        twice or names a file that does not exist.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            _check_columns(path, rows.fieldnames or ())
            pairs = [_pair(path, rows.line_num, row) for row in rows]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a UTF-8 CSV file ({error})") from error
    if not pairs:
        raise ConfigError(f"{path}: no pair is listed")
    names = [pair.pair for pair in pairs if pair.pair]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ConfigError(f"{path}: pair {', '.join(doubled)} is listed more than once")
    return tuple(pairs)


def _check_columns(path: Path, names: object) -> None:
    """Refuse a table that lacks or misspells a column."""
    columns = [str(name) for name in names] if isinstance(names, list | tuple) else []
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise ConfigError(f"{path}: no column {', '.join(missing)}")
    unknown = [name for name in columns if name not in KNOWN]
    if unknown:
        raise ConfigError(
            f"{path}: unknown column {', '.join(unknown)}; known are {', '.join(KNOWN)}"
        )


def _pair(path: Path, line: int, row: dict[str, str | None]) -> NamedPair:
    """Read one row."""
    text = {name: (row.get(name) or "").strip() for name in KNOWN}
    found = {}
    for name in REQUIRED:
        if not text[name]:
            raise ConfigError(f"{path}, line {line}: no {name} is given")
        candidates = (path.parent / text[name], Path(text[name]))
        existing = [place for place in candidates if place.exists()]
        if not existing:
            raise ConfigError(f"{path}, line {line}: {text[name]} does not exist")
        found[name] = existing[0]
    return NamedPair(
        pair=text["pair"],
        subject=text["subject"],
        baseline=found["baseline"],
        followup=found["followup"],
    )
