"""The builders of this folder."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def pairs() -> ModuleType:
    """Module with joints at two time points."""
    return _load("compare_builders", Path(__file__).with_name("builders.py"))


@pytest.fixture(scope="session")
def phantom() -> ModuleType:
    """Module with a phantom study and its report."""
    path = Path(__file__).parents[1] / "report" / "builders.py"
    return _load("report_builders_for_compare", path)
