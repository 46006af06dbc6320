"""The training loop: resumable, seeded, the same for every network."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from facetgrade.train.settings import OptimizerSettings, TrainSettings

TIMED_STEPS = 12
VALIDATION_SHARE = 1.08


class Task(Protocol):
    """What the loop needs to know of a network and its cases."""

    network: nn.Module
    dataset: Dataset[dict[str, Tensor]]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the loss of one batch."""

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return the metrics on validation cases; `score` is better when higher."""

    def finish(self, network: nn.Module) -> None:
        """Do what is left to do to the averaged weights before they are shipped."""


@dataclass
class TrainState:
    """Where a run stands; everything that a resumed run needs."""

    network: nn.Module
    average: torch.optim.swa_utils.AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    steps: int = 0

    def averaged(self) -> nn.Module:
        """Return the network with the averaged weights."""
        network = self.average.module
        if not isinstance(network, nn.Module):
            raise TypeError("the averaged model holds no network")
        return network


def run(task: Task, settings: TrainSettings, folder: Path) -> TrainState:
    """Train to the last step, resuming from the newest checkpoint in `folder`.

    Writes ``checkpoint.pt`` (own use only, never shipped) and ``curves.csv``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.run.seed)
    torch.set_num_threads(settings.run.threads)
    state = _start(task, settings, folder)
    if state.steps == 0:
        state.steps = settings.run.steps or _steps_in(task, settings)
    began, losses = time.monotonic(), []
    first = state.step
    for batch in _batches(task, settings, state):
        losses.append(_step(task, batch, state, settings.optimizer))
        state.step += 1
        if state.step % 20 == 0 or state.step == state.steps:
            _report(state, losses[-50:], first, began)
        if state.step % settings.run.checkpoint_every == 0 or state.step == state.steps:
            _save(state, folder)
        if state.step % settings.run.validate_every == 0 or state.step == state.steps:
            metrics = task.validate(state.average)
            _write_curve(folder, state.step, float(np.mean(losses)), metrics)
            losses.clear()
    return state


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate: linear warm-up, cosine decay."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def _start(task: Task, settings: TrainSettings, folder: Path) -> TrainState:
    """Make a fresh state or read the checkpoint."""
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
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        kept: dict[str, Any] = torch.load(checkpoint, weights_only=True)
        task.network.load_state_dict(kept["network"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        state.step, state.steps = int(kept["step"]), int(kept["steps"])
    return state


def _save(state: TrainState, folder: Path) -> None:
    """Write the checkpoint so that a kill leaves the old or the new one."""
    fresh = folder / "checkpoint.pt.new"
    torch.save(
        {
            "network": state.network.state_dict(),
            "average": state.average.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "step": state.step,
            "steps": state.steps,
        },
        fresh,
    )
    fresh.replace(folder / "checkpoint.pt")


def _loader(
    task: Task, settings: TrainSettings, indices: range
) -> Iterator[dict[str, Tensor]]:
    """Yield batches; case i is drawn from (seed, i), whatever the worker."""
    return iter(
        DataLoader(
            Subset(task.dataset, indices),
            batch_size=settings.optimizer.batch,
            num_workers=settings.run.workers,
            prefetch_factor=4 if settings.run.workers else None,
        )
    )


def _batches(
    task: Task, settings: TrainSettings, state: TrainState
) -> Iterator[dict[str, Tensor]]:
    """Yield the batches that remain."""
    batch = settings.optimizer.batch
    return _loader(task, settings, range(state.step * batch, state.steps * batch))


def _step(
    task: Task, batch: dict[str, Tensor], state: TrainState, chosen: OptimizerSettings
) -> float:
    """Take one optimizer step and update the averaged weights."""
    factor = learning_rate_factor(state.step, state.steps, chosen.warmup_steps)
    for group in state.optimizer.param_groups:
        group["lr"] = chosen.learning_rate * factor
    task.network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=chosen.bfloat16):
        loss = task.loss(batch)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(task.network.parameters(), chosen.gradient_clip)
    state.optimizer.step()
    state.average.update_parameters(state.network)
    return float(loss.detach())


def _steps_in(task: Task, settings: TrainSettings) -> int:
    """Turn the time budget into a number of steps by timing forward and backward."""
    batch = settings.optimizer.batch
    marks = []
    for case in _loader(task, settings, range(TIMED_STEPS * batch)):
        task.network.train()
        enabled = settings.optimizer.bfloat16
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = task.loss(case)
        loss.backward()  # type: ignore[no-untyped-call]
        task.network.zero_grad(set_to_none=True)
        marks.append(time.monotonic())
    seconds = float(np.median(np.diff(marks))) * VALIDATION_SHARE
    return max(1, int(settings.run.minutes * 60 / seconds))


def _report(state: TrainState, losses: list[float], first: int, began: float) -> None:
    """Print the live progress line."""
    speed = (time.monotonic() - began) / max(1, state.step - first)
    left = (state.steps - state.step) * speed / 60
    print(  # noqa: T201 - the progress line of a long command
        f"step {state.step}/{state.steps}  loss {np.mean(losses):.4f}  "
        f"{speed:.2f} s/step  {left:.0f} min left",
        flush=True,
    )


def _write_curve(
    folder: Path, step: int, loss: float, metrics: Mapping[str, float]
) -> None:
    """Append one row to curves.csv."""
    path = folder / "curves.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(["step", "loss", *metrics])
        writer.writerow([step, f"{loss:.5f}", *(f"{v:.4f}" for v in metrics.values())])
    shown = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
    print(f"validation at {step}: {shown}", flush=True)  # noqa: T201
