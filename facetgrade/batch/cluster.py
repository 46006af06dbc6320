"""The same studies on a Dask cluster: one worker process beside each Dask thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from facetgrade.batch.job import BatchJob
from facetgrade.batch.ledger import fingerprint
from facetgrade.batch.pool import WorkerPool
from facetgrade.batch.settings import BatchSettings
from facetgrade.batch.task import (
    Cause,
    Done,
    Executor,
    Failed,
    Result,
    StudyTask,
    worded,
)
from facetgrade.config import PipelineConfig
from facetgrade.errors import ConfigError, WorkerError
from facetgrade.report import ReportContext

if TYPE_CHECKING:
    from distributed import Client, Future

INSTALL = 'install it with: pip install "facetgrade[cluster]"'

_FILE = "file://"
_AHEAD = 2
_LOOK_S = 5.0
_SHARED_DISK_S = 60.0
_here = threading.local()

log = logging.getLogger(__name__)


class DaskGrader:
    """Grades on the workers of a Dask cluster; use it as a context manager.

    Parameters
    ----------
    connect : callable
        Opens the client.
    config : PipelineConfig
        Settings of all stages.
    device : str
        As for `choose_device`, on each worker.
    settings : BatchSettings
        Limits of a study.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractContextManager[Client]],
        config: PipelineConfig,
        device: str,
        settings: BatchSettings,
    ) -> None:
        self.attempts = settings.attempts
        self.retry_pause_s = settings.retry_pause_s
        self.load_s = 0.0
        self._ended: SimpleQueue[Future[Result]] = SimpleQueue()
        self._connect, self._config, self._device = connect, config, device
        self._settings = settings.model_copy(
            update={"workers": 1, "threads": settings.threads or 1}
        )

    def __enter__(self) -> Self:
        """Connect to the cluster, or start one."""
        self._opened = self._connect()
        self._client = self._opened.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the cluster, or end it."""
        self._opened.__exit__(kind, error, trace)

    def start(self, job: BatchJob) -> tuple[BatchJob, Executor]:
        """Wait for a worker; return the job with its device and models.

        Raises
        ------
        WorkerError
            If no worker appears in time.
        """
        limit_s = self._settings.cluster.start_limit_s
        try:
            self._client.wait_for_workers(1, timeout=limit_s)
        except TimeoutError as error:
            raise WorkerError(
                f"no worker of the cluster appeared in {limit_s:g} s; start some with "
                "dask worker, or look at the queue of the cluster"
            ) from error
        job = replace(job, out=job.out.resolve())
        future = self._client.submit(
            describe_here, job, self._config, self._device, self._settings, pure=False
        )
        self._job: BatchJob = replace(job, context=future.result())
        return self._job, self

    def run(self, tasks: Iterable[StudyTask], done: Done, *, alone: bool) -> None:  # noqa: ARG002 (workers always take one)
        """Bring every task to an end and tell each result.

        Raises
        ------
        WorkerError
            If the scheduler is lost, or all workers are for long.
        """
        source = iter(tasks)
        pending: dict[Future[Result], StudyTask] = {}
        seen_s = time.monotonic()
        while True:
            threads = sum(self._client.nthreads().values())
            while len(pending) < max(1, _AHEAD * threads):
                if (task := next(source, None)) is None:
                    break
                pending[self._submit(task)] = task
            if not pending:
                return
            if threads:
                seen_s = time.monotonic()
            self._refuse_to_hang(seen_s)
            try:
                future = self._ended.get(timeout=_LOOK_S)
            except Empty:
                continue
            done(self._result(pending.pop(future), future))

    def _submit(self, task: StudyTask) -> Future[Result]:
        future: Future[Result] = self._client.submit(
            grade_here,
            task,
            self._job,
            self._config,
            self._device,
            self._settings,
            pure=False,
        )
        future.add_done_callback(self._ended.put)
        return future

    def _refuse_to_hang(self, seen_s: float) -> None:
        limit_s = self._settings.cluster.start_limit_s
        if self._client.status not in ("running", "connecting"):
            raise WorkerError("the Dask scheduler is gone; start it and run again")
        if time.monotonic() - seen_s > limit_s:
            raise WorkerError(f"the cluster has had no worker for {limit_s:g} s")

    def _result(self, task: StudyTask, future: Future[Result]) -> Result:
        """Take a result, and check that its files came here."""
        from distributed import KilledWorker

        try:
            result: Result = future.result()
        except KilledWorker:
            message = "workers of the cluster died, perhaps of this study"
            return worded(task, Cause.CRASH, message, stage="")
        future.release()
        study = self._job.out / task.folder / "study.json"
        if isinstance(result, Failed) or _appears(study):
            return result
        message = "its results are not in OUT; do the workers share that folder?"
        return worded(task, Cause.FILE_FOR_NOW, message, stage="report")


def connect_scheduler(
    address: str, patience_s: float = 20.0
) -> AbstractContextManager[Client]:
    """Connect to a Dask scheduler that runs.

    Parameters
    ----------
    address : str
        Such as ``tcp://HOST:8786``, or ``file://PATH`` of a scheduler file.
    patience_s : float
        Longest wait for an answer.

    Raises
    ------
    ConfigError
        If Dask is not installed or the address is none.
    WorkerError
        If nobody answers there.
    """
    try:
        client = _client(address, patience_s)
    except ImportError as error:
        raise ConfigError(f"--scheduler needs Dask; {INSTALL}") from error
    except (OSError, TimeoutError) as error:
        raise WorkerError(
            f"no Dask scheduler answers at {address}; is it running and reachable?"
        ) from error
    except ValueError as error:
        raise ConfigError(
            f"--scheduler must look like tcp://HOST:8786 ({error})"
        ) from error
    opened: AbstractContextManager[Client] = client
    return opened


def grade_here(
    task: StudyTask,
    job: BatchJob,
    config: PipelineConfig,
    device: str,
    settings: BatchSettings,
) -> Result:
    """Grade one study on a Dask worker, in a process that the limits can end."""
    results: list[Result] = []
    try:
        pool, _ = _start_here(job, config, device, settings)
        pool.run([task], results.append, alone=True)
    except WorkerError as error:
        _close()
        return worded(task, Cause.CRASH, str(error), stage="")
    return results[0]


def describe_here(
    job: BatchJob, config: PipelineConfig, device: str, settings: BatchSettings
) -> ReportContext:
    """Start the process of a Dask worker and return its device and models."""
    return _start_here(job, config, device, settings)[1]


def _start_here(
    job: BatchJob, config: PipelineConfig, device: str, settings: BatchSettings
) -> tuple[WorkerPool, ReportContext]:
    """Return the process of this Dask thread, started once for a job."""
    key = fingerprint(
        {
            **job.made_by,
            "models": "by configuration",
            "out": str(job.out),
            "device": device,
            "settings": settings.model_dump(mode="json"),
        }
    )
    if getattr(_here, "key", None) != key:
        _close()
        _here.key = key
        _here.pool = WorkerPool(config, device, settings, _unseen).__enter__()
        _here.context = _here.pool.start(job)[0].context
    return _here.pool, _here.context


def _unseen(stage: str) -> None:
    """Show no stage: the display is on another machine."""
    log.debug("stage %s", stage)


def _client(address: str, patience_s: float) -> Any:
    from distributed import Client

    options: dict[str, Any] = {"timeout": patience_s, "set_as_default": False}
    if address.startswith(_FILE):
        return Client(scheduler_file=address.removeprefix(_FILE), **options)
    return Client(address, **options)


def _close() -> None:
    """End the process of this Dask thread."""
    if getattr(_here, "key", None) is not None:
        _here.pool.__exit__(None, None, None)
        _here.key = None


def _appears(path: Path) -> bool:
    """Tell whether a file is there, or comes with the delay of a shared disk."""
    end_s = time.monotonic() + _SHARED_DISK_S
    while not path.is_file():
        if time.monotonic() > end_s:
            return False
        time.sleep(1.0)
    return True
