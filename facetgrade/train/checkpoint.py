"""Where a training run stands, and how it survives being killed at any moment."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from facetgrade.errors import ConfigError
from facetgrade.report.atomic import write_text
from facetgrade.train.manifest import read_manifest
from facetgrade.train.processes import rank
from facetgrade.train.settings import TrainSettings

CHECKPOINT, CURVES = "checkpoint.pt", "curves.csv"
# What may change between the parts of a run without changing its last checkpoint.
_FREE = (
    "folder",
    "minutes",
    "threads",
    "workers",
    "checkpoint_every",
    "device",
    "blend",
    "mask_size",
)
_AFTER = ("fit",)  # sections that are read after the last step


class Task(Protocol):
    """What the loop needs to know of a network and its cases."""

    network: nn.Module
    dataset: Dataset[dict[str, Tensor]]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of one batch."""

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return the metrics on validation cases; `score` is better when higher."""

    def finish(self, network: nn.Module, before: Mapping[str, Tensor] | None) -> None:
        """Do what is left to do to the averaged weights before they are shipped.

        `before` are the weights that the run started from, if any.
        """


@dataclass
class TrainState:
    """Where a run stands; everything that a resumed run needs."""

    network: nn.Module
    average: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    best_score: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    stale: int = 0

    def averaged(self) -> nn.Module:
        """Return the network with the averaged weights."""
        network = self.average.module
        if not isinstance(network, nn.Module):
            raise TypeError("the averaged model holds no network")
        return network


def start(task: Task, settings: TrainSettings, folder: Path) -> TrainState:
    """Make a fresh state or read the checkpoint.

    Raises
    ------
    ConfigError
        If the checkpoint was made with other settings.
    """
    chosen = settings.optimizer
    average = torch.optim.swa_utils.AveragedModel(
        task.network,
        multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(  # type: ignore[no-untyped-call]
            chosen.average_decay
        ),
    )
    optimizer = torch.optim.AdamW(
        task.network.parameters(),
        lr=chosen.learning_rate,
        weight_decay=chosen.weight_decay,
    )
    state = TrainState(task.network, average, optimizer)
    checkpoint = folder / CHECKPOINT
    if checkpoint.exists():
        kept: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        if kept.get("settings", _fingerprint(settings)) != _fingerprint(settings):
            raise ConfigError(
                f"{checkpoint} was made with other settings; choose another run.name, "
                "or delete the folder to start again"
            )
        _restore(state, kept)
        _cut_curve(folder / CURVES, state.step)
    return state


def save(state: TrainState, settings: TrainSettings, folder: Path) -> None:
    """Write the checkpoint so that a kill leaves the old or the new one."""
    if rank() > 0:
        return
    fresh = folder / f"{CHECKPOINT}.new"
    kept = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "step": state.step,
        "steps": state.steps,
        "losses": state.losses,
        "best": state.best,
        "best_score": state.best_score,
        "stale": state.stale,
        "settings": _fingerprint(settings),
    }
    torch.save(kept, fresh)
    fresh.replace(folder / CHECKPOINT)


def _restore(state: TrainState, kept: Mapping[str, Any]) -> None:
    """Fill a state from a checkpoint."""
    state.network.load_state_dict(kept["network"])
    state.average.load_state_dict(kept["average"])
    state.optimizer.load_state_dict(kept["optimizer"])
    state.step, state.steps = int(kept["step"]), int(kept["steps"])
    state.losses = list(kept.get("losses", ()))
    state.best = dict(kept.get("best", {}))
    state.best_score = float(kept.get("best_score", -math.inf))
    state.stale = int(kept.get("stale", 0))


def _cut_curve(path: Path, step: int) -> None:
    """Remove rows of the curve that were written after the checkpoint."""
    if rank() > 0 or not path.exists():
        return
    rows = list(csv.reader(path.read_text().splitlines()))
    kept = [rows[0], *(row for row in rows[1:] if int(row[0]) <= step)]
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(kept)
    write_text(path, stream.getvalue())


def _fingerprint(settings: TrainSettings) -> str:
    """Hash what decides the result of a run."""
    values = settings.model_dump(mode="json")
    values = {k: v for k, v in values.items() if k not in _AFTER}
    values["run"] = {k: v for k, v in values["run"].items() if k not in _FREE}
    if settings.data is not None:
        values["manifest_sha256"] = read_manifest(settings.data.manifest).sha256
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
