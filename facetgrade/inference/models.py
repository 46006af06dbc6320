"""The loaded networks of a run, and what happens when a GPU runs out of memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch

from facetgrade.config import PipelineConfig
from facetgrade.inference.predictor import (
    Predictor,
    choose_precision,
    make_predictor,
)
from facetgrade.inference.weights import find_model, load_weights

Result = TypeVar("Result")

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Models:
    """Networks in memory, loaded once for all studies.

    Attributes
    ----------
    localizer, segmenter : Predictor
        On the same device.
    hashes : mapping of str to str
        SHA-256 of each weight file by model name.
    """

    localizer: Predictor
    segmenter: Predictor
    hashes: Mapping[str, str]

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.localizer.device

    @property
    def is_reduced(self) -> bool:
        """Whether results may differ from those of float32 on the CPU."""
        exact = self.localizer.precision is torch.float32
        return not exact or self.device.type != "cpu"

    def on_cpu(self) -> Models:
        """Return copies of the networks on the CPU."""
        return Models(
            localizer=self.localizer.on_cpu(torch.float32),
            segmenter=self.segmenter.on_cpu(torch.float32),
            hashes=self.hashes,
        )


def model_hashes(config: PipelineConfig) -> dict[str, str]:
    """Read the SHA-256 of the configured models from their manifests.

    Raises
    ------
    ModelError, ConfigError
        If a model or its manifest is missing.
    """
    names = (config.localize.weights, config.segment.weights)
    return {name: find_model(name)[0].sha256 for name in names}


def load_models(config: PipelineConfig, device: torch.device) -> Models:
    """Load and verify the networks that the configuration names.

    Raises
    ------
    ModelError
        If a file is missing, altered, a pickle or of another architecture.
    ConfigError
        If a manifest is missing or malformed.
    """
    return Models(
        localizer=_load(config.localize.weights, config, device),
        segmenter=_load(config.segment.weights, config, device),
        hashes=model_hashes(config),
    )


def run_with_cpu_fallback(run: Callable[[Models], Result], models: Models) -> Result:
    """Run on the GPU; when its memory is not enough, repeat on the CPU.

    Parameters
    ----------
    run : callable
        Takes the models and does one study.
    models : Models
        Where they are is tried first.
    """
    try:
        return run(models)
    except torch.OutOfMemoryError:
        log.warning("%s is out of memory; this study runs on the CPU", models.device)
        torch.cuda.empty_cache()
    return run(models.on_cpu())


def _load(name: str, config: PipelineConfig, device: torch.device) -> Predictor:
    """Load one network in the precision of its device, compiled if asked for."""
    precision = choose_precision(config.inference.precision, device)
    predictor = make_predictor(load_weights(name, device), precision)
    if config.inference.compile_on_gpu and device.type == "cuda":
        predictor.network.compile(dynamic=True)
    return predictor
