"""Grade all studies of the inputs; a failure is noted and never stops the rest."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath

from facetgrade.batch.headers import RememberedHeaders
from facetgrade.batch.job import BatchJob, BatchSummary, Watcher
from facetgrade.batch.ledger import FailedStudy, Ledger, forget_if_unused
from facetgrade.batch.line import OneByOne
from facetgrade.batch.lock import lock_folder
from facetgrade.batch.masking import Masks, find_masks, hidden_problems
from facetgrade.batch.tables import write_tables
from facetgrade.batch.task import (
    Cause,
    Executor,
    Failed,
    GradeStudy,
    Result,
    StudyTask,
    content_key,
)
from facetgrade.errors import IngestError, one_line
from facetgrade.ingest import StudyFiles, scan_inputs
from facetgrade.ingest.scan import HeaderReader
from facetgrade.report import Failure, StudyEntry
from facetgrade.stopwatch import Stopwatch

STUDIES = "studies"
LONGEST_NAME = 80

log = logging.getLogger(__name__)


def grade_batch(
    job: BatchJob, grade: GradeStudy, watcher: Watcher, stopwatch: Stopwatch
) -> BatchSummary:
    """Find, grade and report every study of the inputs in this process.

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
    IngestError, ConfigError, OutputError
        As `run_batch`.
    """
    executor = OneByOne(job, grade, watcher.stage)
    return run_batch(job, lambda job: (job, executor), watcher, stopwatch)


def run_batch(
    job: BatchJob,
    start: Callable[[BatchJob], tuple[BatchJob, Executor]],
    watcher: Watcher,
    stopwatch: Stopwatch,
) -> BatchSummary:
    """Find every study of the inputs and have it graded and reported.

    Tables and run.json are written when the run ends, also by an interrupt.

    Parameters
    ----------
    job : BatchJob
        What to do.
    start : callable
        Waits until whoever grades is ready, called when the studies are found. Returns
        the job with the device and models of the graders, and the executor.
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
        If the output folder cannot be used, is used by another run or was made by
        other settings.
    """
    started_at = datetime.now().astimezone()
    with ExitStack() as held:
        ledger = held.enter_context(Ledger(job.out, job.shard))
        held.enter_context(lock_folder(job.out, job.shard))
        held.callback(forget_if_unused, job.out)
        headers = RememberedHeaders(ledger, job.privacy.key)
        with stopwatch.stage("search"):
            found, failures = _find(job, watcher, headers.read)
        job.anchors.check([files.source for files in found])
        masks = find_masks(found, job.masking, job.privacy, job.out)
        failures = [masks.failure(one, k) for k, one in enumerate(failures, start=1)]
        job, executor = start(job)
        for folder in ledger.claim(job.made_by, start_over=job.force):
            shutil.rmtree(job.out / folder, ignore_errors=True)
        ledger.take_over()
        tasks = _tasks(job, masks)
        watcher.found(len(tasks))
        run = _Run(job, watcher, ledger, BatchSummary(failures=list(failures)))
        try:
            _grade_all(run, tasks, executor)
            for failure in failures:
                watcher.failed(failure)
        finally:
            if executor.load_s:
                stopwatch.seconds["models"] = executor.load_s
            write_tables(job, ledger, run.summary, tasks, masks, started_at, stopwatch)
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


def _find(
    job: BatchJob, watcher: Watcher, read: HeaderReader
) -> tuple[list[StudyFiles], list[Failure]]:
    """Find studies, without the results of earlier runs, and what is missing."""
    results = (job.out / STUDIES).resolve()
    scan = scan_inputs(job.inputs, job.config.ingest, read)
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


def _tasks(job: BatchJob, masks: Masks) -> list[StudyTask]:
    """Describe the studies of this shard."""
    tasks = []
    for files in masks.files:
        source = masks.original(files)
        if job.shard.holds(source, files.study_uid):
            shown_uid = job.privacy.uid(files.study_uid)
            name = study_folder_name(files.source, shown_uid)
            task = StudyTask(
                folder=f"{STUDIES}/{name}",
                files=files,
                masks=masks.only(files),
                anchors=job.anchors.of(source),
            )
            tasks.append(task)
    return tasks


@dataclass(frozen=True, eq=False, slots=True)
class _Run:
    """The state of a run."""

    job: BatchJob
    watcher: Watcher
    ledger: Ledger
    summary: BatchSummary
    attempts: dict[str, int] = field(default_factory=dict)


def _grade_all(run: _Run, tasks: Sequence[StudyTask], executor: Executor) -> None:
    """Grade what is missing; try again what may go well another time."""
    by_folder = {task.folder: task for task in tasks}
    again: list[StudyTask] = []

    def done(result: Result) -> None:
        task = by_folder[result.folder]
        count = run.attempts[task.folder] = run.attempts.get(task.folder, 0) + 1
        if isinstance(result, Failed):
            if result.cause.may_pass and count < executor.attempts:
                log.info("tried again later: %s", one_line(result.failure.message))
                again.append(task)
            else:
                _note_failure(run, task, result, count)
            return
        run.ledger.record(result.entry, result.content_key, task.files_key())
        run.summary.entries.append(result.entry)
        run.watcher.finished(result.entry)

    executor.run(_missing(run, tasks), done, alone=False)
    pause_s = executor.retry_pause_s
    while again:
        time.sleep(pause_s)
        pause_s *= 2.0
        repeated, again[:] = list(again), []
        executor.run(repeated, done, alone=True)


def _missing(run: _Run, tasks: Sequence[StudyTask]) -> Iterator[StudyTask]:
    """Yield the studies that are not done; tell those that are, or are given up."""
    for task in tasks:
        entry = None if run.job.force else _done_before(run.ledger, task)
        if entry:
            run.summary.entries.append(entry)
            run.watcher.finished(entry)
            continue
        given_up = None if run.job.retries_all else run.ledger.failed(task.folder)
        if given_up and given_up.keeps_out(task.files_key()):
            run.summary.failures.append(given_up.failure)
            run.watcher.failed(given_up.failure)
            continue
        yield task


def _done_before(ledger: Ledger, task: StudyTask) -> StudyEntry | None:
    """Find a study done, by its files as they lie there, else by what they hold."""
    if not ledger.knows(task.folder):
        return None
    files_key = task.files_key()
    entry = ledger.find_unchanged(task.folder, files_key)
    if entry is None:
        entry = ledger.find(task.folder, content_key(task))
        if entry:
            ledger.note_files(task.folder, files_key)
    return entry


def _note_failure(run: _Run, task: StudyTask, result: Failed, count: int) -> None:
    """Give a study up."""
    failure = result.failure
    kept_out = result.cause.is_costly
    if kept_out:
        hint = f"{failure.message}; --retry-quarantined tries it again"
        failure = Failure(source=failure.source, message=hint, stage=failure.stage)
    run.ledger.record_failure(
        FailedStudy(
            folder=task.folder,
            failure=failure,
            cause=result.cause.value,
            attempts=count,
            files_key=task.files_key(),
            kept_out=kept_out,
        )
    )
    run.summary.bugs += result.cause is Cause.BUG
    run.summary.failures.append(failure)
    log.info("%s", one_line(f"{failure.source}: {failure.message}"))
    run.watcher.failed(failure)
