"""Every error that data, files or settings can cause."""

from __future__ import annotations

from pathlib import Path


def one_line(text: str) -> str:
    """Replace line ends and control characters, which a file name may hold."""
    return "".join(c if c.isprintable() else " " for c in text)


class FacetGradeError(Exception):
    """Base of all errors caused by input; the message is one sentence for the user."""


class IngestError(FacetGradeError):
    """A file, series or study cannot be read."""


class ConfigError(FacetGradeError):
    """A configuration file has an unknown, missing or impossible setting."""


class ModelError(FacetGradeError):
    """A weight file is missing, altered or of another architecture."""


class OutputError(FacetGradeError):
    """The output folder cannot be used."""


class AnatomyError(FacetGradeError):
    """Files of an anatomy source of the simulator are missing or unusable."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"anatomy source {path}: {reason}")
