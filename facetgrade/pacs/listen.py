"""Grade studies as they arrive and send the results back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from time import monotonic

from facetgrade.batch.console import study_line
from facetgrade.batch.job import BatchJob
from facetgrade.batch.ledger import Ledger
from facetgrade.batch.runner import grade_batch
from facetgrade.errors import (
    ConnectionLostError,
    IngestError,
    ModelError,
    OutputError,
    TransferError,
    one_line,
)
from facetgrade.findings import StudyReport
from facetgrade.pacs.arrivals import Arrivals
from facetgrade.pacs.ledger import ArrivedStudy, State, TransferLedger
from facetgrade.pacs.patience import Patience
from facetgrade.pacs.places import Places
from facetgrade.pacs.pull import Tell
from facetgrade.pacs.push import push_study
from facetgrade.pacs.records import Archive
from facetgrade.pacs.server import serve
from facetgrade.pacs.settings import PacsSettings
from facetgrade.report import Failure, StudyEntry
from facetgrade.request import Request
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

GradeStudy = Callable[[Study, Request, Stopwatch], StudyReport]
_SHORTEST_LOOK_S, _LONGEST_LOOK_S = 0.05, 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ListenJob:
    """What is done with studies that arrive.

    Attributes
    ----------
    settings : PacsSettings
        Where to listen, how long to wait.
    batch : BatchJob
        How studies are graded and into which folder; its inputs are replaced.
    grade : callable
        Grades one loaded study.
    destination : Archive or None
        Gets SEG and SR.
    patience : Patience
        How long to try to send.
    """

    settings: PacsSettings
    batch: BatchJob
    grade: GradeStudy
    destination: Archive | None
    patience: Patience


def listen(job: ListenJob, *, stop: Event, tell: Tell) -> None:
    """Receive, grade and send until told to stop.

    What is unfinished then goes on with the next start; studies that failed are
    tried again.

    Parameters
    ----------
    job : ListenJob
        What to do.
    stop : Event
        Ends the work after the present study.
    tell : callable
        Gets one line for each event.

    Raises
    ------
    ConfigError
        If the port cannot be used.
    OutputError
        If the folder cannot be used or was made by other settings.
    """
    with Ledger(job.batch.out) as done:
        done.claim(job.batch.made_by, start_over=job.batch.force)
    with TransferLedger(job.batch.out) as ledger:
        ledger.revive()
        arrivals = Arrivals(job.batch.out, Places(job.batch.privacy), ledger)
        desk = _Desk(job, ledger, arrivals, tell)
        local = job.settings.local
        with serve(local, job.settings.timeouts, arrivals.take):
            tell(f"listening as {local.ae_title} on {local.host}:{local.port}")
            look_s = job.settings.listen.quiet_s / 4
            look_s = min(max(look_s, _SHORTEST_LOOK_S), _LONGEST_LOOK_S)
            while not stop.wait(look_s):
                desk.work(stop)
            tell("stopped; the same command goes on with what is unfinished")


class _Desk:
    """Brings arrived studies to their end, one after the other.

    It remembers what failed and when it is tried again.
    """

    def __init__(
        self, job: ListenJob, ledger: TransferLedger, arrivals: Arrivals, tell: Tell
    ) -> None:
        self._job, self._ledger, self._arrivals = job, ledger, arrivals
        self._tell = tell
        self._failures: dict[str, int] = {}
        self._not_before_s: dict[str, float] = {}
        self._send_not_before_s = self._work_not_before_s = 0.0

    def work(self, stop: Event) -> None:
        """Grade what has arrived, send what is graded; wait while the disk is full."""
        if monotonic() < self._work_not_before_s:
            return
        try:
            self._grade_ready(stop)
            self._send_graded(stop)
        except OutputError as error:
            self._work_not_before_s = monotonic() + self._job.settings.listen.resend_s
            sentence = one_line(f"{error}; tried again later")
            log.info("failed: %s", sentence)
            self._tell(f"failed: {sentence}")

    def _grade_ready(self, stop: Event) -> None:
        for study in self._arrivals.ready(self._job.settings.listen):
            if stop.is_set():
                return
            if self._not_before_s.get(study.study_uid, 0.0) <= monotonic():
                self._grade(study)

    def _send_graded(self, stop: Event) -> None:
        for study in self._ledger.studies(State.GRADED):
            if stop.is_set() or monotonic() < self._send_not_before_s:
                return
            self._send(study)

    def _grade(self, study: ArrivedStudy) -> None:
        """Grade one study; a result that is there already is kept."""
        job = replace(
            self._job.batch, inputs=((self._job.batch.out / study.folder).parent,)
        )
        lines = _Lines()
        try:
            summary = grade_batch(job, self._job.grade, lines, Stopwatch())
        except (IngestError, ModelError) as error:
            self._failed(study, str(error))
        except OSError as error:
            self._failed(study, error.strerror or type(error).__name__)
        else:
            if not summary.entries:
                self._failed(study, summary.failures[0].message)
                return
            self._failures.pop(study.study_uid, None)
            self._ledger.advance(study, State.GRADED, summary.entries[0].folder)
            self._tell(f"{_name(study)}: {lines.text}")

    def _failed(self, study: ArrivedStudy, message: str) -> None:
        """Try a study again later, not for ever."""
        listen = self._job.settings.listen
        count = self._failures.get(study.study_uid, 0) + 1
        self._failures[study.study_uid] = count
        self._not_before_s[study.study_uid] = monotonic() + listen.resend_s
        last = count >= listen.attempts
        after = "given up until the next start" if last else "tried again later"
        sentence = one_line(f"{_name(study)}: {message}; {after}")
        log.info("failed: %s", sentence)
        self._tell(f"failed: {sentence}")
        if last:
            self._failures.pop(study.study_uid)
            self._ledger.advance(study, State.FAILED)

    def _send(self, study: ArrivedStudy) -> None:
        """Send the results of one study, unless there is nowhere to send them."""
        job = self._job
        if job.destination is None:
            self._ledger.advance(study, State.DONE, study.results)
            return
        try:
            sent = push_study(
                job.destination,
                job.batch.out / study.results,
                ledger=self._ledger,
                patience=job.patience,
            )
        except (TransferError, OSError) as error:
            after = "sent again later"
            if isinstance(error, ConnectionLostError | OSError):
                self._send_not_before_s = monotonic() + job.settings.listen.resend_s
            else:
                after = "not sent until the next start"
                self._ledger.advance(study, State.FAILED)
            sentence = one_line(f"{_name(study)}: {error}; {after}")
            log.info("failed: %s", sentence)
            self._tell(f"failed: {sentence}")
        else:
            self._ledger.advance(study, State.DONE, study.results)
            self._tell(f"{_name(study)}: {sent} objects sent to {job.destination.name}")


class _Lines:
    """Remembers the line of the only study of a run."""

    def __init__(self) -> None:
        self.text = ""

    def problems(self, sentences: Sequence[str]) -> None:
        """Leave it to the log."""

    def found(self, count: int) -> None:
        """Do nothing; there is one study."""

    def stage(self, name: str) -> None:
        """Do nothing; a service shows no progress."""

    def finished(self, entry: StudyEntry) -> None:
        """Remember the grades."""
        seconds = sum(entry.stage_seconds.values())
        how = "done before" if entry.skipped else f"{seconds:.1f} s"
        self.text = f"{study_line(entry.rows)}  ({how})"

    def failed(self, failure: Failure) -> None:
        """Do nothing; the summary holds it."""


def _name(study: ArrivedStudy) -> str:
    return study.folder.rsplit("/", 1)[-1]
