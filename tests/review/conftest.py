"""Databases of both kinds and the builders of this folder."""

from __future__ import annotations

import importlib.util
import secrets
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def review() -> ModuleType:
    """Module with cases, charters and reads."""
    return _load("review_builders", Path(__file__).with_name("builders.py"))


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of its own."""
    module = _load("postgres_server", Path(__file__).with_name("postgres_server.py"))
    programs = module.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with module.running_postgres(programs, options="-c fsync=off") as server:
        yield server


@pytest.fixture
def database_folder(tmp_path):
    """A folder in memory where there is one: tests need not wait for the disk."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, database_folder):
    """Address and password file of an empty database, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{database_folder / 'review.sqlite'}", None
    server = request.getfixturevalue("postgres")
    return server.create(f"review_{secrets.token_hex(6)}"), server.password_file


@pytest.fixture
def open_review(database, tmp_path, database_folder):
    """Open the database as a review; call again for a second server."""
    from facetgrade.review.store import open_store

    url, password_file = database
    opened = []

    def run(**options):
        store = open_store(
            url,
            password_file=password_file,
            key_file=tmp_path / "audit.key",
            head_file=database_folder / "head.json",
            **options,
        )
        opened.append(store)
        return store

    yield run
    for store in opened:
        store.close()


@pytest.fixture
def mask_of_one_voxel(review):
    """Make an edited mask with effusion in one voxel."""
    import numpy as np

    from facetgrade.geometry import VolumeGeometry
    from facetgrade.review.records import EditedMask

    def make(item, key="mask-1", joint=review.LEFT):
        lesions = np.zeros((2, 3, 4), np.uint8)
        lesions[1, 2, 3] = 1
        return EditedMask(
            item_id=item.item_id,
            slot="A",
            joint=joint,
            lesions=lesions,
            geometry=VolumeGeometry(shape=(2, 3, 4), index_to_lps=np.eye(4)),
            key=key,
        )

    return make
