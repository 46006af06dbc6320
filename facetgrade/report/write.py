"""Write the files of one study, and those of a whole run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from facetgrade.findings import StudyReport
from facetgrade.report.atomic import write_text
from facetgrade.report.context import ReportContext, RunRecord, StudyEntry
from facetgrade.report.html import render_report
from facetgrade.report.index import render_index
from facetgrade.report.nifti import write_masks
from facetgrade.report.probabilities import write_probabilities
from facetgrade.report.run_json import write_run_json
from facetgrade.report.settings import ReportSettings
from facetgrade.report.study_json import study_record, write_study_json
from facetgrade.report.tables import joint_rows, write_joints_csv
from facetgrade.study import Study

NO_FILES: Mapping[str, Sequence[str]] = MappingProxyType({})


def write_study(
    report: StudyReport,
    study: Study,
    folder: Path,
    *,
    context: ReportContext,
    settings: ReportSettings,
    more_files: Mapping[str, Sequence[str]] = NO_FILES,
) -> None:
    """Write masks, report.html and study.json of one study.

    study.json comes last: a folder that holds it is complete.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    study : Study
        What it was graded from.
    folder : Path
        Folder for this study alone; made if needed.
    context : ReportContext
        What made the report.
    settings : ReportSettings
        How pictures are made.
    more_files : mapping of str to sequence of str
        Files that already lie in the folder, for study.json.
    """
    masks = write_masks(folder, study, report.outcomes)
    masks |= write_probabilities(folder, report.outcomes)
    page = render_report(report, study, context=context, settings=settings)
    write_text(folder / "report.html", page)
    written = {**masks, **more_files}
    record = study_record(report, study, context=context, files_written=written)
    write_study_json(folder / "study.json", record)


def study_entry(
    report: StudyReport, study: Study, folder: Path, out: Path
) -> StudyEntry:
    """Describe a study that was just written, for `write_run`.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    study : Study
        What it was graded from.
    folder : Path
        Where `write_study` put it.
    out : Path
        Output folder that contains it.
    """
    return StudyEntry(
        folder=folder.relative_to(out).as_posix(),
        source=report.source,
        study_uid=report.study_uid,
        content_sha256=study.content_sha256,
        rows=tuple(joint_rows(report)),
        stage_seconds=dict(report.stage_seconds),
    )


def write_run(out: Path, run: RunRecord) -> None:
    """Write joints.csv, run.json and index.html of an output folder.

    Parameters
    ----------
    out : Path
        The output folder.
    run : RunRecord
        All finished studies of the folder, failures, and what made them.
    """
    rows = [row for entry in run.studies for row in entry.rows]
    write_joints_csv(out / "joints.csv", rows)
    write_text(out / "index.html", render_index(run))
    write_run_json(out / "run.json", run)
