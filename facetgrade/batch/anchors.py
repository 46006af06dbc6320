"""Anchors: points that the user knows to lie inside a named vertebral body."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from facetgrade.anatomy import VERTEBRAE
from facetgrade.errors import ConfigError

Point = tuple[float, float, float]

COLUMNS = ("source", "level", "x_mm", "y_mm", "z_mm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Anchors:
    """Anchors of a whole run.

    Attributes
    ----------
    only_study : mapping of str to tuple of float
        Vertebra to LPS mm, for the one study of the run.
    by_source : mapping of str to mapping
        The same per `source`, as written in joints.csv.
    """

    only_study: Mapping[str, Point] = field(default_factory=dict)
    by_source: Mapping[str, Mapping[str, Point]] = field(default_factory=dict)

    def of(self, source: str) -> dict[str, Point]:
        """Return the anchors of one study."""
        return {**self.only_study, **self.by_source.get(source, {})}

    def check(self, sources: list[str]) -> None:
        """Refuse anchors that would reach the wrong study.

        Raises
        ------
        ConfigError
            If anchors for one study meet several, or a source is unknown or shared.
        """
        if self.only_study and len(sources) != 1:
            raise ConfigError(
                f"--anchor is for one study and {len(sources)} were found; use "
                "--anchors FILE.csv"
            )
        for source in self.by_source:
            count = sources.count(source)
            if count != 1:
                raise ConfigError(
                    f"anchors name the source {source!r}, which {count} of the studies "
                    "have; write it as in the column source of joints.csv"
                )


def parse_anchor(text: str) -> tuple[str, Point]:
    """Read ``L5=x,y,z`` with LPS mm.

    Raises
    ------
    ConfigError
        If the vertebra is unknown or a coordinate is no number.
    """
    match = re.fullmatch(r"\s*(\w+)\s*=([^,]+),([^,]+),([^,]+)", text)
    if not match:
        raise ConfigError(f"anchor must look like L5=12.5,-40,310, got {text!r}")
    return _anchor(match[1], match.group(2, 3, 4), text)


def read_anchors(path: Path) -> dict[str, dict[str, Point]]:
    """Read a table of anchors with the columns of `COLUMNS`.

    Returns
    -------
    dict
        Vertebra to LPS mm, by source.

    Raises
    ------
    ConfigError
        If the file cannot be read, lacks a column or holds an impossible row.
    """
    anchors: dict[str, dict[str, Point]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = set(COLUMNS) - set(rows.fieldnames or ())
            if missing:
                raise ConfigError(f"{path}: no column {', '.join(sorted(missing))}")
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                values = [row[column] or "" for column in COLUMNS]
                name, point = _anchor(values[1], values[2:], place)
                source = PurePosixPath(values[0]).as_posix()
                anchors.setdefault(source, {})[name] = point
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a UTF-8 CSV file ({error})") from error
    return anchors


def _anchor(
    name: str, coordinates: list[str] | tuple[str, ...], place: str
) -> tuple[str, Point]:
    if name not in VERTEBRAE:
        raise ConfigError(
            f"{place}: {name!r} is no vertebra; known are {', '.join(VERTEBRAE)}"
        )
    try:
        x_mm, y_mm, z_mm = (float(text) for text in coordinates)
    except ValueError:
        raise ConfigError(f"{place}: coordinates must be three numbers in mm") from None
    if not all(math.isfinite(value) for value in (x_mm, y_mm, z_mm)):
        raise ConfigError(f"{place}: coordinates must be finite")
    return name, (x_mm, y_mm, z_mm)
