"""Turn a finished run into shipped weights: safetensors, manifest entry, card."""

from __future__ import annotations

import hashlib
import json
import platform
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from facetgrade.evaluate.provenance import made_by
from facetgrade.inference.fitted import METADATA_KEY
from facetgrade.inference.library import tensors_sha256, to_toml
from facetgrade.inference.weights import find_model
from facetgrade.report.atomic import write_bytes, write_text
from facetgrade.train.manifest import read_manifest
from facetgrade.train.settings import TrainSettings

INPUTS = {
    "spine-localizer": "one series, 4 x 2 x 2 mm, image and coverage",
    "joint-segmenter": "stacks on the joint grid of 1.5 x 0.7 x 0.7 mm, contrast class",
}


def install_weights(
    network: torch.nn.Module,
    settings: TrainSettings,
    models: Path,
    *,
    steps: int,
    metrics: Mapping[str, float],
    fitted: Mapping[str, Any],
) -> Path:
    """Write ``<weights>.safetensors``, its entry in ``manifest.toml`` and its card.

    A card that is there already was edited and stays.

    Parameters
    ----------
    network : torch.nn.Module
        Averaged weights of the run.
    settings : TrainSettings
        What made them.
    models : Path
        Folder of the manifest.
    steps : int
        Steps that were taken; with them the run can be repeated.
    metrics : mapping of str to float
        Last validation metrics.
    fitted : mapping
        From `fit_own_settings`.

    Returns
    -------
    Path
        The weight file.
    """
    name = settings.card.weights
    path = models / f"{name}.safetensors"
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    said = provenance(tensors, settings, steps=steps, metrics=metrics)
    said[METADATA_KEY] = json.dumps(fitted)
    write_bytes(path, save(tensors, metadata=said))
    path.chmod(0o644)
    manifest = models / "manifest.toml"
    entries = tomllib.loads(manifest.read_text()) if manifest.exists() else {}
    entries[name] = {
        "file": path.name,
        "sha256": _sha256(path),
        "license": settings.card.license,
        "input": INPUTS[settings.run.architecture],
        "architecture": settings.run.architecture,
        "summary": settings.card.summary,
        "steps": steps,
        "seed": settings.run.seed,
        "sizes": dict(settings.network),
        "validation": {key: round(value, 4) for key, value in metrics.items()},
    }
    write_text(manifest, to_toml(entries))
    card = path.with_suffix(".md")
    if not card.exists():
        write_text(card, card_text(name, said, _sha256(path)))
    return path


def provenance(
    tensors: Mapping[str, torch.Tensor],
    settings: TrainSettings,
    *,
    steps: int,
    metrics: Mapping[str, float],
) -> dict[str, str]:
    """Return what a weight file says of itself, as strings.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        The weights.
    settings : TrainSettings
        What made them.
    steps : int
        Steps that were taken.
    metrics : mapping of str to float
        Validation metrics.
    """
    made = made_by(settings.run.name, settings, {})
    data = settings.data
    start = settings.run.start
    values = {
        "architecture": settings.run.architecture,
        "sizes": json.dumps(dict(settings.network)),
        "input": INPUTS[settings.run.architecture],
        "license": settings.card.license,
        "intended_use": settings.card.intended_use,
        "summary": settings.card.summary,
        "config": json.dumps(made["settings"], sort_keys=True),
        "manifest_sha256": read_manifest(data.manifest).sha256 if data else "",
        "splits_sha256": _sha256(data.splits) if data else "",
        "version": made["version"],
        "commit": made["commit"],
        "seed": str(settings.run.seed),
        "steps": str(steps),
        "start": start,
        "start_sha256": find_model(start)[0].sha256 if start else "",
        "environment": json.dumps(_environment()),
        "metrics": json.dumps({k: round(v, 4) for k, v in metrics.items()}),
        "tensors_sha256": tensors_sha256(tensors),
    }
    return values


def card_text(name: str, said: Mapping[str, str], sha256: str) -> str:
    """Write the first draft of a model card, for its maker to edit."""
    metrics = json.loads(said["metrics"])
    environment = json.loads(said["environment"])
    rows = [
        ("file", f"`{name}.safetensors`, SHA-256 `{sha256}`"),
        ("licence", said["license"]),
        ("intended use", said["intended_use"]),
        ("input", said["input"]),
        ("architecture", f"{said['architecture']} {said['sizes']}"),
        ("made from", said["start"] or "random weights"),
        ("training", f"{said['steps']} steps, seed {said['seed']}"),
        ("annotated cases", said["manifest_sha256"] or "none, simulation alone"),
        ("settings fitted to it", _settings_words(said)),
        ("code", f"facetgrade {said['version']} {said['commit']}".strip()),
        ("environment", ", ".join(f"{k} {v}" for k, v in environment.items())),
    ]
    table = [f"| {key} | {value} |" for key, value in rows]
    names, values = zip(*metrics.items(), strict=True) if metrics else ((), ())
    measured = [
        "| " + " | ".join(names) + " |",
        "|" + "---|" * len(names),
        "| " + " | ".join(f"{value:.3f}" for value in values) + " |",
    ]
    parts = [f"# {name}", said["summary"], "\n".join(["| | |", "|---|---|", *table])]
    if metrics:
        parts += ["## Validation", "\n".join(measured)]
    parts += [
        "## Data and limits",
        "To be written by who trained it: scanners, readers, numbers of patients, what "
        "the model was not trained for. The resolved configuration is in the metadata "
        f"of the weight file; `facetgrade models show {name}` prints it.",
    ]
    return "\n\n".join(parts) + "\n"


def _settings_words(said: Mapping[str, str]) -> str:
    """Write the fitted settings in one line."""
    fitted = json.loads(said[METADATA_KEY])
    return f"`{json.dumps(fitted)}`" if fitted else "none, those shipped"


def _sha256(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _environment() -> dict[str, str]:
    """Return the versions that may change a result."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
    }
