"""index.html: all studies of an output folder, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from facetgrade.report.atomic import clean
from facetgrade.report.cohort import summarize_cohort
from facetgrade.report.context import Row, RunRecord, StudyEntry
from facetgrade.report.html import environment
from facetgrade.report.words import RESEARCH_USE

MOST_LISTED = 1000


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class IndexLine:
    """One study in the list.

    Attributes
    ----------
    entry : StudyEntry
        The study.
    link : str
        Its report.html relative to the index, quoted for a URL.
    subject, study_date : str
        As in the table.
    cells : mapping of (level, side) to dict
        Its rows of joints.csv.
    flags : tuple of str
        All flags of its joints, each once.
    """

    entry: StudyEntry
    link: str
    subject: str
    study_date: str
    cells: Mapping[tuple[str, str], Row]
    flags: tuple[str, ...]


def render_index(run: RunRecord) -> str:
    """Write the page of one output folder.

    Failures come first, then what several studies show as a whole, then the studies by
    their highest grade, the sum of grades and the number of joints without one. Long
    lists are cut at `MOST_LISTED`, so that a browser can still show them.

    Parameters
    ----------
    run : RunRecord
        Studies and failures.

    Returns
    -------
    str
        HTML without scripts; every text from the data is escaped.
    """
    lines = [_line(entry) for entry in sorted(run.studies, key=_worst_first)]
    levels = sorted({level for line in lines for level, _ in line.cells})
    rows = [row for entry in run.studies for row in entry.rows]
    pages = environment()
    pages.filters["link"] = _link
    page = pages.get_template("index.html.j2")
    return clean(
        page.render(
            run=run,
            lines=lines,
            cohort=summarize_cohort(run.studies),
            most_listed=MOST_LISTED,
            levels=levels,
            counts=[sum(row["grade"] == str(g) for row in rows) for g in range(5)],
            ungradable=sum(row["status"] == "ungradable" for row in rows),
            research_use=RESEARCH_USE,
        )
    )


def _line(entry: StudyEntry) -> IndexLine:
    """Collect what the list shows of one study."""
    first = entry.rows[0] if entry.rows else {}
    flags = dict.fromkeys(
        flag for row in entry.rows for flag in row["flags"].split(";") if flag
    )
    return IndexLine(
        entry=entry,
        link=_link(entry),
        subject=first.get("subject", ""),
        study_date=first.get("study_date", ""),
        cells={(row["level"], row["side"]): row for row in entry.rows},
        flags=tuple(flags),
    )


def _link(entry: StudyEntry) -> str:
    """Return the report of a study relative to the index, quoted for a URL."""
    folder = "" if entry.folder == "." else f"{entry.folder}/"
    return quote(clean(f"{folder}report.html"))


def _worst_first(entry: StudyEntry) -> tuple[int, int, int, str]:
    """Order studies by their highest grade, then by all of them."""
    grades = [int(row["grade"]) for row in entry.rows if row["grade"]]
    ungraded = len(entry.rows) - len(grades)
    return -max(grades, default=-1), -sum(grades), -ungraded, entry.source
