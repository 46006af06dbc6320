import pytest

from facetgrade.stopwatch import Stopwatch


def test_a_stage_that_runs_again_adds_to_its_time(monkeypatch):
    moments_s = iter([10.0, 12.5, 20.0, 21.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments_s))
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("read"):
            pass
    # 2.5 s the first time and 1.0 s the second
    assert watch.seconds == {"read": 3.5}


def test_the_stage_that_failed_is_the_current_one():
    told = []
    watch = Stopwatch(told.append)
    with pytest.raises(KeyError), watch.stage("grade"):
        raise KeyError
    assert (watch.current, told) == ("grade", ["grade"])
    assert watch.seconds["grade"] >= 0.0
