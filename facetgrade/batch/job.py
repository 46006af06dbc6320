"""What one run of the command is asked to do, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from facetgrade.batch.anchors import Anchors
from facetgrade.batch.masking import Masking
from facetgrade.batch.shard import Shard
from facetgrade.config import PipelineConfig
from facetgrade.exchange.settings import DicomSettings
from facetgrade.ingest import Privacy
from facetgrade.report import Failure, ReportContext, StudyEntry
from facetgrade.request import Request

NO_MASKING = Masking()
WHOLE = Shard(number=1, count=1)


class Watcher(Protocol):
    """Whoever shows the progress of a batch."""

    def problems(self, sentences: Sequence[str]) -> None:
        """Tell which files could not be used."""

    def found(self, count: int) -> None:
        """Tell how many studies there are."""

    def stage(self, name: str) -> None:
        """Tell that the current study enters a stage."""

    def finished(self, entry: StudyEntry) -> None:
        """Tell that a study was graded or kept."""

    def failed(self, failure: Failure) -> None:
        """Tell that a study could not be graded."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BatchJob:
    """What one run of the command is asked to do.

    Attributes
    ----------
    inputs : tuple of Path
        Folders, archives and files.
    out : Path
        Output folder.
    config : PipelineConfig
        Settings of all stages.
    context : ReportContext
        What is written into every output.
    request : Request
        Levels, and whether assumed level names are accepted.
    anchors : Anchors
        Known vertebrae.
    privacy : Privacy
        How patients and UIDs are named.
    force : bool
        Grade again what is done, even by other settings.
    dicom : DicomSettings or None
        Also write DICOM SEG and SR, labelled so.
    masking : Masking
        Whether sources and dates are masked.
    shard : Shard
        The part of the studies that this run does.
    retry_quarantined : bool
        Try studies again that an earlier run gave up.
    """

    inputs: tuple[Path, ...]
    out: Path
    config: PipelineConfig
    context: ReportContext
    request: Request
    anchors: Anchors
    privacy: Privacy
    force: bool = False
    dicom: DicomSettings | None = None
    masking: Masking = NO_MASKING
    shard: Shard = WHOLE
    retry_quarantined: bool = False

    @property
    def retries_all(self) -> bool:
        """Whether no study is given up for what earlier runs met."""
        return self.force or self.retry_quarantined

    @property
    def made_by(self) -> dict[str, Any]:
        """Everything that can change a result, for the ledger."""
        return {
            "version": self.context.version,
            "config": self.context.config,
            "models": self.context.model_sha256,
            "levels": sorted(self.request.levels),
            "accept-assumed-levels": self.request.accept_assumed_levels,
            "keep-patient-id": self.privacy.keep_patient_id,
            "mask-uids": self.privacy.mask_uids,
            "dicom": self.dicom.model_dump(mode="json") if self.dicom else False,
            "mask-source": self.masking.sources,
            "mask-dates": self.masking.dates,
            "key": hashlib.sha256(b"ledger" + self.privacy.key).hexdigest(),
        }


@dataclass(eq=False, kw_only=True, slots=True)
class BatchSummary:
    """What became of the studies of one run.

    Attributes
    ----------
    entries : list of StudyEntry
        Graded now or before.
    failures : list of Failure
        What could not be processed.
    bugs : int
        Failures that are faults of facetgrade.
    """

    entries: list[StudyEntry] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    bugs: int = 0

    @property
    def exit_code(self) -> int:
        """0 all finished, 1 bug, 2 nothing could be processed, 3 some failed.

        A shard of a small cohort may hold no study, and has then finished all.
        """
        if self.bugs:
            return 1
        if not self.failures:
            return 0
        return 3 if self.entries else 2
