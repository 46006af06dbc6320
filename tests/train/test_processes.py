import os
import signal
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
LOOPBACK = "lo0" if sys.platform == "darwin" else "lo"


def torchrun(*arguments: object) -> str:
    """Run the script in two processes and return their output if they fail.

    The rendezvous of ``--standalone`` takes a free port itself; one that was chosen
    beforehand may be gone. Messages stay on the loopback, whatever the name of the
    machine resolves to.
    """
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--local-addr", "127.0.0.1", "--nproc-per-node", "2", SCRIPT, *arguments),
    ]
    ran = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(SCRIPT.parents[2]),
            "OMP_NUM_THREADS": "1",
            "GLOO_SOCKET_IFNAME": LOOPBACK,
        },
        timeout=600,
    )
    return "" if ran.returncode == 0 else f"ended with {ran.returncode}\n{ran.stdout}"


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
    failure = torchrun(tmp_path / "two", 2, 6)
    assert not failure, failure

    two = torch.load(tmp_path / "two" / "end.pt", weights_only=True)
    assert two["losses"] == pytest.approx(one, rel=1e-3)
    ends = torch.load(tmp_path / "one" / "end.pt", weights_only=True)
    torch.testing.assert_close(two["weights"], ends["weights"], rtol=1e-3, atol=1e-4)


def test_what_fails_after_the_last_step_fails_the_run(tmp_path):
    (tmp_path / "end.pt").mkdir()

    assert "ended with 1" in torchrun(tmp_path, 2, 2)
