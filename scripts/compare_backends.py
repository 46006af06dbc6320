"""Compare the grades of the networks' backends on any folder of studies.

    python scripts/compare_backends.py FOLDER ... [--backends bfloat16,compiled,cuda]
                                       [--results backends.json]

Every study is graded by torch in float32 on the CPU and by each backend: `bfloat16`,
`compiled` (torch.compile in float32), or a device such as `cuda`. Joints with another
grade are counted as borderline where either side is flagged so, else listed. Results
are written after each study, and the same command goes on with what is missing. Exit
code 0: no other grades; 1: other grades; 2: no study or no such device.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from facetgrade.anatomy import FacetJoint
from facetgrade.config import PipelineConfig, read_config
from facetgrade.doctor.self_test import differences
from facetgrade.errors import FacetGradeError
from facetgrade.findings import Graded, Outcome
from facetgrade.inference import (
    Models,
    choose_device,
    describe_device,
    keep_freed_memory,
    load_models,
    model_hashes,
)
from facetgrade.ingest import Privacy, find_studies, load_study
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.atomic import write_json
from facetgrade.study import Study

CPU = torch.device("cpu")
PRIVACY = Privacy(key=b"k" * 32, keep_patient_id=False, mask_uids=False)
REQUEST = Request(accept_assumed_levels=True)
Outcomes = dict[FacetJoint, Outcome]


def main() -> None:
    """Compare study by study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--backends", default="bfloat16")
    parser.add_argument("--results", type=Path, default=Path("backends.json"))
    options = parser.parse_args()
    logging.getLogger("facetgrade").setLevel(logging.ERROR)
    config = read_config()
    keep_freed_memory()
    try:
        exact = load_models(_in(config, "float32"), CPU)
        others = {n: _load(n, config) for n in options.backends.split(",")}
        record = _compare(options.folders, exact, others, config, options.results)
    except FacetGradeError as error:
        print(error)
        sys.exit(2)
    if not record:
        sys.exit(2)
    print(json.dumps({k: v for k, v in record.items() if k != "studies"}, indent=2))
    sys.exit(1 if any(one["other"] for one in record["backends"].values()) else 0)


def _load(name: str, config: PipelineConfig) -> Models:
    """Load the networks for a backend."""
    if name == "bfloat16":
        return load_models(_in(config, name), CPU)
    if name != "compiled":
        return load_models(config, choose_device(name))
    models = load_models(_in(config, "float32"), CPU)
    for predictor in (models.localizer, models.segmenter):
        predictor.network.compile(dynamic=True)
    return models


def _in(config: PipelineConfig, precision: str) -> PipelineConfig:
    """Return the settings with networks in one precision."""
    inference = config.inference.model_copy(update={"precision": precision})
    return config.model_copy(update={"inference": inference})


def _compare(
    folders: list[Path],
    exact: Models,
    others: Mapping[str, Models],
    config: PipelineConfig,
    results: Path,
) -> dict[str, Any]:
    """Grade what is missing; write the results again after each study."""
    made_by = {
        "models": model_hashes(config),
        "torch": torch.__version__,
        "devices": {name: describe_device(m.device) for name, m in others.items()},
    }
    studies = _earlier(results, made_by)
    record: dict[str, Any] = {}
    for files in find_studies(*folders, settings=config.ingest):
        if files.source not in studies:
            try:
                study = load_study(files, config.ingest, PRIVACY)
            except FacetGradeError as error:
                print(f"left out: {error}")
                continue
            studies[files.source] = _study(study, exact, others, config)
            print(f"{len(studies)} {files.source}: {studies[files.source]}", flush=True)
        record = {**made_by, "backends": _total(studies, others), "studies": studies}
        write_json(results, record)
    return record


def _study(
    study: Study, exact: Models, others: Mapping[str, Models], config: PipelineConfig
) -> dict[str, Any]:
    """Compare the joints of one study."""
    first = _outcomes(study, exact, config)
    compared = {}
    for name, models in others.items():
        second = _outcomes(study, models, config)
        other = list(differences(second, first))
        same = sum(_grade(first[joint]) == _grade(second[joint]) for joint in first)
        compared[name] = {
            "equal": same,
            "borderline": len(first) - same - len(other),
            "other": other,
        }
    return compared


def _total(
    studies: Mapping[str, Any], others: Mapping[str, Models]
) -> dict[str, dict[str, Any]]:
    """Add up the studies."""
    return {
        name: {
            "studies": len(studies),
            "joints_equal": sum(one[name]["equal"] for one in studies.values()),
            "joints_borderline": sum(
                one[name]["borderline"] for one in studies.values()
            ),
            "other": [
                f"{source}: {sentence}"
                for source, one in studies.items()
                for sentence in one[name]["other"]
            ],
        }
        for name in others
    }


def _earlier(results: Path, made_by: Mapping[str, Any]) -> dict[str, Any]:
    """Return the studies of an earlier run with the same models and backends."""
    if not results.exists():
        return {}
    record = json.loads(results.read_text(encoding="utf-8"))
    same = all(record.get(name) == value for name, value in made_by.items())
    studies: dict[str, Any] = record["studies"] if same else {}
    return studies


def _outcomes(study: Study, models: Models, config: PipelineConfig) -> Outcomes:
    """Return outcomes by joint."""
    report = grade_study(study, models, config, request=REQUEST)
    return {outcome.joint: outcome for outcome in report.outcomes}


def _grade(outcome: Outcome) -> int | str:
    """Return the grade, or that there is none."""
    return outcome.best.grade if isinstance(outcome, Graded) else "none"


if __name__ == "__main__":
    main()
