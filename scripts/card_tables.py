"""Print what the model cards say of a benchmark by subgroup, as Markdown.

    python scripts/card_tables.py [JOINTS_JSON] [--resamples 2000]

The first table, of places in mm, is for the card of the localizer; the second, of
grades, prediction sets and Dice of gradable joints, for that of the segmenter.
JOINTS_JSON comes from scripts/benchmark.sh.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from facetgrade.config import read_settings, shipped_path
from facetgrade.evaluate.by_factor import factor_section
from facetgrade.evaluate.results import localization_section
from facetgrade.evaluate.rows import ComparedJoint, row_from_json
from facetgrade.evaluate.settings import EvaluateSettings
from facetgrade.evaluate.summary import Bootstrap

FACTORS = (
    "all",
    "anatomy",
    "group",
    "lumbar vertebrae",
    "transitional vertebra",
    "scoliosis",
    "operated",
    "series",
    "field",
    "signal to noise",
    "failed fat suppression",
    "motion",
    "header habit",
)
NAMED_BY_VALUE = ("all", "anatomy", "group")
OUTLINES = ("effusion", "edema")
PLACES = ("", "joints (patients)", "right", "right or flagged", "median", "p95")
GRADES = ("", "exact", "within one", "kappa", "sets", *OUTLINES)
ONCE = Bootstrap(resamples=1, seed=0, coverage=0.95)  # where no interval is printed


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    shipped = Path("models/benchmark/joints.json")
    parser.add_argument("joints", type=Path, nargs="?", default=shipped)
    parser.add_argument("--resamples", type=int, default=2000)
    options = parser.parse_args()
    texts = json.loads(options.joints.read_text("utf-8"))
    rows = [_with_anatomy(row_from_json(text)) for text in texts]
    settings = read_settings(shipped_path("configs/evaluate.toml"), EvaluateSettings)
    bootstrap = replace(settings.intervals.bootstrap, resamples=options.resamples)
    section = factor_section(rows, bootstrap, settings.definitions, wanted={"all"})
    places, grades = [PLACES], [GRADES]
    for factor in FACTORS:
        for value, figures in section.get(factor, {}).items():
            kept = [row for row in rows if row.factors[factor] == value]
            name = value if factor in NAMED_BY_VALUE else f"{factor}: {value}"
            places.append((name, *place_cells(kept, figures)))
            grades.append((name, *grade_cells(figures)))
    for table in (places, grades):
        table.insert(1, ("---",) * len(table[0]))
        print("\n".join(f"| {' | '.join(cells)} |" for cells in table), end="\n\n")


def place_cells(rows: Sequence[ComparedJoint], figures: Any) -> tuple[str, ...]:
    """Describe where the joints of one subgroup were found."""
    found = localization_section(rows, ONCE)
    return (
        f"{len(rows)} ({len({row.patient for row in rows})})",
        written(figures["right"], ".0%"),
        written(figures["right_or_flagged"], ".0%"),
        written(found["median_mm"], ".1f"),
        written(found["p95_mm"], ".1f"),
    )


def grade_cells(figures: Any) -> tuple[str, ...]:
    """Describe grades and outlines of one subgroup."""
    exact = figures["exact"]
    ends = (written({"value": exact[end]}, ".0%") for end in ("low", "high"))
    limits = ", ".join(end.removesuffix(" %") for end in ends)
    return (
        f"{written(exact, '.0%')} [{limits}]",
        written(figures["within_one"], ".0%"),
        written(figures["kappa_quadratic"], ".2f"),
        written(figures.get("coverage"), ".0%"),
        *(written(figures.get(f"{one}_dice"), ".2f") for one in OUTLINES),
    )


def written(estimate: Any, form: str) -> str:
    """Write the value of an estimate, a dash where there is none."""
    if not estimate or estimate["value"] is None:
        return "\N{EN DASH}"
    return format(estimate["value"], form).replace("%", " %")


def _with_anatomy(row: ComparedJoint) -> ComparedJoint:
    """Add what tells held-out anatomy from that of the own generator."""
    is_mesh = row.factors["group"].startswith("Visible Human")
    kind = "Visible Human, all groups" if is_mesh else "parametric, all groups"
    return replace(row, factors={"all": "all", "anatomy": kind, **row.factors})


if __name__ == "__main__":
    main()
