"""Simulate the studies of data_samples/: two patients, baseline and one year.

Both are like the published trial case: suspected synovitis of both L3-L4 joints, severe
synovitis at right L4-L5, lower after a year.
"""

from __future__ import annotations

import argparse
import shutil
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from facetgrade.config_files import read_settings, read_shipped, shipped_path
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate import simulate_study, write_study
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.pathology import (
    add_lookalikes,
    add_pathology,
    draw_trial_case,
)
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import draw_subject_tissue
from facetgrade.simulate.vendors import draw_patient

SEED = 61
ROOT = Path(__file__).parents[1]
CHANGES = ROOT / "configs" / "sample_studies.toml"
FIRST_DAY = date(2020, 9, 7)

PATIENTS = ("sim-0001", "sim-0002")
VISITS = ("baseline", "followup")


def main() -> None:
    """Write every study below the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "data_samples")
    folder = parser.parse_args().folder
    config = read_shipped("configs/simulate.toml", SimulateSettings, CHANGES)
    grade = read_settings(shipped_path("configs/grade.toml"), GradeSettings)
    for number, name in enumerate(PATIENTS, start=1):
        rng = np.random.default_rng([SEED, number])
        patient = draw_patient(number, rng)
        healthy = build_scene(config.anatomy, "parametric", rng)
        healthy = add_lookalikes(healthy, rng, config.pathology.lookalikes)
        subject = draw_subject_tissue(rng)
        both = draw_trial_case(rng, sorted(healthy.joints))
        for year, (visit, grades) in enumerate(zip(VISITS, both, strict=True)):
            scene = add_pathology(healthy, grades, rng, config.pathology, grade)
            day = FIRST_DAY + timedelta(days=365 * year)
            study = simulate_study(
                scene, patient, subject, study_date=day, config=config, rng=rng
            )
            target = folder / f"{name}_{visit}"
            shutil.rmtree(target, ignore_errors=True)
            write_study(target, study, grade=grade, rng=rng)
            print(target)


if __name__ == "__main__":
    main()
