import os
import signal
import socket
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

from facetgrade.train.loop import batch_indices
from tests.train.shared_batches import settings, train

SCRIPT = Path(__file__).with_name("shared_batches.py")


def free_port() -> str:
    """Ask the system for a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


def test_processes_share_the_batches_of_one():
    steps = range(2, 4)

    halves = [batch_indices(settings(2, 9), steps, rank, 2) for rank in range(2)]
    whole = batch_indices(settings(4, 9), steps, 0, 1)

    assert whole == [[8, 9, 10, 11], [12, 13, 14, 15]]
    assert halves == [[[8, 9], [12, 13]], [[10, 11], [14, 15]]]


def test_accumulated_parts_are_the_cases_of_the_larger_batch():
    parts = batch_indices(settings(2, 9, accumulate=2), range(1, 2), 0, 1)

    assert parts == [[4, 5], [6, 7]]


def test_a_run_killed_three_times_ends_as_one_that_was_not(tmp_path):
    chosen = settings(1, 12)
    whole = tmp_path / "whole"
    train(whole, chosen)
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.train.shared_batches"])

    for killed_at in np.random.default_rng(5).integers(2, 7, 3).tolist():
        process = context.Process(
            target=train, args=(tmp_path / "killed", chosen, killed_at)
        )
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    train(tmp_path / "killed", chosen)

    ends = [
        torch.load(folder / "end.pt", weights_only=True)["weights"]
        for folder in (whole, tmp_path / "killed")
    ]
    assert torch.equal(*ends)
    curves = [
        (folder / "curves.csv").read_text() for folder in (whole, tmp_path / "killed")
    ]
    assert curves[0] == curves[1]


def test_two_processes_have_the_loss_curve_of_one_with_the_doubled_batch(tmp_path):
    one = train(tmp_path / "one", settings(4, 6))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-port", free_port(), SCRIPT, tmp_path / "two", "2", "6"),
    ]
    root = SCRIPT.parents[2]
    subprocess.run(
        command,
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        timeout=600,
    )

    two = torch.load(tmp_path / "two" / "end.pt", weights_only=True)
    assert two["losses"] == pytest.approx(one, rel=1e-3)
    ends = torch.load(tmp_path / "one" / "end.pt", weights_only=True)
    torch.testing.assert_close(two["weights"], ends["weights"], rtol=1e-3, atol=1e-4)
