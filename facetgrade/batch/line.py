"""Studies through one process: one after the other, or reading and writing beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from queue import Queue
from threading import Thread

from facetgrade.batch.job import BatchJob
from facetgrade.batch.task import (
    Done,
    GradeStudy,
    StudyTask,
    failed,
    grade_task,
    read_task,
    write_task,
)
from facetgrade.findings import StudyReport
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

Told = Callable[[StudyTask, str], None]
IDLE = ""


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
                report = grade_task(task, study, self._job, self._grade, watch)
                result = write_task(task, study, report, self._job, watch)
            except Exception as error:
                done(failed(task, error, watch))
            else:
                done(result)


def grade_overlapped(
    tasks: Iterable[StudyTask],
    job: BatchJob,
    grade: GradeStudy,
    *,
    done: Done,
    told: Told,
) -> None:
    """Grade studies while the next one is read and the last one is written.

    Networks run in the calling thread, reading and writing in one thread each. Whoever
    gives the tasks bounds the memory by how many are given before results are told.

    Parameters
    ----------
    tasks : iterable of StudyTask
        Taken from the reading thread; may wait for the next task.
    job : BatchJob
        What to do.
    grade : callable
        Grades one loaded study.
    done : callable
        Told every result, from any of the threads.
    told : callable
        Told the task and the stage that starts, `IDLE` when a study waits.
    """
    loaded: Queue[_InHand | None] = Queue()
    graded: Queue[_InHand | None] = Queue()
    line = _Line(job, grade, done, told)
    reader = Thread(target=line.read_all, args=(tasks, loaded), name="read")
    writer = Thread(target=line.write_all, args=(graded,), name="write")
    for thread in (reader, writer):
        thread.daemon = True
        thread.start()
    while (one := loaded.get()) is not None:
        line.grade_next(one, graded)
        del one
    graded.put(None)
    writer.join()
    reader.join()


@dataclass(eq=False, slots=True)
class _InHand:
    """A study between two stages."""

    task: StudyTask
    watch: Stopwatch
    study: Study
    report: StudyReport | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Line:
    """What the three threads share."""

    job: BatchJob
    grade: GradeStudy
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

    def grade_next(self, one: _InHand, graded: Queue[_InHand | None]) -> None:
        """Grade a study that was read."""
        try:
            one.report = grade_task(
                one.task, one.study, self.job, self.grade, one.watch
            )
        except Exception as error:
            self.done(failed(one.task, error, one.watch))
        else:
            self.told(one.task, IDLE)
            graded.put(one)

    def write_all(self, graded: Queue[_InHand | None]) -> None:
        """Write the results of study after study."""
        while (one := graded.get()) is not None:
            if one.report is None:
                continue
            try:
                result = write_task(
                    one.task, one.study, one.report, self.job, one.watch
                )
            except Exception as error:
                self.done(failed(one.task, error, one.watch))
            else:
                self.done(result)
            del one
