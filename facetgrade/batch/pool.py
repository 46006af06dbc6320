"""Worker processes of one machine: given studies, watched, replaced when they die."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from facetgrade import errors
from facetgrade.batch.job import BatchJob
from facetgrade.batch.messages import (
    Entered,
    FromWorker,
    Loaded,
    Logged,
    Ready,
    Refused,
    Setup,
)
from facetgrade.batch.process import WorkerProcess
from facetgrade.batch.settings import BatchSettings
from facetgrade.batch.spawn import spawn_worker
from facetgrade.batch.task import (
    Done,
    Executor,
    Failed,
    Finished,
    StudyTask,
    worded,
)
from facetgrade.config import PipelineConfig
from facetgrade.errors import FacetGradeError, WorkerError

_POLL_S = 0.5
_DEATHS_AT_START = 3

log = logging.getLogger(__name__)


class WorkerPool:
    """Grades in processes of this machine; use it as a context manager.

    The processes import while the run searches for studies.

    Parameters
    ----------
    config : PipelineConfig
        Settings of all stages.
    device : str
        As for `choose_device`.
    settings : BatchSettings
        How many, and limits of a study.
    on_stage : callable
        Told the name of each stage as it starts.
    spawned : list of Popen or None
        Processes of `spawn_early`, which are taken out before others are started.
    """

    def __init__(
        self,
        config: PipelineConfig,
        device: str,
        settings: BatchSettings,
        on_stage: Callable[[str], None],
        spawned: list[subprocess.Popen[bytes]] | None = None,
    ) -> None:
        self.attempts = settings.attempts
        self.retry_pause_s = settings.retry_pause_s
        self.load_s = 0.0
        self._setup = Setup(config=config, device=device)
        self._settings, self._on_stage = settings, on_stage
        self._spawned = [] if spawned is None else spawned
        self._events: SimpleQueue[tuple[WorkerProcess, FromWorker | None]] = (
            SimpleQueue()
        )
        self._job: BatchJob | None = None
        self._workers: list[WorkerProcess] = []
        self._waiting: list[StudyTask] = []
        self._early_deaths = 0

    def __enter__(self) -> Self:
        """Start the processes."""
        self._workers = [self._new() for _ in range(self._settings.workers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()
        self._workers = []

    @property
    def process_ids(self) -> list[int]:
        """Return the processes that run."""
        return [worker.pid for worker in self._workers]

    def start(self, job: BatchJob) -> tuple[BatchJob, Executor]:
        """Wait for the first process; return the job with its device and models.

        Raises
        ------
        FacetGradeError
            If a setting or model does not let it start.
        WorkerError
            If the processes die.
        """
        while self._job is None:
            self._next_event(_no_result, job)
        return self._job, self

    def run(self, tasks: Iterable[StudyTask], done: Done, *, alone: bool) -> None:
        """Bring every task to an end and tell each result.

        Raises
        ------
        WorkerError
            If processes die before they take a study.
        """
        source = iter(tasks)
        most = 1 if alone else self._settings.studies_in_hand
        while self._feed(source, most):
            self._next_event(done, None)

    def _feed(self, source: Iterator[StudyTask], most: int) -> bool:
        """Give every process what it may hold; tell whether work is left."""
        for count in range(1, most + 1):
            for worker in self._workers:
                if worker.is_ready and len(worker.tasks) < count:
                    task = self._waiting.pop(0) if self._waiting else None
                    task = task or next(source, None)
                    if task is None:
                        return any(worker.tasks for worker in self._workers)
                    worker.give(task)
        return True

    def _next_event(self, done: Done, job: BatchJob | None) -> None:
        """Wait for a message and act on it; look at the limits in any case."""
        try:
            worker, message = self._events.get(timeout=_POLL_S)
        except Empty:
            pass
        else:
            if worker in self._workers:
                self._act(worker, message, done, job)
        for worker in self._workers:
            worker.check_limits(self._settings)

    def _act(
        self,
        worker: WorkerProcess,
        message: FromWorker | None,
        done: Done,
        job: BatchJob | None,
    ) -> None:
        match message:
            case None:
                self._replace(worker, done)
            case Ready():
                if self._job is None and job is not None:
                    self._job = replace(job, context=message.context)
                worker.is_started = True
            case Refused():
                raise getattr(errors, message.error, FacetGradeError)(message.message)
            case Loaded():
                self.load_s += message.seconds
                self._early_deaths = 0
                worker.has_worked = True
            case Finished() | Failed():
                if worker.finish(message.folder):
                    done(message)
            case _:
                self._tell(worker, message)
        if self._job is not None and worker.is_started and not worker.is_ready:
            worker.assign(self._job)

    def _tell(self, worker: WorkerProcess, message: FromWorker) -> None:
        """Pass a stage to the display, a line to the log."""
        if isinstance(message, Logged):
            logging.getLogger(message.name).log(message.level, "%s", message.text)
        elif isinstance(message, Entered):
            worker.enter(message.folder, message.stage)
            if message.stage:
                self._on_stage(message.stage)

    def _replace(self, worker: WorkerProcess, done: Done) -> None:
        """Start another process for one that died; tell whose fault it was."""
        how = worker.death()
        self._early_deaths += not worker.has_worked
        if self._early_deaths >= _DEATHS_AT_START:
            raise WorkerError(
                f"worker processes die before they take a study ({how}); is there "
                "enough memory?"
            )
        log.warning("a worker process ended (%s) and is replaced", how)
        self._workers[self._workers.index(worker)] = self._new()
        for task, failure in worker.left(how):
            if failure is None:
                self._waiting.append(task)
            else:
                cause, message, stage = failure
                done(worded(task, cause, message, stage=stage))

    def _new(self) -> WorkerProcess:
        threads = self._settings.threads_each
        process = self._spawned.pop() if self._spawned else spawn_worker(threads)
        worker = WorkerProcess(process, self._setup)
        worker.listen(self._events)
        return worker


def _no_result(result: Finished | Failed) -> None:
    raise ValueError(f"nobody asked for a result, got {result}")
