"""Settings of a run: shipped TOML files, the user's changes, one checked model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

# First: a stage may need the readers while it is imported for its settings below.
from facetgrade.config_files import (
    check_settings,
    merge,
    read_settings,
    read_shipped,
    read_toml,
    shipped_path,
)
from facetgrade.grade.settings import GradeSettings
from facetgrade.ingest.settings import IngestSettings
from facetgrade.localize.settings import LocalizeSettings
from facetgrade.report.settings import ReportSettings
from facetgrade.segment.settings import SegmentSettings

__all__ = [
    "PipelineConfig",
    "check_settings",
    "config_values",
    "merge",
    "read_config",
    "read_settings",
    "read_shipped",
    "read_toml",
    "shipped_path",
]

PIPELINE = "configs/pipeline.toml"
GRADE_RULES = "configs/grade.toml"
SERIES_RULES = "configs/series_rules.toml"


class InferenceSettings(BaseModel):
    """How networks run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    precision: Literal["auto", "float32", "bfloat16"]
    compile_on_gpu: bool


class PipelineConfig(BaseModel):
    """Every setting of `facetgrade grade`, one section per stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ingest: IngestSettings
    inference: InferenceSettings
    localize: LocalizeSettings
    segment: SegmentSettings
    grade: GradeSettings
    report: ReportSettings


def read_config(path: Path | None = None) -> PipelineConfig:
    """Read the shipped settings, with the changes of a user's file.

    The shipped files name every key: pipeline.toml, grade.toml as section ``grade``
    and series_rules.toml as ``ingest.series_rules``. The user's file names only what
    differs, under the same sections.

    Parameters
    ----------
    path : Path or None
        The user's file; None changes nothing.

    Raises
    ------
    ConfigError
        With file and key, if a key is unknown, missing or impossible.
    """
    pipeline = shipped_path(PIPELINE)
    values = read_toml(pipeline)
    values["grade"] = read_toml(shipped_path(GRADE_RULES))
    series_rules = read_toml(shipped_path(SERIES_RULES))
    values["ingest"] = {**values.get("ingest", {}), "series_rules": series_rules}
    if path is not None:
        values = merge(values, read_toml(path))
    return check_settings(values, PipelineConfig, path or pipeline)


def config_values(config: BaseModel) -> dict[str, Any]:
    """Return all settings as JSON types, for reports and hashes."""
    return config.model_dump(mode="json")
