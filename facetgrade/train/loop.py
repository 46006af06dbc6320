"""The training loop: resumable, seeded, the same for every network."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from facetgrade.train.checkpoint import Task, TrainState, save, start
from facetgrade.train.processes import (
    agree,
    rank,
    sum_gradients,
    to_device,
    world_size,
)
from facetgrade.train.settings import OptimizerSettings, TrainSettings

CPU = torch.device("cpu")
TIMED_STEPS = 12
VALIDATION_SHARE = 1.08


def run(
    task: Task,
    settings: TrainSettings,
    folder: Path,
    device: torch.device = CPU,
) -> TrainState:
    """Train to the last step, resuming from the newest checkpoint in `folder`.

    Every case is drawn from the seed and the number of its step, so that a run that was
    killed ends with the weights of one that was not. Writes ``checkpoint.pt`` (own use
    only, never shipped) and ``curves.csv``. With several processes each takes its part
    of every batch and the first one writes.

    Raises
    ------
    ConfigError
        If the checkpoint was made with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.run.seed)
    torch.set_num_threads(settings.run.threads)
    task.network.to(device)
    state = start(task, settings, folder)
    if state.steps == 0:
        measured = settings.run.steps or _steps_in(task, settings, device)
        state.steps = int(agree(measured))
        save(state, settings, folder)
    began, first = time.monotonic(), state.step
    batches = _batches(task, settings, state)
    while state.step < state.steps and not _is_stale(state, settings):
        state.losses.append(_step(task, batches, state, settings.optimizer, device))
        state.step += 1
        last = state.step == state.steps
        if state.step % 20 == 0 or last:
            _report(state, state.losses[-50:], first, began)
        if state.step % settings.run.validate_every == 0 or last:
            _validate(task, state, settings, folder)
        if state.step % settings.run.checkpoint_every == 0 or last:
            save(state, settings, folder)
    if settings.run.keep == "best" and state.best:
        state.averaged().load_state_dict(state.best)
    return state


def _is_stale(state: TrainState, settings: TrainSettings) -> bool:
    """Tell whether the score has not risen for long enough to stop."""
    return 0 < settings.run.patience <= state.stale


def _validate(
    task: Task, state: TrainState, settings: TrainSettings, folder: Path
) -> None:
    """Measure the averaged weights, keep the best, write a row of the curve."""
    score = math.nan
    if rank() == 0:
        metrics = task.validate(state.average)
        _write_curve(folder, state.step, float(np.mean(state.losses)), metrics)
        score = float(metrics["score"])
    score = agree(score)
    state.losses.clear()
    state.stale += 1
    if score > state.best_score:
        state.best_score, state.stale = score, 0
        if settings.run.keep == "best":
            kept = state.averaged().state_dict()
            state.best = {key: value.clone() for key, value in kept.items()}


def learning_rate_factor(step: int, steps: int, warmup: int) -> float:
    """Return the share of the peak learning rate: linear warm-up, cosine decay."""
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def _loader(
    task: Task, settings: TrainSettings, steps: range
) -> Iterator[dict[str, Tensor]]:
    """Yield the parts of this process; case i is drawn from (seed, i) by any worker."""
    return iter(
        DataLoader(
            task.dataset,
            batch_sampler=batch_indices(settings, steps, rank(), world_size()),
            num_workers=settings.run.workers,
            prefetch_factor=4 if settings.run.workers else None,
        )
    )


def batch_indices(
    settings: TrainSettings, steps: range, process: int, processes: int
) -> list[list[int]]:
    """Return the numbers of the cases that one process sees, batch by batch.

    Together the processes see the cases that one process with the batch of all sees.
    """
    batch = settings.optimizer.batch
    first, last = (n * settings.optimizer.accumulate for n in (steps.start, steps.stop))
    starts = ((n * processes + process) * batch for n in range(first, last))
    return [list(range(number, number + batch)) for number in starts]


def _batches(
    task: Task, settings: TrainSettings, state: TrainState
) -> Iterator[dict[str, Tensor]]:
    """Yield the batches that remain."""
    return _loader(task, settings, range(state.step, state.steps))


def _step(
    task: Task,
    batches: Iterator[dict[str, Tensor]],
    state: TrainState,
    chosen: OptimizerSettings,
    device: torch.device,
) -> float:
    """Take one optimizer step and update the averaged weights."""
    factor = learning_rate_factor(state.step, state.steps, chosen.warmup_steps)
    for group in state.optimizer.param_groups:
        group["lr"] = chosen.learning_rate * factor
    task.network.train()
    state.optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for _ in range(chosen.accumulate):
        batch = to_device(next(batches), device)
        with torch.autocast(device.type, torch.bfloat16, enabled=chosen.bfloat16):
            loss = task.loss(batch) / chosen.accumulate
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    sum_gradients(task.network)
    nn.utils.clip_grad_norm_(task.network.parameters(), chosen.gradient_clip)
    state.optimizer.step()
    state.average.update_parameters(state.network)
    return total


def _steps_in(task: Task, settings: TrainSettings, device: torch.device) -> int:
    """Turn the time budget into a number of steps by timing forward and backward."""
    marks = []
    enabled = settings.optimizer.bfloat16
    for case in _loader(task, settings, range(TIMED_STEPS)):
        task.network.train()
        with torch.autocast(device.type, torch.bfloat16, enabled=enabled):
            loss = task.loss(to_device(case, device))
        loss.backward()  # type: ignore[no-untyped-call]
        task.network.zero_grad(set_to_none=True)
        marks.append(time.monotonic())
    seconds = float(np.median(np.diff(marks))) * VALIDATION_SHARE
    return max(1, int(settings.run.minutes * 60 / seconds))


def _report(state: TrainState, losses: list[float], first: int, began: float) -> None:
    """Print the live progress line."""
    if rank() > 0:
        return
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
