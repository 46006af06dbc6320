"""Grade a simulated study from its files, as a user would."""

from __future__ import annotations

import logging
from pathlib import Path

from facetgrade.config import PipelineConfig
from facetgrade.findings import StudyReport
from facetgrade.inference import Models
from facetgrade.ingest import read_studies
from facetgrade.pipeline import Request, grade_study

log = logging.getLogger(__name__)


def grade_folder(
    folder: Path, models: Models, pipeline: PipelineConfig, request: Request
) -> StudyReport:
    """Read and grade the one study in a folder.

    Parameters
    ----------
    folder : Path
        DICOM files of one study; of several the one with most series is graded.
    models : Models
        Loaded networks.
    pipeline : PipelineConfig
        Settings.
    request : Request
        Levels, and whether assumed level names are accepted.

    Raises
    ------
    FacetGradeError
        If the study cannot be read.
    """
    studies = list(read_studies(folder))
    if len(studies) != 1:
        log.warning("%s was read as %d studies", folder.parent.name, len(studies))
    study = max(studies, key=lambda candidate: len(candidate.series))
    return grade_study(study, models, pipeline, request=request)
