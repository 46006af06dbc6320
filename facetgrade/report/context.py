"""The records that the report stage gets from its caller beside the study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.findings import JointMasks

JointOutline = Callable[[JointMasks], NDArray[np.bool_]]
Row = dict[str, str]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ReportContext:
    """What made a report; written into every output.

    Attributes
    ----------
    version : str
        Version of the package.
    config : mapping
        The whole resolved configuration, of JSON types.
    model_sha256 : mapping of str to str
        Name of each model to the SHA-256 of its weights.
    device : str
        Where the networks ran, like ``cpu (2 threads)``.
    joint_outline : callable or None
        Gives the region whose border is the joint's perimeter, on the grid of the
        masks; handed in because stages do not import each other. None leaves it out
        of the pictures.
    """

    version: str
    config: Mapping[str, Any]
    model_sha256: Mapping[str, str]
    device: str
    joint_outline: JointOutline | None = None

    @property
    def config_sha256(self) -> str:
        """Hash of the configuration, independent of the order of its keys."""
        text = json.dumps(self.config, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StudyEntry:
    """One finished study as the batch pages list it.

    Attributes
    ----------
    folder : str
        Folder of its report relative to the output folder, with forward slashes.
    source, study_uid : str
        As in the table, before anything is neutralized.
    content_sha256 : str
        Hash of what the study was read from.
    rows : tuple of dict
        Its rows of joints.csv.
    stage_seconds : mapping of str to float
        Wall time of each stage.
    skipped : bool
        Done by an earlier run and kept.
    """

    folder: str
    source: str
    study_uid: str
    content_sha256: str
    rows: tuple[Row, ...]
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A study or input that could not be processed, and why, in one sentence."""

    source: str
    message: str
    stage: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInput:
    """One INPUT of the command.

    Attributes
    ----------
    path : str
        As the user wrote it.
    sha256 : str
        Over the sorted content hashes of its studies, which decide what a run does
        again; empty for an input without a study or that was not read to its end.
    """

    path: str
    sha256: str = ""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class RunRecord:
    """One run of the command.

    Attributes
    ----------
    started_at, finished_at : str
        ISO 8601 with offset.
    inputs : tuple of RunInput
        What was given.
    studies : tuple of StudyEntry
        Finished studies, those of earlier runs in the same folder included.
    failures : tuple of Failure
        What could not be processed.
    stage_seconds : mapping of str to float
        Wall time outside the studies: start-up, loading of models, search for files.
    context : ReportContext
        Version, configuration, models, device.
    """

    started_at: str
    finished_at: str
    inputs: tuple[RunInput, ...]
    studies: tuple[StudyEntry, ...]
    failures: tuple[Failure, ...]
    stage_seconds: Mapping[str, float]
    context: ReportContext
