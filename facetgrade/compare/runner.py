"""Compare many pairs into one folder; a failure is noted and never stops the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable

from facetgrade.compare.changes import Obstacle
from facetgrade.compare.cohort import cohort_joints, summarize_cohort
from facetgrade.compare.comparison import Comparison, compare_time_points, refuse
from facetgrade.compare.identity import TimePoint
from facetgrade.compare.job import CompareJob, CompareSummary, FoundPair, PairEntry
from facetgrade.compare.tables import change_rows
from facetgrade.compare.write import write_case, write_run
from facetgrade.errors import FacetGradeError
from facetgrade.report.read_study import read_study_report

log = logging.getLogger(__name__)

UNREADABLE = "unreadable"


def compare_pairs(
    job: CompareJob, finished: Callable[[PairEntry], None]
) -> CompareSummary:
    """Compare all pairs, then write tables, index and cohort.

    Parameters
    ----------
    job : CompareJob
        What to do.
    finished : callable
        Told of each pair that is done.

    Raises
    ------
    OSError
        If the output folder cannot be written.
    """
    summary = CompareSummary(unpaired=job.unpaired)
    for found in job.pairs:
        comparison, points = _compare(found, job)
        entry = PairEntry(
            pair=found.pair,
            page=write_case(job, found, comparison, points),
            rows=tuple(change_rows(found.pair, comparison.joints)),
            refusal=comparison.refusal,
            registrations={
                one.joint: one.registration
                for one in comparison.joints
                if one.registration is not None
            },
        )
        summary.entries.append(entry)
        summary.cohort += cohort_joints(found.pair, comparison.joints)
        finished(entry)
    cohort = summarize_cohort(summary.cohort, job.settings.statistics)
    write_run(job, summary, cohort)
    return summary


def _compare(
    found: FoundPair, job: CompareJob
) -> tuple[Comparison, tuple[TimePoint | None, TimePoint | None]]:
    """Compare one pair, or say why not."""
    nothing = (None, None)
    if found.baseline is None or found.followup is None:
        problem = found.problem or Obstacle(UNREADABLE, "It could not be graded.")
        return refuse(job.joints, problem, None, None), nothing
    try:
        reports = [
            read_study_report(one.folder) for one in (found.baseline, found.followup)
        ]
        points = [
            TimePoint(study=job.images.load(one), report=report)
            for one, report in zip(
                (found.baseline, found.followup), reports, strict=True
            )
        ]
    except FacetGradeError as error:
        log.info("pair %s: %s", found.pair.name, error)
        problem = Obstacle(UNREADABLE, f"{error}.")
        return refuse(job.joints, problem, None, None), nothing
    comparison = compare_time_points(points[0], points[1], job.settings)
    return comparison, (points[0], points[1])
