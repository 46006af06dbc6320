"""One study of a batch: read it, write its results, word its failure."""

from __future__ import annotations

import errno
import logging
import shutil
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from facetgrade.batch.anchors import Point
from facetgrade.batch.job import BatchJob
from facetgrade.batch.ledger import fingerprint
from facetgrade.batch.masking import Masks
from facetgrade.errors import FacetGradeError
from facetgrade.findings import StudyReport
from facetgrade.ingest import StudyFiles, content_sha256, load_study
from facetgrade.report import Failure, StudyEntry, study_entry, write_study
from facetgrade.request import Request
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

# Faults that may be gone a moment later: network drives, busy or interrupted devices.
_TRANSIENT = frozenset(
    (
        errno.EIO,
        errno.EAGAIN,
        errno.EBUSY,
        errno.EINTR,
        errno.ENFILE,
        errno.EMFILE,
        errno.ETIMEDOUT,
        errno.ESTALE,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENOMEM,
    )
)

log = logging.getLogger(__name__)


class Cause(StrEnum):
    """Why a study failed."""

    DATA = "data"
    FILE = "file"
    FILE_FOR_NOW = "file-for-now"
    MEMORY = "memory"
    BUG = "bug"
    TIME_LIMIT = "time-limit"
    MEMORY_LIMIT = "memory-limit"
    CRASH = "crash"

    @property
    def may_pass(self) -> bool:
        """Whether another attempt may go well."""
        return self not in (Cause.DATA, Cause.FILE, Cause.BUG)

    @property
    def is_costly(self) -> bool:
        """Whether each attempt costs a worker, so that later runs make none."""
        return self in (Cause.TIME_LIMIT, Cause.MEMORY_LIMIT, Cause.CRASH)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StudyTask:
    """All that a process must know to grade one study of a job.

    Attributes
    ----------
    folder : str
        Folder of the results, relative to the output folder.
    files : StudyFiles
        With the source that is shown.
    masks : Masks
        How this study is shown.
    anchors : mapping of str to tuple of float
        Its known vertebrae.
    """

    folder: str
    files: StudyFiles
    masks: Masks
    anchors: Mapping[str, Point]

    def content_key(self, content: str) -> str:
        """Hash what the result depends on beside the settings of the run."""
        shown = self.masks.key(self.files)
        return fingerprint({"content": content, "anchors": self.anchors, **shown})

    def files_key(self) -> str:
        """Hash names, sizes and times of the files, empty if one cannot be seen.

        Equal keys mean equal content without reading it.
        """
        seen = []
        try:
            for file in self.files.files:
                status = file.path.stat()
                seen.append((str(file.location), status.st_size, status.st_mtime_ns))
        except OSError:
            return ""
        return self.content_key(fingerprint({"files": sorted(seen)}))


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Finished:
    """A study whose results are complete on disk."""

    folder: str
    entry: StudyEntry
    content_key: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Failed:
    """A study that could not be finished this time."""

    folder: str
    failure: Failure
    cause: Cause


Result = Finished | Failed
GradeStudy = Callable[[Study, Request, Stopwatch], StudyReport]
Done = Callable[[Result], None]


class Executor(Protocol):
    """Whoever grades the studies: this process, others, or a cluster.

    Attributes
    ----------
    attempts : int
        How often a study is tried that may go well another time.
    retry_pause_s : float
        Before the second attempt.
    load_s : float
        Seconds that the networks took to load, as far as known.
    """

    attempts: int
    retry_pause_s: float
    load_s: float

    def run(self, tasks: Iterable[StudyTask], done: Done, *, alone: bool) -> None:
        """Bring every task to an end and tell each result.

        `alone` gives no worker more than one study at a time, so that the death of a
        worker is the fault of its study.
        """


def read_task(task: StudyTask, job: BatchJob, watch: Stopwatch) -> Study:
    """Read the images of a study, shown as the job wants it.

    Raises
    ------
    IngestError
        If no series of it can be used.
    """
    with watch.stage("read"):
        study = load_study(task.files, job.config.ingest, job.privacy)
        return task.masks.study(study, task.files)


def request_of(task: StudyTask, job: BatchJob) -> Request:
    """Return what the job asks of this study."""
    return replace(job.request, anchors=task.anchors)


def write_task(
    task: StudyTask,
    study: Study,
    report: StudyReport,
    job: BatchJob,
    watch: Stopwatch,
) -> Finished:
    """Write the results of a study: all of them or nothing.

    Raises
    ------
    OSError
        If the output folder cannot take them.
    """
    out = job.out
    with watch.stage("report"):
        partial = out / f"{task.folder}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        study, objects = _write_dicom(job, report, study, task.files, partial)
        write_study(
            report,
            study,
            partial,
            context=job.context,
            settings=job.config.report,
            more_files=objects,
        )
        _replace_folder(partial, out / task.folder)
    report = replace(report, stage_seconds=dict(watch.seconds))
    entry = study_entry(report, study, out / task.folder, out)
    seconds = ", ".join(f"{name} {s:.2f} s" for name, s in watch.seconds.items())
    log.info("%s: %s", study.uid, seconds)
    key = task.content_key(study.content_sha256)
    return Finished(folder=task.folder, entry=entry, content_key=key)


def failed(task: StudyTask, error: Exception, watch: Stopwatch) -> Failed:
    """Word a failure; the log says where a bug struck.

    The message of a bug may quote a header and stays out.
    """
    cause, message = Cause.BUG, ""
    if isinstance(error, FacetGradeError):
        cause, message = Cause.DATA, task.masks.text(str(error), task.files)
    elif isinstance(error, MemoryError) or "not enough memory" in str(error):
        cause, message = Cause.MEMORY, "not enough memory"
    elif isinstance(error, OSError):
        passes = error.errno in _TRANSIENT
        cause = Cause.FILE_FOR_NOW if passes else Cause.FILE
        message = f"a file failed: {error.strerror or type(error).__name__}"
    else:
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("bug: %s\n%s", type(error).__name__, frames)
        name = type(error).__name__
        message = f"bug in facetgrade ({name}); facetgrade.log says where"
    return worded(task, cause, message, stage=watch.current)


def worded(task: StudyTask, cause: Cause, message: str, *, stage: str) -> Failed:
    """Say why a study failed."""
    failure = Failure(source=task.files.source, message=message, stage=stage)
    return Failed(folder=task.folder, failure=failure, cause=cause)


def content_key(task: StudyTask) -> str:
    """Hash what the result depends on by reading every file of a study."""
    return task.content_key(content_sha256(task.files))


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


def _replace_folder(partial: Path, folder: Path) -> None:
    """Put a complete folder in place of an older one."""
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
