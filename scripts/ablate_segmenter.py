"""Train the segmenter in several ways, and judge all on one anatomy that none has seen.

    python scripts/ablate_segmenter.py [CONFIG] [--out out/ablation] [--only ARM ...]

CONFIG (configs/ablation.toml) names the arms. Results go to models/ablation.json after
every arm; the same command goes on with those that are missing, and prints the table.
An arm takes about 15 minutes of one core, the simulated patients of an arm that changes
them as much again (--simulate-only makes those of all arms, --workers at a time). Needs
../shared/data.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from facetgrade.config_files import check_settings, merge, read_toml
from facetgrade.report.atomic import write_json
from facetgrade.simulate.protocols import Protocol
from facetgrade.simulate.tissue import (
    Signals,
    SubjectTissue,
    physics_signals,
    random_contrast,
)
from facetgrade.train import losses, segmenter_cases
from facetgrade.train.cases import PlannedCase, prepare_cases
from facetgrade.train.loop import run
from facetgrade.train.segmenter import (
    SegmenterTask,
    dice_metrics,
    make_segmenter_case,
)
from facetgrade.train.segmenter_cases import SegmenterDataset
from facetgrade.train.settings import CaseSettings, TrainSettings

RESULTS = Path("models/ablation.json")
ITEMS = 96
OWN_KEYS = ("without", "lesion_entropy", "signals")  # of this script, not of trainings
FIGURES = (
    "structures",
    "joint_space",
    "effusion",
    "soft_tissue_edema",
    "marrow_edema",
    "cyst",
)


class CoarseGrid(nn.Module):
    """A segmenter that reads and answers at half the resolution in two axes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, stacks: Tensor, contrast: Tensor, present: Tensor) -> Tensor:
        """Map stacks to logits on their own grid, as `JointSegmenter.forward`."""
        coarse = functional.avg_pool3d(stacks.flatten(0, 1), (1, 2, 2))
        logits = self.network(coarse.unflatten(0, stacks.shape[:2]), contrast, present)
        return functional.interpolate(logits, stacks.shape[3:], mode="trilinear")


def main() -> None:
    """Train what is missing and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default="configs/ablation.toml")
    parser.add_argument("--out", type=Path, default=Path("out/ablation"))
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--simulate-only", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    config = read_toml(options.config)
    base = merge(read_toml(Path(config["base"])), config["common"])
    results = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    held_out = _held_out(base, config["held_out"], options)
    for name, changes in config["arms"].items():
        if name in results or (options.only and name not in options.only):
            continue
        print(f"arm: {name}", flush=True)
        arm = dict(changes)
        own = {key: arm.pop(key) for key in OWN_KEYS if key in arm}
        values = merge(base, arm)
        place = name.replace(" ", "-").replace(",", "")
        values = merge(values, {"run": {"name": place, "steps": config["steps"]}})
        settings = check_settings(values, TrainSettings, options.config)
        folder = options.out / place
        _share_cases(folder, settings, own.get("signals", ""), options)
        if options.simulate_only:
            continue
        results[name] = {
            "date": datetime.date.today().isoformat(),
            "steps": config["steps"],
            "changes": changes,
            **_one_arm(settings, folder, own, held_out),
        }
        write_json(RESULTS, results)
    print(_table(results))


def _held_out(
    base: Mapping[str, Any], cases: Mapping[str, Any], options: argparse.Namespace
) -> list[dict[str, Tensor]]:
    """Make the patients that judge, with what else their settings need."""
    kept = {k: v for k, v in base["cases"].items() if k not in cases}
    values = {**base, "cases": {**kept, **cases}}
    settings = check_settings(values, TrainSettings, options.config)
    made = prepare_cases(
        settings.cases,
        _cases_folder(settings, "", options.out),
        make_segmenter_case,
        processes=options.workers,
    )
    dataset = SegmenterDataset(made["sources"], settings.cases.seed)
    return [dataset[index] for index in range(ITEMS)]


def _one_arm(
    settings: TrainSettings,
    folder: Path,
    own: Mapping[str, Any],
    held_out: list[dict[str, Tensor]],
) -> dict[str, float]:
    """Train one arm and judge its averaged weights."""
    task = SegmenterTask(settings, folder)
    if "without" in own:
        WITHOUT[own["without"]](task)
    weight = own.get("lesion_entropy", losses.LESION_ENTROPY)
    with mock.patch.object(losses, "LESION_ENTROPY", weight):
        state = run(task, settings, folder)
    metrics = dice_metrics(state.average.eval(), held_out)
    return {figure: round(metrics[figure], 4) for figure in FIGURES}


def _without_contrast_class(task: SegmenterTask) -> None:
    """Treat all contrasts alike."""
    _freeze_at_zero(task.network.contrast.weight)


def _without_stack_weights(task: SegmenterTask) -> None:
    """Count all stacks alike, whatever they resolve."""
    for layer in task.network.weights:
        for parameter in layer.parameters():
            _freeze_at_zero(parameter)


def _without_fine_grid(task: SegmenterTask) -> None:
    """Read and answer on a grid of 1.4 mm."""
    task.network = CoarseGrid(task.network)


def _freeze_at_zero(parameter: nn.Parameter) -> None:
    """Keep a parameter at zero."""
    nn.init.zeros_(parameter)
    parameter.requires_grad_(False)


def make_smooth_case(settings: CaseSettings, case: PlannedCase) -> None:
    """Simulate one patient whose tissues have no grain."""

    def smooth(protocol: Protocol, subject: SubjectTissue) -> Signals:
        signals = physics_signals(protocol, subject)
        return replace(
            signals,
            texture=np.zeros_like(signals.texture),
            water_texture=np.zeros_like(signals.water_texture),
        )

    _make_with(smooth, settings, case)


def make_random_case(settings: CaseSettings, case: PlannedCase) -> None:
    """Simulate one patient whose tissues are bright or dark at random."""
    rng = np.random.default_rng([*case.seed, 1])

    def random(_protocol: Protocol, _subject: SubjectTissue) -> Signals:
        return random_contrast(rng)

    _make_with(random, settings, case)


def _make_with(
    signals: Callable[[Protocol, SubjectTissue], Signals],
    settings: CaseSettings,
    case: PlannedCase,
) -> None:
    """Simulate one patient with other signals of tissues."""
    with mock.patch.object(segmenter_cases, "physics_signals", signals):
        make_segmenter_case(settings, case)


WITHOUT: Mapping[str, Callable[[SegmenterTask], None]] = {
    "contrast class": _without_contrast_class,
    "stack weights": _without_stack_weights,
    "fine grid": _without_fine_grid,
}
MAKERS: Mapping[str, Callable[[CaseSettings, PlannedCase], None]] = {
    "": make_segmenter_case,
    "smooth": make_smooth_case,
    "random": make_random_case,
}


def _share_cases(
    folder: Path, settings: TrainSettings, signals: str, options: argparse.Namespace
) -> None:
    """Make the patients of an arm; arms with the same patients share them."""
    shared = _cases_folder(settings, signals, options.out)
    prepare_cases(settings.cases, shared, MAKERS[signals], processes=options.workers)
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "cases"
    if not link.exists():
        link.symlink_to(shared.resolve(), target_is_directory=True)


def _cases_folder(settings: TrainSettings, signals: str, out: Path) -> Path:
    """Name a folder after all that makes the patients in it."""
    text = settings.cases.model_dump_json() + signals
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
