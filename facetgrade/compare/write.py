"""Write the pages and tables of a comparison."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from facetgrade.compare.case_page import render_comparison
from facetgrade.compare.cohort import Section
from facetgrade.compare.cohort_page import render_cohort
from facetgrade.compare.comparison import Comparison
from facetgrade.compare.graded import GradedStudy
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.index_page import render_index
from facetgrade.compare.job import CompareJob, CompareSummary, FoundPair, PairEntry
from facetgrade.compare.tables import write_changes_csv
from facetgrade.report.atomic import write_bytes, write_json, write_text
from facetgrade.report.words import RESEARCH_USE

PAIRS = "pairs"
SCHEMA_VERSION = "1"
LONGEST_NAME = 60


def write_case(
    job: CompareJob,
    found: FoundPair,
    comparison: Comparison,
    points: tuple[TimePoint | None, TimePoint | None],
) -> str:
    """Write the page of one pair, as PDF too if asked.

    Returns
    -------
    str
        The page relative to the output folder, with forward slashes.
    """
    folder = Path(PAIRS) / pair_folder_name(found.pair.name)
    page = folder / "comparison.html"
    first, second = (
        _report_link(one, job.out / folder) for one in (found.baseline, found.followup)
    )
    text = render_comparison(
        found.pair,
        comparison,
        points,
        links=(first, second),
        context=job.context,
        settings=job.settings.pictures,
    )
    _write_page(job, page, text)
    return page.as_posix()


def write_run(job: CompareJob, summary: CompareSummary, cohort: Section) -> None:
    """Write changes.csv, index.html, cohort.html, cohort.json and compare.json.

    Parameters
    ----------
    job : CompareJob
        What was asked.
    summary : CompareSummary
        What became of it.
    cohort : dict
        From `summarize_cohort`.
    """
    rows = [row for entry in summary.entries for row in entry.rows]
    write_changes_csv(job.out / "changes.csv", rows)
    _write_page(job, Path("cohort.html"), render_cohort(cohort, job))
    write_json(job.out / "cohort.json", cohort)
    write_json(job.out / "compare.json", _record(job, summary))
    _write_page(job, Path("index.html"), render_index(summary, job))


def pair_folder_name(name: str) -> str:
    """Name the folder of a pair: letters, digits, dot, dash and underscore only."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[-LONGEST_NAME:]
    if readable == name:
        return readable
    identity = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:8]
    return f"{readable or 'pair'}-{identity}"


def _write_page(job: CompareJob, page: Path, text: str) -> None:
    write_text(job.out / page, text)
    if job.pdf:
        from facetgrade.compare.pdf import page_pdf

        write_bytes(job.out / page.with_suffix(".pdf"), page_pdf(text))


def _report_link(graded: GradedStudy | None, folder: Path) -> str:
    """Lead from a page to the report of one time point."""
    if graded is None:
        return ""
    report = graded.folder.resolve() / "report.html"
    return Path(os.path.relpath(report, folder.resolve())).as_posix()


def _registrations(entry: PairEntry) -> list[dict[str, object]]:
    """Describe how each joint at baseline lies upon itself at follow-up."""
    return [
        {
            "level": joint.level.value,
            "side": joint.side.value,
            "followup_from_baseline": found.motion.matrix.tolist(),
            "contrast": found.contrast.value,
            "planes": [plane.value for plane in found.planes],
            "similarity": found.similarity,
            "error_mm": found.error_mm,
            "problem": found.problem,
        }
        for joint, found in entry.registrations.items()
    ]


def _record(job: CompareJob, summary: CompareSummary) -> dict[str, object]:
    """Describe the run: what was compared, by which settings, what was left over."""
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE,
        "facetgrade_version": job.context.version,
        "model_sha256": dict(job.context.model_sha256),
        "config_sha256": job.context.config_sha256,
        "config": dict(job.context.config),
        "pairs": [
            {
                "pair": entry.pair.name,
                "subject": entry.pair.subject,
                "baseline_source": entry.pair.baseline.source,
                "followup_source": entry.pair.followup.source,
                "page": entry.page,
                "refused": entry.refusal.reason if entry.refusal else None,
                "explanation": entry.refusal.explanation if entry.refusal else None,
                "registrations": _registrations(entry),
            }
            for entry in summary.entries
        ],
        "unpaired": [
            {
                "sources": list(one.sources),
                "reason": one.obstacle.reason,
                "explanation": one.obstacle.explanation,
            }
            for one in summary.unpaired
        ],
    }
