"""One worker process as the run sees it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO, cast

from facetgrade.batch.job import BatchJob
from facetgrade.batch.line import IDLE
from facetgrade.batch.messages import Channel, FromWorker, Setup
from facetgrade.batch.settings import BatchSettings
from facetgrade.batch.task import Cause, StudyTask

Blame = tuple[Cause, str, str]

_BYTES_PER_MB = 1_000_000
_STUCK_S = 5.0

log = logging.getLogger(__name__)


class WorkerProcess:
    """A started process, the studies in its hands, and how long each has taken.

    Parameters
    ----------
    process : Popen
        From `spawn_worker`; it is ended here.
    setup : Setup
        What it loads.
    """

    def __init__(self, process: subprocess.Popen[bytes], setup: Setup) -> None:
        self._process = process
        self._channel = Channel(
            cast(BinaryIO, process.stdout), cast(BinaryIO, process.stdin)
        )
        self.tasks: dict[str, StudyTask] = {}
        self.is_started = self.is_ready = self.has_worked = False
        self._clock = StudyClock()
        self._blame: dict[str, Blame] = {}
        self._say(setup)

    @property
    def pid(self) -> int:
        """Return its id in the system."""
        return self._process.pid

    def listen(
        self, events: SimpleQueue[tuple[WorkerProcess, FromWorker | None]]
    ) -> None:
        """Queue what the process says, and None when it ends."""

        def receive() -> None:
            while (message := self._channel.receive()) is not None:
                events.put((self, cast(FromWorker, message)))
            events.put((self, None))

        self._thread = Thread(target=receive, daemon=True)
        self._thread.start()

    def assign(self, job: BatchJob) -> None:
        """Tell the job, after which studies may be given."""
        self.is_ready = True
        self._say(job)

    def give(self, task: StudyTask) -> None:
        """Give a study."""
        self.tasks[task.folder] = task
        self._say(task)

    def enter(self, folder: str, stage: str) -> None:
        """Note that a study enters a stage, or waits."""
        self._clock.enter(folder, stage)

    def finish(self, folder: str) -> bool:
        """Note a result; False if nobody waits for it."""
        self._clock.forget(folder)
        return self.tasks.pop(folder, None) is not None

    def check_limits(self, settings: BatchSettings) -> None:
        """End the process when a study takes too long or too much memory."""
        if self._process.poll() is not None:
            return
        for folder, (stage, seconds) in self._clock.working().items():
            if seconds > settings.time_limit_s:
                message = f"not finished in {settings.time_limit_s:g} s"
                self._blame = {folder: (Cause.TIME_LIMIT, message, stage)}
                self.kill()
                return
        used_mb = resident_mb(self._process.pid) if self._clock.working() else 0.0
        if used_mb > settings.memory_limit_mb:
            message = f"needs more than {settings.memory_limit_mb:g} MB of memory"
            self._blame = {
                folder: (Cause.MEMORY_LIMIT, message, stage)
                for folder, (stage, _) in self._clock.working().items()
            }
            self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        try:
            self._process.wait(_STUCK_S)
        except subprocess.TimeoutExpired:
            log.warning("a worker process hangs in the system and is left behind")

    def end(self) -> None:
        """End the process and close its pipes."""
        self.kill()
        self._thread.join(_STUCK_S)
        for stream in (self._process.stdin, self._process.stdout):
            _close(stream)

    def death(self) -> str:
        """Say how the process ended."""
        self.end()
        code = self._process.returncode or 0
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def left(self, how: str) -> list[tuple[StudyTask, Blame | None]]:
        """Return the studies that it held, with what each is blamed for.

        Without a limit that was passed, all that it worked on are suspects.
        """
        if not self._blame:
            message = f"a worker process died ({how}), perhaps of this study"
            self._blame = {
                folder: (Cause.CRASH, message, stage)
                for folder, (stage, _) in self._clock.working().items()
            }
        return [(task, self._blame.get(folder)) for folder, task in self.tasks.items()]

    def _say(self, message: Setup | BatchJob | StudyTask) -> None:
        try:
            self._channel.send(message)
        except OSError:
            # The end of its output tells that it died.
            return


class StudyClock:
    """Working time of the studies in one process, by the monotonic clock."""

    def __init__(self) -> None:
        self._spent_s: dict[str, float] = {}
        self._since: dict[str, tuple[str, float]] = {}

    def enter(self, folder: str, stage: str) -> None:
        """Note that a study enters a stage, or waits."""
        now_s = time.monotonic()
        if folder in self._since:
            _, start_s = self._since.pop(folder)
            self._spent_s[folder] = self._spent_s.get(folder, 0.0) + now_s - start_s
        if stage != IDLE:
            self._since[folder] = stage, now_s

    def forget(self, folder: str) -> None:
        """Drop a study that is finished."""
        self._since.pop(folder, None)
        self._spent_s.pop(folder, None)

    def working(self) -> dict[str, tuple[str, float]]:
        """Return stage and seconds so far of each study that is worked on."""
        now_s = time.monotonic()
        return {
            folder: (stage, self._spent_s.get(folder, 0.0) + now_s - start_s)
            for folder, (stage, start_s) in self._since.items()
        }


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, 0 where /proc does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _BYTES_PER_MB


def _close(stream: object) -> None:
    """Close a pipe whose other end is gone."""
    try:
        cast(BinaryIO, stream).close()
    except OSError:
        return
