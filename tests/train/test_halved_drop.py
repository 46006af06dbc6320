"""What scripts/site_demo.sh says of a comparison."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "halved_drop.py"


@pytest.fixture
def summary():
    spec = importlib.util.spec_from_file_location("halved_drop", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.summary


def compared(current, new):
    """Return kappa of both models on one set of cases."""

    def of(value):
        low, high = value - 0.1, value + 0.1
        return {"kappa_quadratic_missing": {"value": value, "low": low, "high": high}}

    parts = {"current": of(current), "new": of(new), "difference": of(new - current)}
    return {**parts, "joints": 160, "patients": 40}


@pytest.mark.parametrize(
    ("site", "benchmark", "said"),
    [
        ((0.5, 0.75), (0.9, 0.89), "drop 0.400, gain +0.250: at least halved"),
        ((0.5, 0.65), (0.9, 0.89), "drop 0.400, gain +0.150: not halved"),
        ((0.5, 0.75), (0.9, 0.87), "benchmark -0.030: not kept"),
    ],
)
def test_the_gain_is_compared_with_half_of_the_drop(summary, site, benchmark, said):
    lines = summary({"own": compared(*site), "benchmark": compared(*benchmark)})
    assert said in lines[-1]
    assert f"kappa {site[0]:.3f} -> {site[1]:.3f}" in lines[0]
