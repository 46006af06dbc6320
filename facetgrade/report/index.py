"""index.html: all studies of an output folder, worst first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from facetgrade.report.atomic import clean
from facetgrade.report.context import Row, RunRecord, StudyEntry
from facetgrade.report.html import environment
from facetgrade.report.words import RESEARCH_USE


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

    Studies are sorted by their highest grade, then by the sum of grades, then by the
    number of joints without one; failures are listed first.

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
    page = environment().get_template("index.html.j2")
    return clean(
        page.render(
            run=run,
            lines=lines,
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
    folder = "" if entry.folder == "." else f"{entry.folder}/"
    return IndexLine(
        entry=entry,
        link=quote(clean(f"{folder}report.html")),
        subject=first.get("subject", ""),
        study_date=first.get("study_date", ""),
        cells={(row["level"], row["side"]): row for row in entry.rows},
        flags=tuple(flags),
    )


def _worst_first(entry: StudyEntry) -> tuple[int, int, int, str]:
    """Order studies by their highest grade, then by all of them."""
    grades = [int(row["grade"]) for row in entry.rows if row["grade"]]
    ungraded = len(entry.rows) - len(grades)
    return -max(grades, default=-1), -sum(grades), -ungraded, entry.source
