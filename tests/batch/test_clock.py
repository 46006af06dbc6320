"""Clocks that jump, and files from the future."""

import itertools
import json
import os
import time

from tests.batch.builders import rows, run

YEAR_S = 365 * 86400


def test_a_clock_that_jumps_between_and_within_runs_changes_nothing(
    make_job, studies, monkeypatch
):
    times_s = itertools.cycle((0, int(time.time()) + 50 * YEAR_S))
    for path in sorted(studies.rglob("*.dcm")):
        seconds = next(times_s)
        os.utime(path, (seconds, seconds))
    undisturbed, _ = run(make_job())
    table = rows(make_job())
    true_time, jumps = time.time, itertools.cycle((YEAR_S, -YEAR_S))
    monkeypatch.setattr(time, "time", lambda: true_time() + next(jumps))

    again, events = run(make_job())
    forced, _ = run(make_job(force=True))

    codes = [summary.exit_code for summary in (undisturbed, again, forced)]
    assert codes == [0, 0, 0]
    assert sorted(events.of("skipped")) == ["anna", "bert"]
    assert rows(make_job()) == table
    record = json.loads((make_job().out / "run.json").read_text())
    assert all(seconds >= 0.0 for seconds in record["stage_seconds"].values())
