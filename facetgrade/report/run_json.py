"""run.json: what one run read, with what, how long it took, what failed."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from facetgrade.report.atomic import write_json
from facetgrade.report.context import RunRecord
from facetgrade.report.words import RESEARCH_USE

SCHEMA_VERSION = "1"

_PACKAGES = (
    "torch",
    "numpy",
    "scipy",
    "pydicom",
    "nibabel",
    "SimpleITK",
    "scikit-image",
)


def run_record(run: RunRecord) -> dict[str, Any]:
    """Put one run into JSON types.

    Parameters
    ----------
    run : RunRecord
        The run.

    Returns
    -------
    dict
        Valid by ``schemas/run.schema.json``.
    """
    context = run.context
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "versions": _versions(context.version),
        "device": context.device,
        "model_sha256": dict(context.model_sha256),
        "config_sha256": context.config_sha256,
        "config": dict(context.config),
        "inputs": [{"path": i.path, "sha256": i.sha256 or None} for i in run.inputs],
        "studies": [
            {
                "source": study.source,
                "study_uid": study.study_uid,
                "folder": study.folder,
                "content_sha256": study.content_sha256,
                "skipped": study.skipped,
                "stage_seconds": dict(study.stage_seconds),
            }
            for study in run.studies
        ],
        "stage_seconds": _total_seconds(run),
        "failures": [
            {"source": f.source, "stage": f.stage or None, "message": f.message}
            for f in run.failures
        ],
    }


def write_run_json(path: Path, run: RunRecord) -> None:
    """Write run.json whole or not at all."""
    write_json(path, run_record(run))


def _versions(version: str) -> dict[str, str]:
    """Name the versions that can change a number."""
    versions = {"facetgrade": version, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _total_seconds(run: RunRecord) -> dict[str, float]:
    """Add the stages of the studies that this run graded to its own."""
    total = dict(run.stage_seconds)
    for study in run.studies:
        if study.skipped:
            continue
        for stage, seconds in study.stage_seconds.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total
