"""Grade studies that are unlike all training, and count what is flagged or refused.

    python scripts/benchmark_unlike.py [FOLDER ...] [--studies 12] [--results FILE]

FOLDER holds studies, each with a folder `dicom`, such as what scripts/benchmark.sh left
in out/benchmark-studies (the default). Each is graded as it is and after each change of
facetgrade/evaluate/unlike.py. A joint is safe when it has no grade or a flag that says
that its images look unlike those of training or that its level is not sure.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.config import read_config
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.unlike import ALL_CHANGES, changed_study
from facetgrade.findings import Flag, Graded, Outcome
from facetgrade.inference import choose_device, load_models
from facetgrade.pipeline import grade_study
from facetgrade.report.atomic import write_json

WARNING = {Flag.UNLIKE_TRAINING, Flag.LEVEL_UNCERTAIN, Flag.LEVEL_ASSUMED}


def main() -> None:
    """Grade and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    places = [Path("out/benchmark-studies")]
    parser.add_argument("folders", type=Path, nargs="*", default=places)
    parser.add_argument("--studies", type=int, default=12)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    found = [f for place in options.folders for f in sorted(place.rglob("dicom"))]
    chosen = found[:: max(1, len(found) // options.studies)][: options.studies]
    config = read_config()
    models = load_models(config, choose_device("auto"))
    outcomes: dict[str, list[Outcome]] = {change: [] for change in ALL_CHANGES}
    for number, folder in enumerate(chosen):
        study = read_folder(folder, config.ingest)
        for change in ALL_CHANGES:
            changed = changed_study(study, change, np.random.default_rng(number))
            outcomes[change] += grade_study(changed, models, config).outcomes
    result = {
        "command": f"scripts/benchmark_unlike.py --studies {len(chosen)}",
        "date": datetime.date.today().isoformat(),
        "models": [config.localize.weights, config.segment.weights],
        "changes": {change: _counted(one) for change, one in outcomes.items()},
    }
    print(json.dumps(result, indent=2))
    if options.results:
        write_json(options.results, result)


def _counted(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count what became of the joints of one change."""
    graded = [one for one in outcomes if isinstance(one, Graded)]
    warned = [one for one in graded if WARNING & set(one.flags)]
    refused = [one for one in outcomes if not isinstance(one, Graded)]
    typicality = [one.typicality for one in outcomes if one.typicality > 0.0]
    return {
        "joints": len(outcomes),
        "no_grade": len(refused),
        "reasons": dict(Counter(str(one.reason) for one in refused)),
        "graded_with_warning": len(warned),
        "graded_without": len(graded) - len(warned),
        "median_typicality": round(float(np.median(typicality)), 3)
        if typicality
        else None,
    }


if __name__ == "__main__":
    main()
