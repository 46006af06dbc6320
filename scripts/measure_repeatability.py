"""Measure by simulated repeat scans what changes are more than measurement error.

Prints the section ``[smallest_detectable_change]`` of configs/compare.toml.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from facetgrade.anatomy import Level
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import read_config, read_shipped
from facetgrade.evaluate.provenance import made_by
from facetgrade.evaluate.repeatability import (
    Repeatability,
    measure_patients,
    summarize,
)
from facetgrade.inference import choose_device, load_models, model_hashes
from facetgrade.pipeline import Request
from facetgrade.report.atomic import write_json
from facetgrade.simulate.settings import SimulateSettings

SEED = 424242


def main() -> None:
    """Measure as many patients as the command line says, going on where it stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="receives results, kept for the next")
    parser.add_argument("--patients", type=int, default=20, help="two scans of each")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("facetgrade").setLevel(logging.INFO)
    logging.getLogger("pydicom").setLevel(logging.ERROR)
    compare = read_shipped("configs/compare.toml", CompareSettings)
    pipeline = read_config()
    work = Repeatability(
        compare=compare,
        simulator=read_shipped("configs/simulate.toml", SimulateSettings),
        pipeline=pipeline,
        models=load_models(pipeline, choose_device("auto")),
        request=Request(levels=tuple(Level), accept_assumed_levels=True),
        seed=SEED,
    )
    results = measure_patients(options.patients, work, options.folder)
    statistics = compare.statistics
    summary = summarize(results, seed=statistics.seed, resamples=statistics.resamples)
    made = made_by("simulate.toml", work.simulator, model_hashes(pipeline))
    write_json(options.folder / "repeatability.json", {"made": made, **summary})
    print("[smallest_detectable_change] # measured")
    for name, limits in summary["smallest_detectable_change"].items():
        print(
            f"{name} = {limits['value']:.3g}  "
            f"# 95 % interval {limits['low']:.3g} to {limits['high']:.3g}"
        )
    print(f"repeat_scans = {summary['scans']}")
    print(f"joints = {summary['joints']}")
    print(f"# same grade on both scans: {summary['same_grade']:.2f}")
    print(f"# registration: {summary['registration']}")


if __name__ == "__main__":
    main()
