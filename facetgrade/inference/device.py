"""Choose the device that the networks run on, in one place."""

from __future__ import annotations

import re

import torch

from facetgrade.errors import ConfigError

DEVICES = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


def choose_device(name: str) -> torch.device:
    """Turn the user's choice into a device that exists.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA, then Apple MPS, then CPU), ``cpu``, ``mps``, ``cuda`` or
        ``cuda:N``.

    Raises
    ------
    ConfigError
        If the name is none of these or the device is absent.
    """
    if not DEVICES.fullmatch(name):
        raise ConfigError(
            f"device must be auto, cpu, cuda, cuda:N or mps, got {name!r}"
        )
    if name == "auto":
        return _fastest()
    device = torch.device("cuda:0" if name == "cuda" else name)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps: no Apple GPU is visible; use auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name}: {torch.cuda.device_count()} CUDA devices are visible; "
            "use auto or cpu, or check the driver"
        )
    return device


def describe_device(device: torch.device) -> str:
    """Say in a few words what a device is."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "mps":
        return "mps (Apple GPU)"
    return f"cpu ({torch.get_num_threads()} threads)"


def explain_device(name: str) -> str:
    """Say in a few words why `choose_device` chooses what it does."""
    if name != "auto":
        return "as asked for"
    if torch.cuda.is_available():
        return "CUDA comes first"
    built = "" if torch.version.cuda else " (this torch is built without CUDA)"
    if torch.backends.mps.is_available():
        return f"no CUDA device is visible{built}"
    return f"neither a CUDA device{built} nor an Apple GPU is visible"


def _fastest() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda:0")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
