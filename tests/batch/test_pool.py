"""Real worker processes with the shipped networks, on tiny studies."""

import json
import os
import signal
from pathlib import Path

import pytest

from facetgrade.batch.pool import WorkerPool
from facetgrade.batch.runner import run_batch
from facetgrade.batch.settings import BATCH, BatchSettings
from facetgrade.config import read_config, read_shipped
from facetgrade.errors import ModelError, WorkerError
from facetgrade.stopwatch import Stopwatch
from tests.batch.builders import Events, rows


@pytest.fixture(scope="module")
def settings():
    shipped = read_shipped(BATCH, BatchSettings)
    return shipped.model_copy(update={"threads": 1, "retry_pause_s": 0.0})


def run_pool(job, settings, on_stage=lambda _: None):
    events = Events()
    with WorkerPool(job.config, "cpu", settings, on_stage) as pool:
        summary = run_batch(job, pool.start, events, Stopwatch())
    return summary, events


def test_a_killed_worker_is_replaced_and_nothing_is_lost(make_job, settings, caplog):
    job = make_job()
    events, killed = Events(), []

    def kill_once(stage):
        if stage == "localize" and not killed:
            killed.append(stage)
            os.kill(pool.process_ids[0], signal.SIGKILL)

    with WorkerPool(job.config, "cpu", settings, kill_once) as pool:
        summary = run_batch(job, pool.start, events, Stopwatch())
    assert summary.exit_code == 0
    assert sorted(events.of("graded")) == ["anna", "bert"]
    assert len(rows(job)) == 8
    assert "ended (SIGKILL) and is replaced" in caplog.text
    record = json.loads((job.out / "run.json").read_text())
    assert record["stage_seconds"]["models"] > 0.0
    assert record["device"].startswith("cpu")
    assert set(record["model_sha256"]) == {
        job.config.localize.weights,
        job.config.segment.weights,
    }
    assert pool.process_ids == []


def test_threads_of_a_worker_do_not_spin_while_they_wait(settings):
    with WorkerPool(read_config(), "cpu", settings, lambda _: None) as pool:
        environment = Path(f"/proc/{pool.process_ids[0]}/environ").read_bytes()

    assert b"OMP_WAIT_POLICY=PASSIVE" in environment.split(b"\0")


def test_a_study_over_its_time_is_kept_out(make_job, settings):
    hurried = settings.model_copy(update={"time_limit_s": 0.001, "attempts": 1})
    summary, _ = run_pool(make_job(), hurried)
    assert summary.exit_code == 2
    assert "not finished in 0.001 s" in summary.failures[0].message
    table = (make_job().out / "quarantine.csv").read_text()
    assert table.count(",time-limit,1,1,") == 2


def test_a_worker_that_needs_too_much_memory_is_ended(make_job, settings):
    small = settings.model_copy(update={"memory_limit_mb": 10.0, "attempts": 1})
    summary, _ = run_pool(make_job(), small)
    assert "needs more than 10 MB of memory" in summary.failures[0].message


def test_a_model_that_cannot_be_loaded_ends_the_run(make_job, settings, tmp_path):
    manifest = f"""[l]
file = "l.safetensors"
sha256 = "{"0" * 64}"
license = "Apache-2.0"
input = "untrained"
architecture = "spine-localizer"
sizes = {{ channels = [4, 4, 4, 4, 4] }}
"""
    (tmp_path / "manifest.toml").write_text(manifest)
    (tmp_path / "l.safetensors").write_bytes(b"altered")
    job = make_job()
    weights = job.config.localize.model_copy(update={"weights": f"{tmp_path}/l"})
    job = make_job(config=job.config.model_copy(update={"localize": weights}))
    with pytest.raises(ModelError, match="SHA-256"):
        run_pool(job, settings)


def test_workers_that_never_start_are_an_error(make_job, settings, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    job = make_job()
    with (
        pytest.raises(
            WorkerError, match=r"die before they take a study \(exit code 1\)"
        ),
        WorkerPool(job.config, "cpu", settings, lambda _: None) as pool,
    ):
        pool.start(job)
