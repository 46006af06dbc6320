"""Plots of an evaluation as self-contained pictures for a page."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from facetgrade.evaluate.overlap import LimitsOfAgreement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#243b53"
BLUE = "#2b6cb0"
ORANGE = "#c05621"
FAINT = "#d9e2ec"
OUTLINE_COLORS = {"effusion": "#4dabf7", "edema": "#ff922b", "cyst": "#51cf66"}
OUTLINED = 0.5


@dataclass(frozen=True, slots=True)
class FactorRow:
    """One value of a factor in a forest plot.

    Attributes
    ----------
    factor, label : str
        Group and name of the row.
    rows : int
        Joints behind it.
    few : bool
        Whether its intervals come from too few patients to be relied on.
    estimates : sequence of (value, low, high)
        One for each panel; what is NaN is not drawn.
    """

    factor: str
    label: str
    rows: int
    few: bool
    estimates: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class FactorPanel:
    """One statistic of a forest plot.

    Attributes
    ----------
    statistic : str
        Label of the axis.
    overall : float
        Value over all joints, drawn as a line.
    limits : tuple of float or None
        Range of the axis.
    """

    statistic: str
    overall: float
    limits: tuple[float, float] | None


def confusion_figure(confusion: Sequence[Sequence[int]], *, columns: str) -> str:
    """Draw a confusion matrix, shaded by the share of each true grade.

    Parameters
    ----------
    confusion : (G, G) sequence of int
        Rows are the true grade.
    columns : str
        What the columns are, such as "predicted grade".

    Returns
    -------
    str
        Data URI of an SVG picture.
    """
    counts = np.asarray(confusion, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    figure, axes = _canvas(3.7, 3.5)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    for (row, column), count in np.ndenumerate(counts):
        shade = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=shade)
    axes.set_xticks(range(counts.shape[1]))
    axes.set_yticks(range(counts.shape[0]))
    axes.set_xlabel(columns)
    axes.set_ylabel("true grade")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return _data_uri(figure)


def reliability_figure(bins: Sequence[Sequence[float]]) -> str:
    """Draw stated confidence against how often it came true.

    Parameters
    ----------
    bins : sequence of (confidence, share_right, joints)
        From `calibration.reliability`.

    Returns
    -------
    str
        Data URI of an SVG picture.
    """
    stated, came_true, joints = np.asarray(bins, float).reshape(-1, 3).T
    error = 1.96 * np.sqrt(came_true * (1.0 - came_true) / np.maximum(joints, 1.0))
    figure, axes = _canvas(3.7, 3.5)
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle="--")
    axes.errorbar(
        stated, came_true, yerr=error, fmt="o", color=BLUE, markersize=5, elinewidth=1
    )
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("probability of the most probable grade")
    axes.set_ylabel("share that was true")
    return _data_uri(figure)


def bland_altman_figure(
    predicted: ArrayLike,
    truth: ArrayLike,
    limits: LimitsOfAgreement,
    *,
    quantity: str,
    unit: str,
) -> str:
    """Draw the ratio predicted / true against the geometric mean of both.

    Parameters
    ----------
    predicted, truth : (N,) float array
        Positive paired volumes.
    limits : LimitsOfAgreement
        Ratios from `overlap.ratio_limits`.
    quantity, unit : str
        What was measured, for the axes.

    Returns
    -------
    str
        Data URI of an SVG picture.
    """
    found, actual = np.asarray(predicted, float), np.asarray(truth, float)
    figure, axes = _canvas(4.6, 3.3)
    axes.scatter(
        np.sqrt(found * actual), found / actual, s=14, color=BLUE, alpha=0.55, lw=0
    )
    axes.axhline(1.0, color=INK, linewidth=0.8)
    for level, style in ((limits.bias, "-"), (limits.low, "--"), (limits.high, "--")):
        if np.isfinite(level):
            axes.axhline(level, color=ORANGE, linewidth=1.1, linestyle=style)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(f"{quantity}, geometric mean ({unit})")
    axes.set_ylabel("predicted / true")
    _plain_ratio_ticks(axes)
    return _data_uri(figure)


def error_figure(errors_mm: ArrayLike, *, marks_mm: Sequence[float]) -> str:
    """Draw the share of joints within each distance of the true center.

    Parameters
    ----------
    errors_mm : (N,) float array
        Distances; NaN (not located) never comes within any distance.
    marks_mm : sequence of float
        Distances to mark.

    Returns
    -------
    str
        Data URI of an SVG picture.
    """
    errors = np.asarray(errors_mm, float)
    ordered = np.sort(errors[np.isfinite(errors)])
    share = np.arange(1, ordered.size + 1) / max(errors.size, 1)
    figure, axes = _canvas(4.6, 3.3)
    axes.step(ordered, share, where="post", color=BLUE)
    for mark in marks_mm:
        axes.axvline(mark, color=ORANGE, linewidth=0.9, linestyle="--")
    axes.set_xlim(0, max(12.0, 2 * max(marks_mm)))
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("distance to the true center (mm)")
    axes.set_ylabel("share of joints")
    return _data_uri(figure)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Slice:
    """One picture of a joint with outlines.

    Attributes
    ----------
    title : str
        Plane and contrast.
    image : (R, C) float32 ndarray
        Square picture.
    window : tuple of float
        Black and white.
    found, true : mapping of str to (R, C) float32 ndarray
        ``effusion``, ``edema`` and ``cyst``, inside where >= 0.5.
    """

    title: str
    image: NDArray[np.float32]
    window: tuple[float, float]
    found: Mapping[str, NDArray[np.float32]]
    true: Mapping[str, NDArray[np.float32]]


def gallery_figure(slices: Sequence[Slice], size_mm: float) -> str:
    """Draw slices beside each other, found outlines solid and true ones dashed.

    Parameters
    ----------
    slices : sequence of Slice
        At least one.
    size_mm : float
        Side of each picture.

    Returns
    -------
    str
        Data URI of a JPEG picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.3 * len(slices), 3.5), layout="constrained")
    row = figure.subplots(1, len(slices), squeeze=False)[0]
    extent = (0.0, size_mm, size_mm, 0.0)
    for axes, one in zip(row, slices, strict=True):
        black, white = one.window
        axes.imshow(one.image, cmap="gray", vmin=black, vmax=white, extent=extent)
        rows_mm, columns_mm = (
            (np.arange(n) + 0.5) * size_mm / n for n in one.image.shape
        )
        for style, outlines in (("solid", one.found), ("dashed", one.true)):
            for name, inside in outlines.items():
                if inside.max(initial=0.0) >= OUTLINED:
                    axes.contour(
                        columns_mm,
                        rows_mm,
                        inside,
                        [OUTLINED],
                        colors=OUTLINE_COLORS[name],
                        linestyles=style,
                        linewidths=1.1,
                    )
        axes.set_title(one.title, fontsize=8, color=INK)
        axes.set_axis_off()
    stream = io.BytesIO()
    figure.savefig(stream, format="jpeg", dpi=100, pil_kwargs={"quality": 82})
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def factor_figure(rows: Sequence[FactorRow], panels: Sequence[FactorPanel]) -> str:
    """Draw statistics of each value of each factor, weakest visible at a glance.

    Parameters
    ----------
    rows : sequence of FactorRow
        Grouped by factor, from the top.
    panels : sequence of FactorPanel
        Side by side, at least one.

    Returns
    -------
    str
        Data URI of an SVG picture.
    """
    from matplotlib.figure import Figure

    size_in = (3.4 + 2.4 * len(panels), 0.9 + 0.21 * len(rows))
    figure = Figure(figsize=size_in, layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    starts = [i for i, r in enumerate(rows) if not i or rows[i - 1].factor != r.factor]
    for number, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
        _quiet(axes)
        _draw_panel(axes, panel, [(row.few, row.estimates[number]) for row in rows])
        for start in starts[1:]:
            axes.axhline(start - 0.5, color=FAINT, linewidth=0.9)
    labels = [
        f"{row.factor}: {row.label}  ({row.rows})"
        if index in starts
        else f"{row.label}  ({row.rows})"
        for index, row in enumerate(rows)
    ]
    all_axes[0].set_yticks(np.arange(len(rows)), labels)
    all_axes[0].set_ylim(len(rows) - 0.4, -0.6)
    return _data_uri(figure)


def _draw_panel(
    axes: Axes,
    panel: FactorPanel,
    estimates: Sequence[tuple[bool, tuple[float, float, float]]],
) -> None:
    """Draw one statistic of all rows; open circles where patients are few."""
    for place, (few, (value, low, high)) in enumerate(estimates):
        axes.plot([low, high], [place, place], color=BLUE, linewidth=1.6)
        face = "white" if few else BLUE
        axes.plot(value, place, "o", color=BLUE, markersize=4.5, markerfacecolor=face)
    axes.axvline(panel.overall, color=ORANGE, linewidth=1.1)
    if panel.limits is not None:
        axes.set_xlim(*panel.limits)
    axes.set_title(panel.statistic, fontsize="medium")
    axes.set_xlabel(panel.statistic)
    axes.tick_params(axis="x", top=True, labeltop=True)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """Return a figure with one quiet pair of axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    axes = figure.subplots()
    _quiet(axes)
    return figure, axes


def _quiet(axes: Axes) -> None:
    """Draw axes so that they do not compete with what is plotted."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[:].set_color("#829ab1")
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


def _plain_ratio_ticks(axes: Axes) -> None:
    """Write ratios as 0.5, 1, 2 instead of powers of ten."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = axes.get_ylim()
    ratios = [r for r in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if low <= r <= high]
    axes.yaxis.set_major_locator(FixedLocator(ratios))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _data_uri(figure: Figure) -> str:
    """Return the figure as a data URI that needs no other file."""
    from matplotlib import rc_context

    stream = io.BytesIO()
    with rc_context({"svg.hashsalt": "facetgrade"}):
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(stream.getvalue()).decode()
