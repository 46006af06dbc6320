"""A real Dask cluster: a scheduler and two workers in processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from facetgrade.batch.cluster import DaskGrader, connect_scheduler
from facetgrade.batch.launch import make_cluster, start_cluster
from facetgrade.batch.runner import run_batch
from facetgrade.batch.settings import BATCH, BatchSettings
from facetgrade.config import read_shipped
from facetgrade.errors import ConfigError, WorkerError
from facetgrade.stopwatch import Stopwatch
from tests.batch.builders import Events, rows
from tests.ingest.builders import gradient_volume, write_series

pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def settings():
    shipped = read_shipped(BATCH, BatchSettings)
    return shipped.model_copy(update={"retry_pause_s": 0.0})


@pytest.fixture
def scheduler(tmp_path):
    """Address of a scheduler with two workers, and their processes."""
    place = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "distributed.cli"]
    common = ["--scheduler-file", str(place), "--no-dashboard"]
    commands = [[f"{dask[2]}.dask_scheduler", "--port", "0", *common]]
    worker = [f"{dask[2]}.dask_worker", "--no-nanny", "--nthreads", "1", *common]
    commands += [[*worker, "--memory-limit", "0"]] * 2
    processes = [
        subprocess.Popen([*dask[:2], *command], cwd=tmp_path, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    while not place.exists():
        time.sleep(0.2)
    try:
        yield f"file://{place}", processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


class KillOne(Events):
    """Kills a worker as soon as the first study is finished."""

    def __init__(self, worker):
        super().__init__()
        self.worker = worker

    def finished(self, entry):
        super().finished(entry)
        if self.worker.poll() is None:
            os.kill(self.worker.pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_cluster_finishes_all_although_a_worker_is_killed(
    make_job, studies, settings, scheduler
):
    for name in ("carl", "dora"):
        write_series(studies / name, gradient_volume(), study=name, series="T2")
    place, workers = scheduler
    job, events = make_job(), KillOne(workers[0])
    connect = lambda: connect_scheduler(place)  # noqa: E731 (a name for the reader)
    with DaskGrader(connect, job.config, "cpu", settings) as graders:
        summary = run_batch(job, graders.start, events, Stopwatch())
    assert workers[0].poll() == -signal.SIGKILL
    assert (summary.exit_code, events.of("failed")) == (0, [])
    assert sorted(events.of("graded")) == ["anna", "bert", "carl", "dora"]
    # 4 studies x 2 levels x 2 sides
    assert len(rows(job)) == 16


def test_a_scheduler_that_does_not_answer_is_named():
    with pytest.raises(WorkerError, match="no Dask scheduler answers at tcp://127"):
        connect_scheduler("tcp://127.0.0.1:9", patience_s=1.0)


def test_an_address_of_no_scheduler_is_refused():
    with pytest.raises(ConfigError, match="must look like tcp://HOST:8786"):
        connect_scheduler("nonsense://x", patience_s=1.0)


def test_an_unknown_kind_of_cluster_is_refused(settings):
    with (
        pytest.raises(ConfigError, match="slurm, kubernetes, ssh, local"),
        start_cluster("pbs", settings.cluster),
    ):
        pass


def test_ssh_needs_hosts(settings):
    with pytest.raises(ConfigError, match=r"needs cluster\.hosts"):
        make_cluster("ssh", settings.cluster)


def test_kubernetes_says_what_to_install(settings):
    with (
        pytest.raises(ConfigError, match=r"needs dask_kubernetes"),
        start_cluster("kubernetes", settings.cluster),
    ):
        pass


def test_a_slurm_job_asks_for_what_the_settings_say(settings):
    from facetgrade.batch.launch import slurm_options

    asked = settings.cluster.model_copy(update={"queue": "long", "account": "spine"})
    options = slurm_options(asked)
    assert (options["queue"], options["account"]) == ("long", "spine")
    assert (options["processes"], options["memory"]) == (1, "6GB")
