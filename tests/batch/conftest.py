import pytest

from facetgrade.config import read_config
from tests.batch.builders import job_of
from tests.ingest.builders import gradient_volume, write_series


@pytest.fixture(scope="session")
def config():
    return read_config()


@pytest.fixture
def studies(tmp_path):
    folder = tmp_path / "in"
    for name in ("anna", "bert"):
        write_series(folder / name, gradient_volume(), study=name, series=f"{name} T2")
    return folder


@pytest.fixture
def make_job(tmp_path, studies, config):
    def make(**changes):
        values = {"out": tmp_path / "out", "config": config, **changes}
        return job_of(studies, **values)

    return make
