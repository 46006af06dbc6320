"""Studies through one process: one after the other, or reading and writing beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Protocol

from facetgrade.batch.job import BatchJob
from facetgrade.batch.task import (
    Done,
    GradeStudy,
    StudyTask,
    failed,
    read_task,
    request_of,
    write_task,
)
from facetgrade.findings import StudyReport
from facetgrade.request import Request
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

if TYPE_CHECKING:
    from facetgrade.pipeline import FoundJoints

Told = Callable[[StudyTask, str], None]
IDLE = ""


class StudyGrader(Protocol):
    """Grades a loaded study in two steps, of which only the first needs networks."""

    def find(self, study: Study, request: Request, watch: Stopwatch) -> FoundJoints:
        """Run the networks."""

    def judge(
        self, study: Study, found: FoundJoints, request: Request, watch: Stopwatch
    ) -> StudyReport:
        """Measure what the networks found and apply the rules."""


class OneByOne:
    """Grades in this process, one study after the other.

    Parameters
    ----------
    job : BatchJob
        What to do.
    grade : callable
        Grades one loaded study.
    on_stage : callable
        Told the name of each stage as it starts.
    """

    attempts = 1
    retry_pause_s = load_s = 0.0

    def __init__(
        self, job: BatchJob, grade: GradeStudy, on_stage: Callable[[str], None]
    ) -> None:
        self._job, self._grade, self._on_stage = job, grade, on_stage

    def run(self, tasks: Iterable[StudyTask], done: Done, *, alone: bool) -> None:  # noqa: ARG002 (always alone here)
        """Bring every task to an end and tell each result."""
        for task in tasks:
            watch = Stopwatch(self._on_stage)
            try:
                study = read_task(task, self._job, watch)
                report = self._grade(study, request_of(task, self._job), watch)
                result = write_task(task, study, report, self._job, watch)
            except Exception as error:
                done(failed(task, error, watch))
            else:
                done(result)


def grade_overlapped(
    tasks: Iterable[StudyTask],
    job: BatchJob,
    grader: StudyGrader,
    *,
    done: Done,
    told: Told,
) -> None:
    """Grade studies while the next one is read and the last one is written.

    Networks run in the calling thread, reading in another; measuring and writing share
    a third, since measuring needs no network. Whoever gives the tasks bounds the memory
    by how many are given before results are told.

    Parameters
    ----------
    tasks : iterable of StudyTask
        Taken from the reading thread; may wait for the next task.
    job : BatchJob
        What to do.
    grader : StudyGrader
        Grades loaded studies in two steps.
    done : callable
        Told every result, from any of the threads.
    told : callable
        Told the task and the stage that starts, `IDLE` when a study waits.
    """
    loaded: Queue[_InHand | None] = Queue()
    found: Queue[_InHand | None] = Queue()
    line = _Line(job, grader, done, told)
    reader = Thread(target=line.read_all, args=(tasks, loaded), name="read")
    writer = Thread(target=line.write_all, args=(found,), name="write")
    for thread in (reader, writer):
        thread.daemon = True
        thread.start()
    while (one := loaded.get()) is not None:
        line.find_next(one, found)
        del one
    found.put(None)
    writer.join()
    reader.join()


@dataclass(eq=False, slots=True)
class _InHand:
    """A study between two stages."""

    task: StudyTask
    watch: Stopwatch
    study: Study
    found: FoundJoints | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """What the three threads share."""

    job: BatchJob
    grader: StudyGrader
    done: Done
    told: Told

    def read_all(
        self, tasks: Iterable[StudyTask], loaded: Queue[_InHand | None]
    ) -> None:
        """Read study after study."""
        try:
            for task in tasks:
                watch = Stopwatch(partial(self.told, task))
                try:
                    study = read_task(task, self.job, watch)
                except Exception as error:
                    self.done(failed(task, error, watch))
                else:
                    self.told(task, IDLE)
                    loaded.put(_InHand(task, watch, study))
                    del study
        finally:
            loaded.put(None)

    def find_next(self, one: _InHand, found: Queue[_InHand | None]) -> None:
        """Find the joints of a study that was read."""
        request = request_of(one.task, self.job)
        try:
            one.found = self.grader.find(one.study, request, one.watch)
        except Exception as error:
            self.done(failed(one.task, error, one.watch))
        else:
            self.told(one.task, IDLE)
            found.put(one)

    def write_all(self, found: Queue[_InHand | None]) -> None:
        """Grade what was found in study after study, and write the results."""
        while (one := found.get()) is not None:
            self._write(one)
            del one

    def _write(self, one: _InHand) -> None:
        """Grade what was found in one study, and write the result."""
        if one.found is None:
            return
        request = request_of(one.task, self.job)
        try:
            report = self.grader.judge(one.study, one.found, request, one.watch)
            one.found = None
            result = write_task(one.task, one.study, report, self.job, one.watch)
        except Exception as error:
            self.done(failed(one.task, error, one.watch))
        else:
            self.done(result)
