"""index.html: all pairs of an output folder, the worst course first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import quote

from facetgrade.compare.changes import Change
from facetgrade.compare.job import CompareJob, CompareSummary, PairEntry
from facetgrade.compare.pages import CHANGES, environment
from facetgrade.report.atomic import clean
from facetgrade.report.context import Row

_ORDER = (
    Change.WORSE,
    Change.NOT_COMPARABLE,
    Change.WITHIN_ERROR,
    Change.UNCHANGED,
    Change.IMPROVED,
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class IndexLine:
    """One pair in the list."""

    entry: PairEntry
    link: str
    cells: dict[tuple[str, str], Row]


def render_index(summary: CompareSummary, job: CompareJob) -> str:
    """Write the page of one output folder.

    Parameters
    ----------
    summary : CompareSummary
        Pairs, and what was left over.
    job : CompareJob
        What was asked.

    Returns
    -------
    str
        HTML without scripts, links only into the output folder.
    """
    lines = [_line(entry) for entry in sorted(summary.entries, key=_worst_first)]
    counts = Counter(row["change"] for entry in summary.entries for row in entry.rows)
    page = environment().get_template("compare_index.html.j2")
    return clean(
        page.render(
            lines=lines,
            levels=sorted({level for line in lines for level, _ in line.cells}),
            unpaired=summary.unpaired,
            counts={change: counts[change.value] for change in Change},
            changes={change.value: CHANGES[change] for change in Change},
            words=CHANGES,
            context=job.context,
            pdf=job.pdf,
        )
    )


def _line(entry: PairEntry) -> IndexLine:
    return IndexLine(
        entry=entry,
        link=quote(clean(entry.page)),
        cells={(row["level"], row["side"]): row for row in entry.rows},
    )


def _worst_first(entry: PairEntry) -> tuple[int, tuple[int, ...], str]:
    """Order pairs: refused ones first, then by how many joints got worse."""
    counts = Counter(row["change"] for row in entry.rows)
    courses = tuple(-counts[change.value] for change in _ORDER)
    return int(entry.refusal is None), courses, entry.pair.name
