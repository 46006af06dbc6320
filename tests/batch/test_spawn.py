"""Worker processes that start before the imports of their run."""

import signal
import subprocess
import sys

import pytest

from facetgrade.batch.pool import WorkerPool
from facetgrade.batch.settings import BATCH, BatchSettings
from facetgrade.batch.spawn import spawn_early
from facetgrade.config import read_config, read_shipped


@pytest.fixture(scope="module")
def settings():
    return read_shipped(BATCH, BatchSettings).model_copy(update={"workers": 2})


def test_nothing_heavy_is_imported_before_the_workers_start():
    program = (
        "import sys, facetgrade.cli, facetgrade.batch.spawn; "
        "from facetgrade.commands.spreading import read_spread; "
        "read_spread(None, None, '', ''); "
        "sys.exit(bool({'torch', 'numpy', 'scipy', 'pydicom'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_workers_that_nobody_takes_end_with_the_block(settings):
    with spawn_early(settings) as spawned:
        assert [process.poll() for process in spawned] == [None, None]
    assert [process.returncode for process in spawned] == [-signal.SIGKILL] * 2


def test_a_pool_takes_the_workers_that_wait(settings):
    with spawn_early(settings) as spawned:
        waiting = {process.pid for process in spawned}
        with WorkerPool(read_config(), "cpu", settings, print, spawned) as pool:
            assert set(pool.process_ids) == waiting
        assert spawned == []
