"""Compare grades and times of a GPU with those of the CPU, on a machine that has one.

    python scripts/check_gpu.py [FOLDER ...] [--device cuda] [--results gpu.json]

FOLDER holds studies, by default the samples; scripts/bench_study.sh makes more. Prints
a table of joints and one of times, and writes both. Exit code 0: equal grades except at
joints flagged borderline, which are counted; 1: other grades; 2: no such device.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from facetgrade.config import PipelineConfig, read_config, shipped_path
from facetgrade.doctor.self_test import differences
from facetgrade.errors import FacetGradeError
from facetgrade.findings import Graded, StudyReport
from facetgrade.inference import (
    Models,
    choose_device,
    describe_device,
    keep_freed_memory,
    load_models,
)
from facetgrade.ingest import read_studies
from facetgrade.pipeline import grade_study
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

STAGES = ("localize", "refine", "segment", "grade")


def main() -> None:
    """Grade every study on both devices."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--results", type=Path, default=Path("gpu.json"))
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    config = read_config()
    try:
        device = choose_device(options.device)
    except FacetGradeError as error:
        print(error)
        sys.exit(2)
    keep_freed_memory()
    fast = load_models(config, device)
    exact = load_models(_in_float32(config), torch.device("cpu"))
    studies = list(read_studies(*(options.folders or [shipped_path("data_samples")])))
    result: dict[str, Any] = {
        "command": f"scripts/check_gpu.py --repeats {options.repeats}",
        "date": datetime.date.today().isoformat(),
        "device": describe_device(device),
        "machine": f"{platform.system()} {platform.machine()}",
        "torch": torch.__version__,
        "precision": str(fast.localizer.precision),
        **_agreement(studies, fast, exact, config),
    }
    result["median_s"] = _times(studies, fast, config, options.repeats)
    options.results.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    sys.exit(1 if result["other_grades"] else 0)


def _in_float32(config: PipelineConfig) -> PipelineConfig:
    """Return the settings with exact networks."""
    inference = config.inference.model_copy(update={"precision": "float32"})
    return config.model_copy(update={"inference": inference})


def _agreement(
    studies: list[Study], fast: Models, exact: Models, config: PipelineConfig
) -> dict[str, Any]:
    """Count the joints that get the same grade, and list those that do not."""
    equal = borderline = 0
    other: list[str] = []
    for study in studies:
        first = _outcomes(grade_study(study, fast, config))
        second = _outcomes(grade_study(study, exact, config))
        told = list(differences(first, second))
        other += [f"{study.source}: {sentence}" for sentence in told]
        same = sum(_grade(first[j]) == _grade(second[j]) for j in first)
        equal += same
        borderline += len(first) - same - len(told)
    return {
        "studies": len(studies),
        "joints_equal": equal,
        "joints_borderline": borderline,
        "other_grades": other,
    }


def _times(
    studies: list[Study], models: Models, config: PipelineConfig, repeats: int
) -> dict[str, float]:
    """Return the median seconds of each stage of a study, once all is warm."""
    seconds: dict[str, list[float]] = {stage: [] for stage in (*STAGES, "all")}
    for study in studies * repeats:
        watch = Stopwatch()
        start_s = time.perf_counter()
        grade_study(study, models, config, stopwatch=watch)
        seconds["all"].append(time.perf_counter() - start_s)
        for stage in STAGES:
            seconds[stage].append(watch.seconds[stage])
    return {stage: round(statistics.median(v), 3) for stage, v in seconds.items()}


def _outcomes(report: StudyReport) -> dict[Any, Any]:
    """Return outcomes by joint."""
    return {outcome.joint: outcome for outcome in report.outcomes}


def _grade(outcome: object) -> int | str:
    """Return the grade, or that there is none."""
    return outcome.best.grade if isinstance(outcome, Graded) else "none"


if __name__ == "__main__":
    main()
