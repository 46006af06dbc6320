"""What a run and its worker processes say to each other, over pipes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from threading import Lock
from typing import BinaryIO

from facetgrade.batch.job import BatchJob
from facetgrade.batch.task import Result, StudyTask
from facetgrade.config import PipelineConfig
from facetgrade.report import ReportContext


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Setup:
    """First words to a worker: what to load.

    Attributes
    ----------
    config : PipelineConfig
        Settings of all stages.
    device : str
        As for `choose_device`.
    """

    config: PipelineConfig
    device: str


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Ready:
    """First words of a worker: its device and models."""

    context: ReportContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A worker cannot start, by a setting or a model."""

    error: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entered:
    """A study enters a stage; an empty one means that it waits."""

    folder: str
    stage: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """Seconds that the networks took to load."""

    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Logged:
    """A line for the log of the run."""

    name: str
    level: int
    text: str


FromWorker = Ready | Refused | Entered | Loaded | Logged | Result
ToWorker = Setup | BatchJob | StudyTask


class Channel:
    """Pickled messages over a pair of pipes between processes of one user.

    Parameters
    ----------
    incoming, outgoing : binary file
        Buffered.
    """

    def __init__(self, incoming: BinaryIO, outgoing: BinaryIO) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._lock = Lock()

    def send(self, message: FromWorker | ToWorker) -> None:
        """Send from any thread.

        Raises
        ------
        OSError
            If the other side is gone.
        """
        content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
        with self._lock:
            self._outgoing.write(content)
            self._outgoing.flush()

    def receive(self) -> FromWorker | ToWorker | None:
        """Wait for a message; None when the other side is gone."""
        try:
            message: FromWorker | ToWorker = pickle.load(self._incoming)
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        return message
