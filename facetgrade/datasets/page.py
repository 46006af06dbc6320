"""The findings as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from facetgrade.datasets.findings import ADVICE, Finding, FindingKind
from facetgrade.evaluate.page import Block, Picture, Table, render
from facetgrade.train.manifest import Manifest


def findings_page(
    manifest: Manifest, findings: Sequence[Finding], made: Mapping[str, Any]
) -> str:
    """Return the page: a table of all findings, then each kind with its pictures.

    Parameters
    ----------
    manifest : Manifest
        What was checked.
    findings : sequence of Finding
        What was found.
    made : mapping
        From `made_by`.
    """
    rows = len(manifest.rows)
    lead = f"{manifest.path.name}: {rows} rows, {len(findings)} findings"
    kinds = [kind for kind in FindingKind if any(f.kind is kind for f in findings)]
    blocks = [_overview(kinds, findings)]
    blocks += [_block(kind, [f for f in findings if f.kind is kind]) for kind in kinds]
    lines = [
        ("facetgrade", str(made["version"])),
        ("manifest SHA-256", manifest.sha256),
        ("date", str(made["date"])),
    ]
    return render("Check of annotated cases", lead, blocks, lines)


def _overview(kinds: Sequence[FindingKind], findings: Sequence[Finding]) -> Block:
    """Count the findings of each kind."""
    if not kinds:
        return Block("Findings", ("Nothing was found.",))
    counts = tuple(
        (kind.value, str(sum(f.kind is kind for f in findings))) for kind in kinds
    )
    return Block("Findings", (), (Table(("kind", "findings"), counts),))


def _block(kind: FindingKind, findings: Sequence[Finding]) -> Block:
    """Show the findings of one kind."""
    table = Table(
        ("rows", "what was seen"),
        tuple((", ".join(map(str, f.rows)), f.sentence) for f in findings),
    )
    pictures = tuple(Picture(f.picture, f.sentence) for f in findings if f.picture)
    return Block(kind.value, (ADVICE[kind],), (table,), pictures)
