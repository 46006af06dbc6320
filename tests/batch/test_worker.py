"""The worker process on its own, without a run around it."""

import subprocess
import sys
from pathlib import Path

from facetgrade.batch.messages import Channel, Setup
from facetgrade.batch.worker import LOST
from facetgrade.config import read_config


def test_a_worker_whose_run_is_gone_ends_without_a_word(tmp_path: Path) -> None:
    said = tmp_path / "stderr.txt"
    with (
        said.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "facetgrade.batch.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as worker,
    ):
        assert worker.stdin
        assert worker.stdout
        Channel(worker.stdout, worker.stdin).send(
            Setup(config=read_config(), device="cpu")
        )
        worker.stdout.close()
        worker.stdin.close()
        assert worker.wait(60) == LOST
    assert said.read_text() == ""
