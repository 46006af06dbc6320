"""Train the segmenter in several ways, and judge all on one anatomy that none has seen.

    python scripts/ablate_segmenter.py [CONFIG] [--out out/ablation] [--only ARM ...]

CONFIG (configs/ablation.toml) names the arms. Results go to models/ablation.json after
every arm; the same command goes on with those that are missing, and prints the table.
An arm takes about 15 minutes of one core, the simulated patients of an arm that changes
them as much again. Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from facetgrade.config_files import check_settings, merge, read_toml
from facetgrade.report.atomic import write_json
from facetgrade.train.cases import prepare_cases
from facetgrade.train.loop import run
from facetgrade.train.segmenter import (
    SegmenterTask,
    dice_metrics,
    make_segmenter_case,
)
from facetgrade.train.segmenter_cases import SegmenterDataset
from facetgrade.train.settings import TrainSettings

RESULTS = Path("models/ablation.json")
ITEMS = 96
FIGURES = (
    "structures",
    "joint_space",
    "effusion",
    "soft_tissue_edema",
    "marrow_edema",
    "cyst",
)


def main() -> None:
    """Train what is missing and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default="configs/ablation.toml")
    parser.add_argument("--out", type=Path, default=Path("out/ablation"))
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    config = read_toml(options.config)
    base = merge(read_toml(Path(config["base"])), config["common"])
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    held_out = _held_out(base, config["held_out"], options)
    for name, changes in config["arms"].items():
        if name in results or (options.only and name not in options.only):
            continue
        print(f"arm: {name}", flush=True)
        results[name] = _one_arm(
            name, base, changes, config["steps"], held_out, options
        )
        write_json(RESULTS, results)
    print(_table(results))


def _held_out(
    base: Mapping[str, Any], cases: Mapping[str, Any], options: argparse.Namespace
) -> list[dict[str, torch.Tensor]]:
    """Make the patients that judge, with what else their settings need."""
    kept = {k: v for k, v in base["cases"].items() if k not in cases}
    values = {**base, "cases": {**kept, **cases}}
    settings = check_settings(values, TrainSettings, options.config)
    made = prepare_cases(
        settings.cases,
        _cases_folder(settings, options.out),
        make_segmenter_case,
        processes=settings.run.threads,
    )
    dataset = SegmenterDataset(made["sources"], settings.cases.seed)
    return [dataset[index] for index in range(ITEMS)]


def _one_arm(
    name: str,
    base: Mapping[str, Any],
    changes: Mapping[str, Any],
    steps: int,
    held_out: list[dict[str, torch.Tensor]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Train one arm and judge its averaged weights."""
    place = name.replace(" ", "-").replace(",", "")
    conditioned = changes.get("conditioned", True)
    values = merge(base, {k: v for k, v in changes.items() if k != "conditioned"})
    values = merge(values, {"run": {"name": place, "steps": steps}})
    settings = check_settings(values, TrainSettings, options.config)
    folder = options.out / place
    _share_cases(folder, settings, options.out)
    task = SegmenterTask(settings, folder)
    if not conditioned:
        torch.nn.init.zeros_(task.network.contrast.weight)
        task.network.contrast.weight.requires_grad_(False)
    state = run(task, settings, folder)
    network = state.average.eval()
    metrics = dice_metrics(network, held_out)
    return {
        "date": datetime.date.today().isoformat(),
        "steps": steps,
        "changes": changes,
        **{figure: round(metrics[figure], 4) for figure in FIGURES},
    }


def _share_cases(folder: Path, settings: TrainSettings, out: Path) -> None:
    """Let arms with the same patients share them."""
    shared = _cases_folder(settings, out)
    shared.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "cases"
    if not link.exists():
        link.symlink_to(shared.resolve(), target_is_directory=True)


def _cases_folder(settings: TrainSettings, out: Path) -> Path:
    """Name a folder after all that makes the patients in it."""
    text = settings.cases.model_dump_json()
    return out / f"cases-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the results as a Markdown table."""
    names = [figure.replace("_", " ") for figure in FIGURES]
    rows = [["arm", *names], ["---"] * (len(names) + 1)]
    rows += [
        [name, *(f"{one[figure]:.3f}" for figure in FIGURES)]
        for name, one in results.items()
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
