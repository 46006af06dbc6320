"""Figures of agreement: a forest plot and shaded confusion matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Estimates = Mapping[str, Mapping[str, Any]]

_WIDTH, _LEFT, _RIGHT, _ROW = 640, 210, 20, 26
_LOWEST, _HIGHEST = -0.2, 1.0
_STEPS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestRow:
    """One line of the plot, in its own units."""

    name: str
    y: float
    x: float
    low_x: float
    high_x: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestPlot:
    """A forest plot, ready to draw.

    Attributes
    ----------
    width, height : float
        Of the drawing.
    rows : tuple of ForestRow
        One per comparison.
    ticks : tuple of (float, str)
        Positions and labels of the axis.
    """

    width: float
    height: float
    rows: tuple[ForestRow, ...]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a confusion matrix: how many, and the shade from 0 to 5."""

    count: int
    shade: int


def forest_plot(
    comparisons: Sequence[tuple[str, Estimates]], statistic: str
) -> ForestPlot:
    """Lay out one statistic of several comparisons.

    Parameters
    ----------
    comparisons : sequence of (str, mapping)
        Name and estimates; those without a value are left out.
    statistic : str
        Which estimate.
    """
    known = [
        (name, one[statistic])
        for name, one in comparisons
        if one[statistic].get("value") is not None
    ]
    rows = tuple(
        _row(name, estimate, number) for number, (name, estimate) in enumerate(known)
    )
    ticks = [round(_LOWEST + 0.2 * k, 1) for k in range(7)]
    return ForestPlot(
        width=_WIDTH,
        height=_ROW * (len(rows) + 1.5),
        rows=rows,
        ticks=tuple((_x(value), f"{value:.1f}") for value in ticks),
    )


def confusion_table(counts: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """Shade the counts of a confusion matrix by their share of the largest."""
    largest = max((count for row in counts for count in row), default=0)
    return [[Cell(count, _shade(count, largest)) for count in row] for row in counts]


def _row(name: str, estimate: Mapping[str, Any], number: int) -> ForestRow:
    value = float(estimate["value"])
    low, high = (
        value if estimate.get(end) is None else float(estimate[end])
        for end in ("low", "high")
    )
    return ForestRow(
        name=name,
        y=_ROW * (number + 0.75),
        x=_x(value),
        low_x=_x(low),
        high_x=_x(high),
        text=f"{value:.2f} ({low:.2f} to {high:.2f})",
    )


def _x(value: float) -> float:
    kept = min(max(value, _LOWEST), _HIGHEST)
    share = (kept - _LOWEST) / (_HIGHEST - _LOWEST)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _shade(count: int, largest: int) -> int:
    return -(-_STEPS * count // largest) if largest else 0
