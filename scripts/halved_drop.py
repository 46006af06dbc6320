"""Tell whether annotated cases halved the drop of a model at a site.

Usage: halved_drop.py COMPARISON.json    of facetgrade compare-models with a benchmark

The drop is the kappa of the model in use on the benchmark minus that on the held-out
cases of the site; the benchmark may lose less than 0.02.
"""

import json
import sys
from pathlib import Path
from typing import Any

KAPPA = "kappa_quadratic_missing"
LARGEST_LOSS = 0.02


def summary(result: dict[str, Any]) -> list[str]:
    """Return lines with kappa before and after, at the site and on the benchmark."""
    own, benchmark = result["own"], result["benchmark"]
    drop = _value(benchmark, "current") - _value(own, "current")
    gain = _value(own, "difference")
    loss = -_value(benchmark, "difference")
    verdict = "at least halved" if gain >= drop / 2 else "not halved"
    kept = "kept" if loss < LARGEST_LOSS else "not kept"
    return [
        *(
            f"{name}: {_line(part)}"
            for name, part in (("site", own), ("benchmark", benchmark))
        ),
        f"drop {drop:.3f}, gain {gain:+.3f}: {verdict}; benchmark {-loss:+.3f}: {kept}",
    ]


def _line(section: dict[str, Any]) -> str:
    """Write kappa of both models and the paired interval."""
    change = section["difference"][KAPPA]
    return (
        f"kappa {_value(section, 'current'):.3f} -> {_value(section, 'new'):.3f}, "
        f"difference {change['value']:+.3f} ({change['low']:+.3f} to "
        f"{change['high']:+.3f}), {section['joints']} joints of "
        f"{section['patients']} patients"
    )


def _value(section: dict[str, Any], role: str) -> float:
    """Return kappa of a role."""
    return float(section[role][KAPPA]["value"])


if __name__ == "__main__":
    print("\n".join(summary(json.loads(Path(sys.argv[1]).read_text()))))
