"""Train the networks that facetgrade ships, and better ones on annotated cases."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.train.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor

    from facetgrade.train.checkpoint import Task

__all__ = ["train"]

SHIPPED = "shipped"


def train(config_path: Path) -> Path:
    """Train a network as a configuration says, resuming where a run stopped.

    Parameters
    ----------
    config_path : Path
        A file such as ``configs/train_localizer.toml``.

    Returns
    -------
    Path
        The weight file, entered in the ``manifest.toml`` beside it by its SHA-256: in
        ``models/`` for weights from simulation alone, otherwise in the run's folder,
        from where ``facetgrade models install`` takes them.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or impossible.
    FacetGradeError
        If an annotated case cannot be used.
    """
    from facetgrade.inference.allocator import keep_freed_memory
    from facetgrade.train.blend import blend_weights
    from facetgrade.train.install import install_weights
    from facetgrade.train.loop import run
    from facetgrade.train.own_settings import fit_own_settings
    from facetgrade.train.processes import process_group, rank

    keep_freed_memory()
    settings = resolve_start(read_settings(config_path, TrainSettings))
    folder = settings.run.folder / settings.run.name
    folder.mkdir(parents=True, exist_ok=True)
    own = settings.data is not None or bool(settings.run.start)
    models = folder if own else shipped_path("models")
    with process_group(settings.run.device) as device:
        task = _make_task(settings, folder)
        state = run(task, settings, folder, device)
        network = state.averaged()
        before = start_weights(settings) if settings.run.start else None
        blended = settings.run.blend < 1.0
        if blended and before:
            blend_weights(network, before, settings.run.blend)
        task.finish(network, before)
        if rank() > 0:
            return models / f"{settings.card.weights}.safetensors"
        measured = task.validate(network) if blended else {}
        fitted = fit_own_settings(network, settings, folder)
    with (folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    best = settings.run.keep == "best"
    row = max(rows, key=lambda one: float(one["score"])) if best else rows[-1]
    metrics = {key: float(value) for key, value in row.items() if key != "step"}
    metrics |= measured
    return install_weights(
        network.cpu(),
        settings,
        models,
        steps=state.step,
        metrics=metrics,
        fitted=fitted,
    )


def resolve_start(settings: TrainSettings) -> TrainSettings:
    """Replace the start ``shipped`` by the name of the weights that are shipped."""
    if settings.run.start != SHIPPED:
        return settings
    shipped = read_config()
    is_localizer = settings.run.architecture == "spine-localizer"
    stage = shipped.localize if is_localizer else shipped.segment
    run = settings.run.model_copy(update={"start": stage.weights})
    return settings.model_copy(update={"run": run})


def _make_task(settings: TrainSettings, folder: Path) -> Task:
    """Prepare cases and network, and go on from other weights if the run says so.

    Raises
    ------
    ConfigError, ModelError
        If those weights cannot be used.
    """
    from facetgrade.errors import ConfigError
    from facetgrade.inference.weights import find_model

    task: Task
    if settings.run.architecture == "spine-localizer":
        from facetgrade.train.localizer import LocalizerTask

        if settings.data is not None:
            raise ConfigError("section data is for the joint-segmenter only")
        task = LocalizerTask(settings, folder)
    else:
        from facetgrade.train.segmenter import SegmenterTask

        task = SegmenterTask(settings, folder)
    if settings.run.start:
        try:
            task.network.load_state_dict(start_weights(settings))
        except RuntimeError:
            entry, path = find_model(settings.run.start)
            raise ConfigError(
                f"run.start = {settings.run.start!r}: {path} is a {entry.architecture} "
                f"of {entry.sizes}, not the network of this configuration"
            ) from None
    return task


def start_weights(settings: TrainSettings) -> Mapping[str, Tensor]:
    """Return the weights from which a run goes on.

    Raises
    ------
    ConfigError, ModelError
        If they cannot be used.
    """
    import torch

    from facetgrade.inference.weights import load_weights

    return load_weights(settings.run.start, torch.device("cpu")).state_dict()
