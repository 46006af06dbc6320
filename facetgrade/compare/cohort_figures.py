"""Figures of a cohort as inline SVG: alluvial plot of grades and forest plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

WIDTH, HEIGHT = 360.0, 250.0
NODE_WIDTH, GAP, TOP = 16.0, 8.0, 8.0
LEFT, RIGHT = 70.0, 274.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One grade at one time point of an alluvial plot."""

    grade: int
    joints: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """Joints that went from one grade to another."""

    before: int
    after: int
    joints: int
    path: str

    @property
    def course(self) -> str:
        """Class of the band in the page."""
        if self.after == self.before:
            return "unchanged"
        return "improved" if self.after < self.before else "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alluvial:
    """Alluvial plot of a transition table, worst grade on top."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ForestLine:
    """One line of a forest plot; positions are 0-100 of its width."""

    label: str
    text: str
    joints: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Forest:
    """Forest plot of one measure."""

    title: str
    unit: str
    lines: tuple[ForestLine, ...]
    zero: float
    ticks: tuple[tuple[float, str], ...]


def alluvial(table: Sequence[Sequence[int]]) -> Alluvial | None:
    """Lay out an alluvial plot.

    Parameters
    ----------
    table : (5, 5) sequence of int
        Joints by grade at baseline (rows) and follow-up (columns).

    Returns
    -------
    Alluvial or None
        None without joints.
    """
    total = sum(map(sum, table))
    if not total:
        return None
    grades = range(len(table))
    before = [sum(row) for row in table]
    after = [sum(row[grade] for row in table) for grade in grades]
    most = max(sum(n > 0 for n in before), sum(n > 0 for n in after))
    scale = (HEIGHT - 2 * TOP - GAP * (most - 1)) / total
    first, second = _nodes(before, LEFT, scale), _nodes(after, RIGHT, scale)
    return Alluvial(
        before=first, after=second, bands=_bands(table, first, second, scale)
    )


def forest(
    title: str,
    unit: str,
    estimates: Sequence[tuple[str, dict[str, float | None]]],
    *,
    places: int,
    factor: float = 1.0,
) -> Forest | None:
    """Lay out a forest plot.

    Parameters
    ----------
    title, unit : str
        What is shown.
    estimates : sequence of (str, dict)
        Label, and value with limits as `summarize_cohort` gives them.
    places : int
        Digits after the point.
    factor : float
        What values are multiplied with to get the unit.

    Returns
    -------
    Forest or None
        None without estimates.
    """
    if not estimates:
        return None
    numbers = [
        factor * value
        for _, estimate in estimates
        for value in (estimate["value"], estimate["low"], estimate["high"])
        if value is not None
    ]
    reach = max([abs(number) for number in numbers] + [1e-6]) * 1.1
    step = _round_step(reach)

    def place(value: float | None) -> float | None:
        return None if value is None else 50.0 + 50.0 * factor * value / reach

    lines = tuple(
        ForestLine(
            label=label,
            text=_text(estimate, factor, places),
            joints=int(estimate["joints"] or 0),
            value=place(estimate["value"]) or 50.0,
            low=place(estimate["low"]),
            high=place(estimate["high"]),
        )
        for label, estimate in estimates
    )
    ticks = tuple(
        (50.0 + 50.0 * k * step / reach, f"{k * step:+g}" if k else "0")
        for k in (-1, 0, 1)
    )
    return Forest(title=title, unit=unit, lines=lines, zero=50.0, ticks=ticks)


def _nodes(counts: Sequence[int], x: float, scale: float) -> tuple[Node, ...]:
    """Stack the grades of one time point, the worst on top."""
    nodes, y = [], TOP
    for grade in reversed(range(len(counts))):
        if counts[grade]:
            height = counts[grade] * scale
            nodes.append(
                Node(grade=grade, joints=counts[grade], x=x, y=y, height=height)
            )
            y += height + GAP
    return tuple(nodes)


def _bands(
    table: Sequence[Sequence[int]],
    before: Sequence[Node],
    after: Sequence[Node],
    scale: float,
) -> tuple[Band, ...]:
    """Connect the nodes, in the same order on both sides."""
    bands = []
    starts = {node.grade: _starts(table[node.grade][::-1]) for node in before}
    ends = {
        node.grade: _starts([row[node.grade] for row in table][::-1]) for node in after
    }
    last = len(table) - 1
    for node in before:
        for other in after:
            joints = table[node.grade][other.grade]
            if joints:
                y0 = node.y + scale * starts[node.grade][last - other.grade]
                y1 = other.y + scale * ends[other.grade][last - node.grade]
                bands.append(
                    Band(
                        before=node.grade,
                        after=other.grade,
                        joints=joints,
                        path=_ribbon(y0, y1, joints * scale),
                    )
                )
    return tuple(bands)


def _starts(counts: Sequence[int]) -> list[int]:
    return [0, *accumulate(counts)]


def _ribbon(y0: float, y1: float, height: float) -> str:
    """Draw a band from the left nodes to the right ones."""
    x0, x1 = LEFT + NODE_WIDTH, RIGHT
    middle = (x0 + x1) / 2.0
    return (
        f"M{x0:.1f},{y0:.2f}"
        f"C{middle:.1f},{y0:.2f} {middle:.1f},{y1:.2f} {x1:.1f},{y1:.2f}"
        f"v{height:.2f}C{middle:.1f},{y1 + height:.2f} {middle:.1f},{y0 + height:.2f} "
        f"{x0:.1f},{y0 + height:.2f}z"
    )


def _round_step(reach: float) -> float:
    """Choose a round number for the ticks, below the reach."""
    power = 10.0
    step = 1e-6
    while step * power <= reach:
        step *= power
    return max(k * step for k in (1.0, 2.0, 5.0) if k * step <= reach)


def _text(estimate: dict[str, float | None], factor: float, places: int) -> str:
    """Write an estimate with its limits."""
    value, low, high = (
        None if number is None else round(factor * number, places) + 0.0
        for number in (estimate["value"], estimate["low"], estimate["high"])
    )
    if value is None:
        return "\N{EN DASH}"
    text = f"{value:+.{places}f}"
    if low is None or high is None:
        return text
    return f"{text} [{low:+.{places}f}, {high:+.{places}f}]"
