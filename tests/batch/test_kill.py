"""Runs that end without warning, and are run again."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch.builders import run
from tests.ingest.builders import gradient_volume, write_series

ROOT = Path(__file__).parents[2]

# The timer counts processor time and ends the process like SIGKILL: nobody catches it.
KILLED_RUNS = """
import os, random, signal, sys
from pathlib import Path
from tests.batch.builders import job_of, run

inputs, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
chance = random.Random(20)
for _ in range(kills):
    child = os.fork()
    if not child:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, chance.uniform(0.01, 0.25))
        run(job_of(inputs, out))
        os._exit(0)
    chance.random()
    os.waitpid(child, 0)
summary, events = run(job_of(inputs, out))
print(summary.exit_code, len(events.of("skipped")), len(events.of("graded")))
"""


@pytest.fixture
def many(studies):
    for k in range(8):
        write_series(studies / f"s{k}", gradient_volume(), study=f"s{k}", series="T2")
    return studies


def test_runs_killed_at_random_end_like_an_undisturbed_one(many, make_job, tmp_path):
    run(make_job(out=tmp_path / "undisturbed"))
    command = [sys.executable, "-c", KILLED_RUNS, many, tmp_path / "killed", "12"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    code, skipped, graded = map(int, done.stdout.split())
    assert (code, skipped + graded) == (0, 10)
    for name in ("joints.csv", "quarantine.csv", "joints.parquet"):
        undisturbed = (tmp_path / "undisturbed" / name).read_bytes()
        assert (tmp_path / "killed" / name).read_bytes() == undisturbed
