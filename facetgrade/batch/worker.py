"""A process with networks of its own: ``python -m facetgrade.batch.worker``.

It is started by a run, takes studies over its standard input, and ends with the run,
even if that is killed.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from threading import Thread

from facetgrade.batch.job import BatchJob
from facetgrade.batch.line import grade_overlapped
from facetgrade.batch.messages import (
    Channel,
    Entered,
    FromWorker,
    Loaded,
    Logged,
    Ready,
    Refused,
    Setup,
)
from facetgrade.batch.task import StudyTask
from facetgrade.errors import FacetGradeError
from facetgrade.stopwatch import Stopwatch

LOST = 1


def main() -> None:
    """Take studies until the run that started this process ends."""
    channel = _own_pipes()
    say = partial(_say, channel)
    _send_logs(say)
    # Only now, since a library may print or warn while it is imported; and before the
    # run sends its setup, since it imports as long as this.
    from facetgrade.batch.grader import Grader

    setup = channel.receive()
    if not isinstance(setup, Setup):
        sys.exit(LOST)
    tasks: SimpleQueue[StudyTask] = SimpleQueue()
    try:
        grader = Grader(setup.config, setup.device, Stopwatch())
        say(Ready(context=grader.context))
        job = channel.receive()
        if not isinstance(job, BatchJob):
            sys.exit(LOST)
        Thread(target=_receive, args=(channel, tasks), daemon=True).start()
        say(Loaded(seconds=grader.load()))
    except FacetGradeError as error:
        say(Refused(error=type(error).__name__, message=str(error)))
        sys.exit(LOST)
    grade_overlapped(
        _forever(tasks),
        job,
        grader,
        done=say,
        told=lambda task, stage: say(Entered(folder=task.folder, stage=stage)),
    )


def _own_pipes() -> Channel:
    """Take the pipes, so that no print of a library gets between the messages."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    return Channel(incoming, outgoing)


def _say(channel: Channel, message: FromWorker) -> None:
    """Tell the run; end the process, without a word, if the run is gone."""
    try:
        channel.send(message)
    except OSError:
        os._exit(LOST)


def _receive(channel: Channel, tasks: SimpleQueue[StudyTask]) -> None:
    """Queue what comes; end the process with the run, in the middle of a study too."""
    while isinstance(message := channel.receive(), StudyTask):
        tasks.put(message)
    os._exit(LOST)


def _forever(tasks: SimpleQueue[StudyTask]) -> Iterator[StudyTask]:
    while True:
        yield tasks.get()


def _send_logs(say: Callable[[FromWorker], None]) -> None:
    """Send the log lines of facetgrade to the run; drop warnings of libraries."""
    warnings.simplefilter("ignore")
    ours = logging.getLogger("facetgrade")
    ours.setLevel(logging.INFO)
    ours.handlers = [_Sender(say)]
    ours.propagate = False


class _Sender(logging.Handler):
    """Hands log lines to the run."""

    def __init__(self, say: Callable[[FromWorker], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Send one line."""
        text = record.getMessage()
        self._say(Logged(name=record.name, level=record.levelno, text=text))


if __name__ == "__main__":
    main()
