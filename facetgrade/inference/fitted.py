"""Settings that were fitted to a model and travel inside its weight file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from facetgrade.config import (
    PipelineConfig,
    check_settings,
    config_values,
    merge,
    read_config,
)
from facetgrade.errors import ConfigError, ModelError
from facetgrade.inference.weights import find_model, read_metadata

METADATA_KEY = "settings"
# A segmenter says when its masks are believed and what they stand for, nothing else.
ALLOWED = (("segment", "belief"), ("grade", "confidence", "correction"))
FITTED = "joint-segmenter"


def fitted_settings(name: str) -> dict[str, Any]:
    """Return the settings that were fitted to a model.

    Parameters
    ----------
    name : str
        As for `find_model`.

    Returns
    -------
    dict
        Sections of the pipeline's settings; empty where the shipped ones are right.

    Raises
    ------
    ModelError, ConfigError
        If there is no such model, or its file asks for other or impossible settings.
    """
    _, path = find_model(name)
    return settings_in(path, read_metadata(path))


def settings_in(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the fitted settings that the metadata of a weight file hold.

    Raises
    ------
    ModelError
        If they are damaged, impossible, of other sections than those fitted, or of
        another network than a segmenter.
    """
    try:
        values = json.loads(metadata.get(METADATA_KEY) or "{}")
        _check_sections(values)
        if values and metadata.get("architecture") != FITTED:
            raise ValueError(f"only a {FITTED} has such settings")
        whole = merge(config_values(read_config()), values)
        checked = config_values(check_settings(whole, PipelineConfig, path))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: its fitted settings are damaged ({error})") from None
    except ConfigError as error:
        text = " ".join(str(error).split())
        raise ModelError(f"{text} (in the settings fitted to it)") from None
    return _cut(checked, values)


def with_model(config: PipelineConfig, stage: str, name: str) -> PipelineConfig:
    """Return the settings with another model in one stage, and what was fitted to it.

    Raises
    ------
    ModelError, ConfigError
        As `fitted_settings`.
    """
    changes = model_settings({stage: name})
    _, path = find_model(name)
    return check_settings(merge(config_values(config), changes), PipelineConfig, path)


def model_settings(models: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that put the model of each stage to work.

    Raises
    ------
    ModelError, ConfigError
        As `fitted_settings`.
    """
    values: dict[str, Any] = {}
    for stage, name in models.items():
        values = merge(values, {stage: {"weights": name}})
        values = merge(values, fitted_settings(name))
    return values


def _cut(checked: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values, as numbers, of the keys that were given."""
    return {
        key: _cut(checked[key], value) if isinstance(value, Mapping) else checked[key]
        for key, value in values.items()
    }


def _check_sections(values: object, place: tuple[str, ...] = ()) -> None:
    """Refuse sections that are not among those fitted.

    Raises
    ------
    ValueError
        With the name of the section.
    """
    if place in ALLOWED:
        return
    if not any(place == one[: len(place)] for one in ALLOWED):
        raise ValueError(f"section {'.'.join(place)!r} is not fitted to models")
    if not isinstance(values, Mapping):
        raise ValueError(f"{'.'.join(place)!r} is no table")
    for key, value in values.items():
        _check_sections(value, (*place, str(key)))
