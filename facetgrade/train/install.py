"""Turn a finished run into shipped weights: safetensors, manifest entry, card."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file

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
) -> Path:
    """Write ``<weights>.safetensors`` and its entry in ``manifest.toml``.

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

    Returns
    -------
    Path
        The weight file.
    """
    name = settings.card.weights
    path = models / f"{name}.safetensors"
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    path.unlink(missing_ok=True)
    save_file(tensors, path, metadata={"architecture": settings.run.architecture})
    path.chmod(0o644)
    manifest = models / "manifest.toml"
    entries = tomllib.loads(manifest.read_text()) if manifest.exists() else {}
    entries[name] = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "license": settings.card.license,
        "input": INPUTS[settings.run.architecture],
        "architecture": settings.run.architecture,
        "summary": settings.card.summary,
        "steps": steps,
        "seed": settings.run.seed,
        "sizes": dict(settings.network),
        "validation": {key: round(value, 4) for key, value in metrics.items()},
    }
    manifest.write_text(_to_toml(entries))
    return path


def _to_toml(entries: Mapping[str, Mapping[str, object]]) -> str:
    """Write tables of strings, numbers, lists and one level of subtables."""
    blocks = []
    for name, entry in sorted(entries.items()):
        lines = [f"[{name}]"]
        tables = []
        for key, value in entry.items():
            if isinstance(value, Mapping):
                tables.append(f"[{name}.{key}]")
                tables += [f"{k} = {_literal(v)}" for k, v in value.items()]
            else:
                lines.append(f"{key} = {_literal(value)}")
        blocks.append("\n".join(lines + tables))
    return "\n\n".join(blocks) + "\n"


def _literal(value: object) -> str:
    """Write one TOML value."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
