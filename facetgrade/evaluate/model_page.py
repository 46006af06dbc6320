"""The comparison of two models as one self-contained page."""

from __future__ import annotations

from typing import Any

from facetgrade.evaluate.model_pairs import SHOWN
from facetgrade.evaluate.page import UNDEFINED, Block, Table, render
from facetgrade.evaluate.summary import Section

TEXT = (
    "Both models graded the same joints. Brackets are patient-cluster bootstrap "
    "intervals; those of the difference resample both models together.",
    "A joint without a grade counts as wrong, and in kappa as the farthest grade.",
)
NAMES = {
    "exact": "exact agreement",
    "within_one": "within one grade",
    "kappa_quadratic_missing": "kappa, quadratic weights",
    "graded_share": "share graded",
}


def models_page(result: Section) -> str:
    """Return the page of a comparison.

    Parameters
    ----------
    result : dict
        What is in comparison.json.
    """
    new, current = _names(result)
    lead = f"{new} is {result['verdict']}: {'; '.join(result['reasons'])}"
    blocks = [Block("Held-out cases", TEXT, _tables(result["own"]))]
    if result["benchmark"] is not None:
        blocks.append(Block("Simulated benchmark", (), _tables(result["benchmark"])))
    made = [
        ("new", f"{new}, SHA-256 {result['new']['sha256']}"),
        ("current", f"{current}, SHA-256 {result['current']['sha256']}"),
        ("manifest SHA-256", str(result["manifest_sha256"])),
        ("held-out subjects", ", ".join(result["held_out"])),
        ("date", str(result["made"]["date"])),
        ("facetgrade", str(result["made"]["version"])),
    ]
    return render(f"{new} against {current}", lead, blocks, made)


def _names(result: Section) -> tuple[str, str]:
    """Tell the models apart, by the first digits of their hashes where names agree."""
    new, current = result["new"], result["current"]
    if new["name"] != current["name"]:
        return new["name"], current["name"]
    first, second = (f"{m['name']} ({m['sha256'][:8]})" for m in (new, current))
    return first, second


def _tables(section: Section) -> tuple[Table, ...]:
    """Make the tables of one set of cases."""
    header = ("", "new", "current", "difference")
    counts = (
        f"{section['joints']} joints of {section['patients']} patients, "
        f"{section['changed']} with another grade"
    )
    overall = tuple(
        (NAMES[name], *(_cell(section[column].get(name)) for column in header[1:]))
        for name in SHOWN
    )
    outlines = tuple(
        (f"Dice of {name}", *(_cell(values[column]) for column in header[1:]))
        for name, values in section["dice"].items()
        if values
    )
    parts = tuple(
        (
            f"{name} {value}",
            str(part["joints"]),
            _cell(part["difference"].get("exact")),
            _cell(part["difference"].get("kappa_quadratic_missing")),
        )
        for name, values in section["subgroups"].items()
        for value, part in values.items()
    )
    tables = [Table(header, (*overall, *outlines), counts)]
    if parts:
        columns = ("subgroup", "joints", "exact, difference", "kappa, difference")
        tables.append(Table(columns, parts))
    return tuple(tables)


def _cell(estimate: dict[str, Any] | None) -> str:
    """Write a value with its interval."""
    if not estimate or estimate["value"] is None:
        return UNDEFINED
    value = f"{estimate['value']:.3f}"
    if estimate["low"] is None:
        return value
    return f"{value} [{estimate['low']:.3f}, {estimate['high']:.3f}]"
