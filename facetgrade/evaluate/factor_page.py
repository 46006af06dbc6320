"""The part of the benchmark's page that tells results by factor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from facetgrade.evaluate.by_factor import LEAST_CALIBRATED
from facetgrade.evaluate.figures import FactorPanel, FactorRow, factor_figure
from facetgrade.evaluate.page import UNDEFINED, Block, Picture, Table, estimate_text
from facetgrade.evaluate.results import figures_of
from facetgrade.evaluate.summary import Section

SHARE = (-0.02, 1.02)
LEAST_PATIENTS = 5
MOST_WEAK = 3
INDENT = "\N{EM SPACE}"


@dataclass(frozen=True, slots=True)
class _Figure:
    """How a figure is called and drawn, and which end of it is weak."""

    name: str
    short: str
    limits: tuple[float, float] | None = SHARE
    weak: Literal["low", "high"] = "low"


@dataclass(frozen=True, eq=False, slots=True)
class _Value:
    """One value of a factor with its estimates."""

    factor: str
    label: str
    estimates: Mapping[str, Section]

    @property
    def joints(self) -> int:
        """All joints of the value."""
        return int(self.estimates["right"]["rows"])

    @property
    def patients(self) -> int:
        """All patients of the value."""
        return int(self.estimates["right"]["patients"])


FIGURES = {
    "exact": _Figure("exact grade", "exact"),
    "kappa_quadratic": _Figure("kappa, quadratic weights", "kappa"),
    "mean_direction_right": _Figure("direction of change right", "change"),
    "effusion_dice": _Figure("effusion, mean Dice", "effusion"),
    "edema_dice": _Figure("edema, mean Dice", "edema"),
    "median_mm": _Figure("center error, median (mm)", "mm off", None, "high"),
    "right": _Figure("level and side right", "level"),
    "coverage": _Figure("grade sets that hold the truth", "sets"),
    "ece_corrected": _Figure("calibration error", "calibration", None, "high"),
}
PICTURES = (
    ("exact", "kappa_quadratic", "mean_direction_right"),
    ("effusion_dice", "edema_dice", "median_mm"),
    ("right", "coverage", "ece_corrected"),
)
FACTOR_TEXT = (
    "Each study differs from training in several factors at once: a row compares all "
    "joints with that value, whatever their other factors.",
    "Dice is over gradable joints in which the lesion is truly present, and 0 where it "
    "was not outlined. Direction of change is "
    "that of the mean grade by the probabilities, over truly changed pairs of which "
    "both visits have the value. The calibration error is corrected for chance and "
    f"left out below {LEAST_CALIBRATED} joints.",
)
NUMBERS_CAPTION = (
    "change: direction right; effusion and edema: mean Dice; mm off: center error, "
    "median; level: and side right; sets: that hold the truth"
)


def factor_blocks(result: Section) -> list[Block]:
    """Return the weakest values, plots with intervals, and the numbers of all values.

    Parameters
    ----------
    result : dict
        From `results.benchmark_result`.
    """
    values = list(_values(result["factors"]))
    if not values:
        return []
    overall = figures_of(result)
    weakest = (
        f"Below each figure of all joints the {MOST_WEAK} values of factors under "
        f"which it is weakest, of those that at least {LEAST_PATIENTS} patients have. "
        "Of values that the same joints have, one is named. A true grade of none is "
        "that of joints out of view or beside metal.",
    )
    pictures = tuple(_picture(names, values, overall) for names in PICTURES)
    return [
        Block("Weakest by factor", weakest, (_weakest_table(values, overall),)),
        Block("By factor", FACTOR_TEXT, (), pictures),
        Block("By factor, in numbers", (), (_number_table(values),)),
    ]


def _values(factors: Mapping[str, Mapping[str, Section]]) -> Iterator[_Value]:
    """Go through all values of all factors."""
    for factor, values in factors.items():
        for label, estimates in values.items():
            yield _Value(factor, label, estimates)


def _weakest_table(values: Sequence[_Value], overall: Section) -> Table:
    """Lay out each figure over all joints, and its weakest values below it."""
    rows: list[tuple[str, ...]] = []
    for name, figure in FIGURES.items():
        whole = overall.get(name)
        if whole is None or whole["value"] is None:
            continue
        rows.append(_weakest_cells(figure.name, whole))
        rows += [
            _weakest_cells(f"{INDENT}{one.factor}: {one.label}", one.estimates[name])
            for one in _weakest(values, name, whole["value"])
        ]
    return Table(("", "", "joints or pairs", "patients"), tuple(rows))


def _weakest_cells(label: str, estimate: Section) -> tuple[str, ...]:
    """Return the cells of one estimate with what it is over."""
    counts = str(estimate["rows"]), str(estimate["patients"])
    return (label, estimate_text(estimate), *counts)


def _weakest(values: Sequence[_Value], name: str, overall: float) -> list[_Value]:
    """Return values weaker than all joints, weakest first, each set of joints once."""
    sign = 1.0 if FIGURES[name].weak == "low" else -1.0
    different: dict[tuple[object, ...], _Value] = {}
    for value in values:
        estimate = _parts(value, name)
        if estimate["value"] is None or sign * (estimate["value"] - overall) >= 0.0:
            continue
        if estimate["patients"] >= LEAST_PATIENTS:
            different.setdefault(tuple(estimate.values()), value)
    ordered = sorted(
        different.values(), key=lambda one: sign * one.estimates[name]["value"]
    )
    return ordered[:MOST_WEAK]


def _number_table(values: Sequence[_Value]) -> Table:
    """Lay out all figures of all values; intervals are in the plots."""
    rows = tuple(
        (
            _row_name(values, number),
            str(value.joints),
            *(_short_text(_parts(value, name)["value"]) for name in FIGURES),
        )
        for number, value in enumerate(values)
    )
    short = (figure.short for figure in FIGURES.values())
    return Table(("", "joints", *short), rows, NUMBERS_CAPTION)


def _short_text(value: float | None) -> str:
    """Write a number as exactly as few joints tell it."""
    return UNDEFINED if value is None else f"{value:.2f}"


def _row_name(values: Sequence[_Value], number: int) -> str:
    """Name a row by its value, the first one of a factor by both."""
    value = values[number]
    first = not number or values[number - 1].factor != value.factor
    return f"{value.factor}: {value.label}" if first else f"{INDENT}{value.label}"


def _picture(
    names: Sequence[str], values: Sequence[_Value], overall: Section
) -> Picture:
    """Draw some figures of all values side by side."""
    rows = [
        FactorRow(
            factor=value.factor,
            label=value.label,
            rows=value.joints,
            few=value.patients < LEAST_PATIENTS,
            estimates=[_numbers(_parts(value, name)) for name in names],
        )
        for value in values
    ]
    panels = [
        FactorPanel(
            statistic=FIGURES[name].name,
            overall=_numbers(overall.get(name) or {})[0],
            limits=FIGURES[name].limits,
        )
        for name in names
    ]
    title = "; ".join(FIGURES[name].name for name in names)
    return Picture(
        factor_figure(rows, panels),
        f"{title}: joints in parentheses, all joints in orange, open circles with "
        f"fewer than {LEAST_PATIENTS} patients",
    )


def _parts(value: _Value, name: str) -> Section:
    """Return an estimate, without any value where no joint has it."""
    return value.estimates.get(name, {"value": None})


def _numbers(estimate: Section) -> tuple[float, float, float]:
    """Return value and limits, NaN for what is undefined."""
    parts = (estimate.get(part) for part in ("value", "low", "high"))
    value, low, high = (math.nan if part is None else float(part) for part in parts)
    return value, low, high
