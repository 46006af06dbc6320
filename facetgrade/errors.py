"""Every error that data, files or settings can cause."""

from __future__ import annotations


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
