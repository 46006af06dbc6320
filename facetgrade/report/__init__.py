"""Write what was found: tables, JSON, masks and pages."""

from facetgrade.report.context import (
    Failure,
    ReportContext,
    RunInput,
    RunRecord,
    StudyEntry,
)
from facetgrade.report.settings import ReportSettings
from facetgrade.report.study_json import read_study_entry
from facetgrade.report.write import study_entry, write_run, write_study

__all__ = [
    "Failure",
    "ReportContext",
    "ReportSettings",
    "RunInput",
    "RunRecord",
    "StudyEntry",
    "read_study_entry",
    "study_entry",
    "write_run",
    "write_study",
]
