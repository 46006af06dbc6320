"""The phantom of builders.py, and what is written about it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def phantom() -> ModuleType:
    """Module with the phantom study and its report."""
    path = Path(__file__).with_name("builders.py")
    spec = importlib.util.spec_from_file_location("report_builders", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def phantom_study(phantom):
    """Study whose first series has a description that attacks the page."""
    return phantom.study(description="<script>alert('STIR')</script>")


@pytest.fixture(scope="session")
def written_folder(phantom, phantom_study, tmp_path_factory) -> Path:
    """Folder of a study with a joint of every kind."""
    from facetgrade.report import write_study

    folder = tmp_path_factory.mktemp("out") / "ring_01"
    write_study(
        phantom.report(),
        phantom_study,
        folder,
        context=phantom.context(),
        settings=phantom.SETTINGS,
    )
    return folder
