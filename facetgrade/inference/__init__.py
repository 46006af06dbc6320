"""Run networks: choose the device, find, verify and load weights."""

from facetgrade.inference.allocator import keep_freed_memory
from facetgrade.inference.device import (
    choose_device,
    describe_device,
    explain_device,
)
from facetgrade.inference.models import (
    Models,
    load_models,
    model_hashes,
    run_with_cpu_fallback,
)
from facetgrade.inference.predictor import (
    Predictor,
    choose_precision,
    explain_precision,
)
from facetgrade.inference.weights import find_model, load_weights

__all__ = [
    "Models",
    "Predictor",
    "choose_device",
    "choose_precision",
    "describe_device",
    "explain_device",
    "explain_precision",
    "find_model",
    "keep_freed_memory",
    "load_models",
    "load_weights",
    "model_hashes",
    "run_with_cpu_fallback",
]
