"""Facts about the machine and the installation."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

LIBRARIES = (
    "facetgrade",
    "torch",
    "numpy",
    "scipy",
    "pydicom",
    "nibabel",
    "SimpleITK",
    "safetensors",
)
DECODERS = ("pillow", "python-gdcm", "pyjpegls")
FEATURES = ("pacs", "review", "cluster", "bids")
_DRIVER = Path("/proc/driver/nvidia/version")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_NAME = re.compile(r"[\w.-]+")


def describe_machine() -> str:
    """Name system, processor and Python."""
    cores = os.cpu_count() or 1
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores, "
        f"Python {platform.python_version()}"
    )


def library_versions() -> str:
    """List the versions of the libraries that can change a result."""
    return ", ".join(f"{name} {_version(name)}" for name in LIBRARIES)


def decoder_versions() -> tuple[str, list[str]]:
    """List the decoders of compressed DICOM files, and those that are missing."""
    found = {name: _version(name) for name in DECODERS}
    there = ", ".join(f"{name} {number}" for name, number in found.items() if number)
    return there, [name for name, number in found.items() if not number]


def missing_extras() -> dict[str, str]:
    """Return the optional features of this installation that lack packages."""
    needed: dict[str, list[str]] = {feature: [] for feature in FEATURES}
    for line in requires("facetgrade") or ():
        extra, name = _EXTRA.search(line), _NAME.match(line)
        if extra and name and extra[1] in needed and not _version(name[0]):
            needed[extra[1]].append(name[0])
    return {extra: ", ".join(names) for extra, names in needed.items() if names}


def nvidia_driver_seen() -> bool:
    """Tell whether the system has loaded an NVIDIA driver."""
    return _DRIVER.exists()


def _version(name: str) -> str:
    """Return the version of an installed package, empty if it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
