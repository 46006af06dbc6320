"""Grade studies one after the other; a failure is noted and never stops the rest."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from facetgrade.batch.anchors import Point
from facetgrade.batch.job import BatchJob, BatchSummary, GradeStudy, Watcher
from facetgrade.batch.ledger import Ledger, fingerprint
from facetgrade.batch.masking import Masks, find_masks, hidden_problems
from facetgrade.errors import FacetGradeError, IngestError, one_line
from facetgrade.findings import StudyReport
from facetgrade.ingest import StudyFiles, content_sha256, load_study, scan_inputs
from facetgrade.report import (
    Failure,
    RunInput,
    RunRecord,
    StudyEntry,
    study_entry,
    write_run,
    write_study,
)
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

STUDIES = "studies"
LONGEST_NAME = 80

log = logging.getLogger(__name__)


def grade_batch(
    job: BatchJob, grade: GradeStudy, watcher: Watcher, stopwatch: Stopwatch
) -> BatchSummary:
    """Find, grade and report every study of the inputs.

    Tables and run.json are written when the run ends, also by an interrupt.

    Parameters
    ----------
    job : BatchJob
        What to do.
    grade : callable
        Grades one loaded study.
    watcher : Watcher
        Shows progress.
    stopwatch : Stopwatch
        Seconds outside the studies, those before this call included.

    Raises
    ------
    IngestError
        If the inputs hold no study.
    ConfigError
        If anchors do not fit the studies.
    OutputError
        If the output folder cannot be used or was made by other settings.
    """
    started_at = datetime.now().astimezone()
    with stopwatch.stage("search"):
        found, failures = _find(job, watcher)
    job.anchors.check([files.source for files in found])
    masks = find_masks(found, job.masking, job.privacy, job.out)
    failures = [masks.failure(one, k) for k, one in enumerate(failures, start=1)]
    watcher.found(len(found))
    with Ledger(job.out) as ledger:
        for folder in ledger.claim(job.made_by, start_over=job.force):
            shutil.rmtree(job.out / folder, ignore_errors=True)
        summary = BatchSummary(failures=list(failures))
        run = _Run(job, grade, watcher, ledger, summary, masks)
        try:
            for files in masks.files:
                _grade_next(run, files)
            for failure in failures:
                watcher.failed(failure)
        finally:
            _write_tables(run, masks.files, started_at, stopwatch)
    return run.summary


def study_folder_name(source: str, shown_uid: str) -> str:
    """Name the folder of a study after its source, unique by its UID.

    Parameters
    ----------
    source : str
        As in tables.
    shown_uid : str
        StudyInstanceUID as it appears in outputs.

    Returns
    -------
    str
        Letters, digits, dot, dash and underscore only.
    """
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", source).strip("._-")
    identity = hashlib.sha256(f"{source}\0{shown_uid}".encode(errors="replace"))
    return f"{readable[-LONGEST_NAME:] or 'study'}-{identity.hexdigest()[:8]}"


@dataclass(frozen=True, eq=False, slots=True)
class _Run:
    """What every study of a run needs."""

    job: BatchJob
    grade: GradeStudy
    watcher: Watcher
    ledger: Ledger
    summary: BatchSummary
    masks: Masks

    def name(self, files: StudyFiles) -> str:
        """Name the folder of a study."""
        shown_uid = self.job.privacy.uid(files.study_uid)
        return study_folder_name(files.source, shown_uid)


def _find(job: BatchJob, watcher: Watcher) -> tuple[list[StudyFiles], list[Failure]]:
    """Find studies, without the results of earlier runs, and what is missing."""
    results = (job.out / STUDIES).resolve()
    scan = scan_inputs(job.inputs, job.config.ingest)
    problems = hidden_problems(scan.problems, job.masking)
    for problem in problems:
        log.info("not used: %s", one_line(problem))
    watcher.problems(problems)
    found = [
        files
        for files in scan.studies
        if not all(file.path.resolve().is_relative_to(results) for file in files.files)
    ]
    if not found:
        names = ", ".join(str(path) for path in job.inputs)
        why = "" if scan.problems else ": there are no image files"
        raise IngestError(f"no MR study was found in {names}{why}")
    unread = [
        Failure(source=place.source, message=place.sentence, stage="search")
        for place in scan.unread
    ]
    return found, [*_empty_inputs(job, found), *unread]


def _empty_inputs(job: BatchJob, found: Sequence[StudyFiles]) -> list[Failure]:
    """Name each input that holds no study while others do."""
    used = {file.location for files in found for file in files.files}
    places = {folder for file in used for folder in (file, *file.parents)}
    return [
        Failure(source=str(path), message="no MR study was found in it", stage="search")
        for path in job.inputs
        if PurePosixPath(os.path.normpath(Path.cwd() / path)) not in places
    ]


def _grade_next(run: _Run, files: StudyFiles) -> None:
    """Bring one study to its end, whatever happens."""
    watch = Stopwatch(run.watcher.stage)
    try:
        entry = _finish_study(run, files, watch)
    except FacetGradeError as error:
        message = run.masks.text(str(error), files)
    except MemoryError:
        message = "not enough memory"
    except OSError as error:
        message = f"a file failed: {error.strerror or type(error).__name__}"
    except Exception as error:
        run.summary.bugs += 1
        message = _bug(error)
    else:
        run.summary.entries.append(entry)
        run.watcher.finished(entry)
        return
    run.ledger.forget(f"{STUDIES}/{run.name(files)}")
    failure = Failure(source=files.source, message=message, stage=watch.current)
    log.info("%s", one_line(f"{failure.source}: {failure.message}"))
    run.summary.failures.append(failure)
    run.watcher.failed(failure)


def _bug(error: Exception) -> str:
    """Log where a bug struck; its message may quote a header and stays out."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("bug: %s\n%s", type(error).__name__, frames)
    return f"bug in facetgrade ({type(error).__name__}); facetgrade.log says where"


def _finish_study(run: _Run, files: StudyFiles, watch: Stopwatch) -> StudyEntry:
    """Grade and write one study, or find it done."""
    job, out = run.job, run.job.out
    folder = f"{STUDIES}/{run.name(files)}"
    anchors = job.anchors.of(run.masks.original(files))
    dated = run.masks.key(files)
    with watch.stage("read"):
        if run.ledger.knows(folder) and not job.force:
            key = _content_key(content_sha256(files), anchors, dated)
            done = run.ledger.find(folder, key)
            if done:
                return done
        study = load_study(files, job.config.ingest, job.privacy)
        study = run.masks.study(study, files)
    report = run.grade(study, replace(job.request, anchors=anchors), watch)
    with watch.stage("report"):
        partial = out / f"{folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        study, objects = _write_dicom(job, report, study, files, partial)
        write_study(
            report,
            study,
            partial,
            context=job.context,
            settings=job.config.report,
            more_files=objects,
        )
        _replace_folder(partial, out / folder)
    report = replace(report, stage_seconds=dict(watch.seconds))
    entry = study_entry(report, study, out / folder, out)
    run.ledger.record(entry, _content_key(study.content_sha256, anchors, dated))
    log.info("%s: %s", study.uid, _seconds(watch))
    return entry


def _write_dicom(
    job: BatchJob, report: StudyReport, study: Study, files: StudyFiles, folder: Path
) -> tuple[Study, dict[str, Sequence[str]]]:
    """Write SEG and SR if asked for; note faults that they inherit from the source."""
    if job.dicom is None:
        return study, {}
    from facetgrade.exchange.write import write_dicom

    made = write_dicom(
        report, study, files, folder, context=job.context, settings=job.dicom
    )
    return replace(study, notes=(*study.notes, *made.notes)), {"dicom": made.names}


def _content_key(
    content: str, anchors: Mapping[str, Point], shown: Mapping[str, str]
) -> str:
    """Hash what the result depends on beside the settings of the run."""
    return fingerprint({"content": content, "anchors": anchors, **shown})


def _replace_folder(partial: Path, folder: Path) -> None:
    """Put a complete folder in place of an older one."""
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)


def _seconds(watch: Stopwatch) -> str:
    return ", ".join(f"{name} {s:.2f} s" for name, s in watch.seconds.items())


def _hashed_inputs(run: _Run, found: Sequence[StudyFiles]) -> tuple[RunInput, ...]:
    """Hash each input by its studies; one that was not read to its end has no hash."""
    hashes = {e.folder: e.content_sha256 for e in run.summary.entries}
    failed = {failure.source for failure in run.summary.failures}
    inputs = []
    for number, path in enumerate(run.job.inputs, start=1):
        place = path.resolve()
        contents = [
            content_sha256(files)
            if not (known := hashes.get(f"{STUDIES}/{run.name(files)}", ""))
            and files.source in failed
            else known
            for files in found
            if any(file.path.resolve().is_relative_to(place) for file in files.files)
        ]
        whole = fingerprint({"studies": sorted(contents)}) if all(contents) else ""
        name = run.masks.input_name(path, number)
        inputs.append(RunInput(path=name, sha256=whole if contents else ""))
    return tuple(inputs)


def _write_tables(
    run: _Run, found: Sequence[StudyFiles], started_at: datetime, stopwatch: Stopwatch
) -> None:
    """Write joints.csv, run.json and index.html for all that the folder holds."""
    now = {entry.folder for entry in run.summary.entries if not entry.skipped}
    studies = (replace(e, skipped=e.folder not in now) for e in run.ledger.entries())
    record = RunRecord(
        started_at=started_at.isoformat(timespec="seconds"),
        finished_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        inputs=_hashed_inputs(run, found),
        studies=tuple(studies),
        failures=tuple(run.summary.failures),
        stage_seconds=dict(stopwatch.seconds),
        context=run.job.context,
    )
    write_run(run.job.out, record)
