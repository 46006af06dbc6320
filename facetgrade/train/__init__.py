"""Train the networks that facetgrade ships, from one configuration each."""

from __future__ import annotations

import csv
from pathlib import Path

from facetgrade.config import read_settings, shipped_path
from facetgrade.train.settings import TrainSettings

__all__ = ["train"]


def train(config_path: Path) -> Path:
    """Train a network as a configuration says, resuming where a run stopped.

    Parameters
    ----------
    config_path : Path
        A file such as ``configs/train_localizer.toml``.

    Returns
    -------
    Path
        The weight file, entered in ``models/manifest.toml`` by its SHA-256.

    Raises
    ------
    ConfigError
        If a key is unknown, missing or impossible.
    """
    from facetgrade.inference.allocator import keep_freed_memory
    from facetgrade.train.install import install_weights
    from facetgrade.train.loop import Task, run

    keep_freed_memory()
    settings = read_settings(config_path, TrainSettings)
    folder = settings.run.folder / settings.run.name
    folder.mkdir(parents=True, exist_ok=True)
    task: Task
    if settings.run.architecture == "spine-localizer":
        from facetgrade.train.localizer import LocalizerTask

        task = LocalizerTask(settings, folder)
    else:
        from facetgrade.train.segmenter import SegmenterTask

        task = SegmenterTask(settings, folder)
    state = run(task, settings, folder)
    network = state.averaged()
    task.finish(network)
    with (folder / "curves.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    metrics = {key: float(value) for key, value in last.items() if key != "step"}
    return install_weights(
        network,
        settings,
        shipped_path("models"),
        steps=state.steps,
        metrics=metrics,
    )
