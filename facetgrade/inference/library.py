"""The user's own models: verified, installed, put to work, taken back.

A folder of models holds weight files, a card of each, ``manifest.toml`` as the shipped
one, ``active.toml`` (the settings that name the models in use, for ``--config``) and
``history.json`` (what was in use before). The shipped folder is never written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from facetgrade.config import read_config, read_toml, shipped_path
from facetgrade.errors import ModelError
from facetgrade.inference.fitted import model_settings, settings_in
from facetgrade.inference.weights import (
    MANIFEST,
    ModelEntry,
    find_model,
    load_weights,
    read_metadata,
    read_tensors,
    user_models,
    weights_from,
)
from facetgrade.report.atomic import write_bytes, write_json, write_text

ACTIVE, HISTORY = "active.toml", "history.json"
SECTIONS = {"spine-localizer": "localize", "joint-segmenter": "segment"}
WORSE = "worse"


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownModel:
    """One model that a command can name.

    Attributes
    ----------
    name : str
        As in settings.
    path : Path
        Weight file.
    entry : dict
        Its table in the manifest.
    active : bool
        Whether it is in use.
    """

    name: str
    path: Path
    entry: Mapping[str, Any]
    active: bool


def list_models(folder: Path | None = None) -> list[KnownModel]:
    """List shipped models, then those of a folder.

    Parameters
    ----------
    folder : Path or None
        The user's models; None is the user's configuration folder.

    Raises
    ------
    ConfigError
        If a manifest is malformed.
    """
    own = folder or user_models()
    used = set(active_models(own).values())
    known = []
    for place in (shipped_path("models"), own):
        if not (place / MANIFEST).exists():
            continue
        for name, entry in read_toml(place / MANIFEST).items():
            key = name if place != own else model_name(own, name)
            path = place / str(entry.get("file", ""))
            known.append(
                KnownModel(name=key, path=path, entry=entry, active=key in used)
            )
    return known


def model_name(folder: Path, name: str) -> str:
    """Return how settings name a model of a folder."""
    return name if folder == user_models() else f"{folder.absolute()}/{name}"


def active_models(folder: Path) -> dict[str, str]:
    """Return the model in use of each stage: of active.toml, else the shipped one."""
    config = read_config()
    used = {"localize": config.localize.weights, "segment": config.segment.weights}
    if (folder / ACTIVE).exists():
        values = read_toml(folder / ACTIVE)
        used |= {stage: values[stage]["weights"] for stage in used if stage in values}
    return used


def tensors_sha256(tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash names, types, shapes and values of tensors, in order of their names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def verify_model(name: str) -> None:
    """Check hash and architecture of a model by its name.

    Raises
    ------
    ModelError, ConfigError
        As `load_weights`.
    """
    load_weights(name, torch.device("cpu"))


def verify_file(path: Path) -> ModelEntry:
    """Check a weight file as far as it can be checked by itself.

    Parameters
    ----------
    path : Path
        From `facetgrade train`, with its provenance in its metadata.

    Returns
    -------
    ModelEntry
        Made of the metadata; its hash is that of the file.

    Raises
    ------
    ModelError
        If it is missing, a pickle, altered, without provenance, of an architecture
        that no stage reads, or with settings that are not its to make.
    """
    beside = path.parent / MANIFEST
    listed = read_toml(beside).get(path.stem, {}) if beside.exists() else {}
    content_sha256, tensors = read_tensors(path, str(listed.get("sha256", "")))
    said = read_metadata(path)
    if "tensors_sha256" not in said or "sizes" not in said:
        raise ModelError(f"{path}: has no provenance; it was not made by train")
    if tensors_sha256(tensors) != said["tensors_sha256"]:
        raise ModelError(f"{path}: the tensors were altered after the training")
    if said["architecture"] not in SECTIONS:
        known = ", ".join(SECTIONS)
        raise ModelError(
            f"{path}: architecture {said['architecture']!r} is not one of {known}"
        )
    entry = ModelEntry(
        file=path.name,
        sha256=content_sha256,
        license=said["license"],
        input=said["input"],
        architecture=said["architecture"],
        sizes=json.loads(said["sizes"]),
    )
    weights_from(entry, path, tensors)
    settings_in(path, said)
    return entry


def install_model(
    path: Path, folder: Path | None, comparison: Path | None, override: str
) -> KnownModel:
    """Copy a model into a folder of models and put it to work.

    Parameters
    ----------
    path : Path
        Weight file.
    folder : Path or None
        The user's models; None is the user's configuration folder.
    comparison : Path or None
        ``comparison.json`` of `facetgrade compare-models` with the model in use.
    override : str
        Why the model is installed although it was found worse or was not compared;
        empty installs nothing of that kind. Kept in the manifest.

    Raises
    ------
    ModelError
        If the file cannot be trusted, its name is taken, or the comparison is missing,
        of other models, or says that it is worse.
    """
    own = folder or user_models()
    entry = verify_file(path)
    name = path.stem
    stage = SECTIONS[entry.architecture]
    _check_name(own, name, entry)
    verdict = _check_comparison(entry, own, comparison, override)
    before = active_models(own)
    model_settings(before)  # what is in use must be readable before anything is written
    own.mkdir(parents=True, exist_ok=True)
    write_bytes(own / path.name, path.read_bytes())
    card = path.with_suffix(".md")
    if card.exists():
        shutil.copyfile(card, own / card.name)
    entries = read_toml(own / MANIFEST) if (own / MANIFEST).exists() else {}
    entries[name] = _manifest_entry(entry, read_metadata(path), verdict, override)
    write_text(own / MANIFEST, to_toml(entries))
    _use(own, before | {stage: model_name(own, name)})
    _remember(own, before)
    return KnownModel(
        name=model_name(own, name),
        path=own / path.name,
        entry=entries[name],
        active=True,
    )


def roll_back(folder: Path | None = None) -> dict[str, str]:
    """Put the models to work that were in use before the last installation.

    Returns
    -------
    dict of str to str
        Model of each stage.

    Raises
    ------
    ModelError
        If nothing was installed, or the earlier models are gone or altered.
    """
    own = folder or user_models()
    history = _history(own)
    if not history:
        raise ModelError(f"{own}: nothing was installed, so nothing can be taken back")
    earlier = history.pop()
    for name in earlier.values():
        entry, path = find_model(name)
        read_tensors(path, entry.sha256)
    _use(own, earlier)
    write_json(own / HISTORY, history)
    return earlier


def to_toml(entries: Mapping[str, Mapping[str, object]]) -> str:
    """Write tables of strings, numbers, lists and further tables."""
    blocks = [_table(name, entry) for name, entry in sorted(entries.items())]
    return "\n\n".join(blocks) + "\n"


def _table(name: str, entry: Mapping[str, object]) -> str:
    """Write one table, its own keys first, then the tables in it."""
    lines, tables = [f"[{name}]"], []
    for key, value in entry.items():
        if isinstance(value, Mapping):
            tables.append(_table(f"{name}.{key}", value))
        else:
            lines.append(f"{key} = {_literal(value)}")
    return "\n".join(lines + tables)


def _literal(value: object) -> str:
    """Write one TOML value."""
    return (
        json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    )


def _check_name(folder: Path, name: str, entry: ModelEntry) -> None:
    """Refuse a name that stands for another model."""
    for place in (shipped_path("models"), folder):
        if not (place / MANIFEST).exists():
            continue
        taken = read_toml(place / MANIFEST).get(name)
        if taken and taken.get("sha256") != entry.sha256:
            raise ModelError(
                f"{place} has another model named {name!r}; train with another "
                "card.weights, so that old results can still be repeated"
            )


def _check_comparison(
    entry: ModelEntry, folder: Path, comparison: Path | None, override: str
) -> str:
    """Return the verdict of a comparison with the model in use, or refuse."""
    if comparison is None:
        if override:
            return "not compared"
        raise ModelError(
            "give --comparison FILE, the result of facetgrade compare-models, or "
            "--override with the reason why the model is installed without one"
        )
    try:
        result = json.loads(comparison.read_text(encoding="utf-8"))
        new, current = result["new"]["sha256"], result["current"]["sha256"]
        verdict = str(result["verdict"])
        reasons = "; ".join(map(str, result["reasons"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{comparison}: is no comparison of models ({error})"
        ) from None
    if new != entry.sha256:
        raise ModelError(f"{comparison}: compares another new model than {entry.file}")
    used = active_models(folder)[SECTIONS[entry.architecture]]
    if current != find_model(used)[0].sha256 and not override:
        raise ModelError(
            f"{comparison}: compares with another model than {used} in use"
        )
    if verdict == WORSE and not override:
        raise ModelError(
            f"{entry.file} is worse than {used} ({reasons}); --override REASON "
            "installs it all the same"
        )
    return verdict


def _manifest_entry(
    entry: ModelEntry, said: Mapping[str, str], verdict: str, override: str
) -> dict[str, Any]:
    """Make the table of the manifest."""
    values: dict[str, Any] = {
        "file": entry.file,
        "sha256": entry.sha256,
        "license": entry.license,
        "input": entry.input,
        "architecture": entry.architecture,
        "summary": said.get("summary", ""),
        "compared": verdict,
    }
    if override:
        values["override"] = override
    return values | {"sizes": entry.sizes}


def _use(folder: Path, models: Mapping[str, str]) -> None:
    """Write the settings that name the models in use, with what was fitted to them."""
    head = "# Written by facetgrade models; use it with: facetgrade grade --config\n\n"
    write_text(folder / ACTIVE, head + to_toml(model_settings(models)))


def _history(folder: Path) -> list[dict[str, str]]:
    """Read what was in use before, oldest first."""
    path = folder / HISTORY
    if not path.exists():
        return []
    history: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return history


def _remember(folder: Path, models: dict[str, str]) -> None:
    """Add what was in use to the history."""
    write_json(folder / HISTORY, [*_history(folder), models])
