"""Every error that data, files or settings can cause."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def one_line(text: str) -> str:
    """Replace line ends and control characters, which a file name may hold."""
    return "".join(c if c.isprintable() else " " for c in text)


class FacetGradeError(Exception):
    """Base of all errors caused by input; the message is one sentence for the user.

    Whatever arguments a subclass takes, its errors reach the process that waits for a
    worker: they are pickled by message and attributes, not by calling the class again.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), self.args, self.__dict__)


def _remade(
    kind: type[FacetGradeError], args: tuple[object, ...], attributes: dict[str, Any]
) -> FacetGradeError:
    """Make an error of a worker anew, without its own arguments."""
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class IngestError(FacetGradeError):
    """A file, series or study cannot be read."""


class ConfigError(FacetGradeError):
    """A configuration file has an unknown, missing or impossible setting."""


class ModelError(FacetGradeError):
    """A weight file is missing, altered or of another architecture."""


class OutputError(FacetGradeError):
    """The output folder cannot be used."""


class TransferError(FacetGradeError):
    """An archive did not give or take what it was asked to."""


class ConnectionLostError(TransferError):
    """A transfer broke off for a reason that may pass.

    Attributes
    ----------
    wait_s : float
        How long the other side asked to be left alone.
    """

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        self.wait_s = wait_s
        super().__init__(message)


class WorkerError(FacetGradeError):
    """Processes or machines that should grade cannot be started or reached."""


class AnatomyError(FacetGradeError):
    """Files of an anatomy source of the simulator are missing or unusable."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"anatomy source {path}: {reason}")
