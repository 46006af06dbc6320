"""What is written for a whole output folder when a run ends."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from facetgrade.batch.job import BatchJob, BatchSummary
from facetgrade.batch.ledger import FailedStudy, Ledger, fingerprint
from facetgrade.batch.lock import lock_tables
from facetgrade.batch.masking import Masks
from facetgrade.batch.task import StudyTask
from facetgrade.errors import OutputError
from facetgrade.ingest import content_sha256
from facetgrade.report import Failure, RunInput, RunRecord, write_run
from facetgrade.report.atomic import write_bytes
from facetgrade.report.tables import harmless_path, harmless_text
from facetgrade.stopwatch import Stopwatch

QUARANTINE = "quarantine.csv"
PARQUET = "joints.parquet"
QUARANTINE_COLUMNS = ("source", "stage", "cause", "attempts", "kept_out", "reason")

log = logging.getLogger(__name__)


def write_tables(
    job: BatchJob,
    ledger: Ledger,
    summary: BatchSummary,
    tasks: Sequence[StudyTask],
    masks: Masks,
    started_at: datetime,
    stopwatch: Stopwatch,
) -> None:
    """Write the tables, run.json and index.html for all that a folder holds.

    Raises
    ------
    OutputError
        If they cannot be written; the studies and the ledger stay.
    """
    try:
        with lock_tables(job.out):
            _write(job, ledger, summary, tasks, masks, started_at, stopwatch)
    except OSError as error:
        raise OutputError(
            f"{job.out}: tables cannot be written ({error.strerror}); the studies done "
            "are kept, run the command again once there is room"
        ) from error


def write_quarantine(path: Path, failures: Sequence[FailedStudy]) -> None:
    """Write what is not finished, and why, as CSV that a spreadsheet may open."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(QUARANTINE_COLUMNS)
    for failed in failures:
        failure = failed.failure
        writer.writerow(
            (
                harmless_path(failure.source),
                harmless_text(failure.stage),
                failed.cause,
                failed.attempts,
                int(failed.kept_out),
                harmless_text(failure.message),
            )
        )
    write_bytes(path, text.getvalue().encode())


def _write(
    job: BatchJob,
    ledger: Ledger,
    summary: BatchSummary,
    tasks: Sequence[StudyTask],
    masks: Masks,
    started_at: datetime,
    stopwatch: Stopwatch,
) -> None:
    """Write all of it."""
    from facetgrade.exchange.tables import parquet_bytes, read_joints_csv

    now = {entry.folder for entry in summary.entries if not entry.skipped}
    studies = (replace(e, skipped=e.folder not in now) for e in ledger.entries())
    unfinished = ledger.failures()
    record = RunRecord(
        started_at=started_at.isoformat(timespec="seconds"),
        finished_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        inputs=_hashed_inputs(job, summary, tasks, masks),
        studies=tuple(studies),
        failures=_failures(summary, unfinished),
        stage_seconds=dict(stopwatch.seconds),
        context=job.context,
    )
    write_run(job.out, record)
    rows = read_joints_csv(job.out / "joints.csv")
    write_bytes(job.out / PARQUET, parquet_bytes(rows))
    write_quarantine(job.out / QUARANTINE, unfinished)


def _failures(
    summary: BatchSummary, unfinished: Sequence[FailedStudy]
) -> tuple[Failure, ...]:
    """Join the failures of this run and those that other shards left."""
    known = {failure.source for failure in summary.failures}
    others = [one.failure for one in unfinished if one.failure.source not in known]
    return (*summary.failures, *others)


def _hashed_inputs(
    job: BatchJob, summary: BatchSummary, tasks: Sequence[StudyTask], masks: Masks
) -> tuple[RunInput, ...]:
    """Hash each input by its studies; one that was not read to its end has no hash."""
    hashes = {entry.folder: entry.content_sha256 for entry in summary.entries}
    failed = {failure.source for failure in summary.failures}
    inputs = []
    for number, path in enumerate(job.inputs, start=1):
        contents = [
            content_sha256(task.files)
            if task.folder not in hashes and task.files.source in failed
            else hashes.get(task.folder, "")
            for task in tasks
            if _lies_in(task, path.resolve())
        ]
        is_read = bool(contents) and all(contents) and job.shard.is_whole
        whole = fingerprint({"studies": sorted(contents)}) if is_read else ""
        inputs.append(RunInput(path=masks.input_name(path, number), sha256=whole))
    return tuple(inputs)


def _lies_in(task: StudyTask, place: Path) -> bool:
    return any(file.path.resolve().is_relative_to(place) for file in task.files.files)
