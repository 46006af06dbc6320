"""Make the simulated patients of a training run once, in parallel, and keep them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.config import check_settings, merge, read_toml
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.pathology.settings import PathologySettings
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.train.settings import CaseSettings

SPLITS = ("sources", "validation")


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """One simulated patient to make: where from, which seed, where to."""

    split: str
    source: str
    seed: tuple[int, int, int]
    folder: Path


def prepare_cases(
    settings: CaseSettings,
    folder: Path,
    make: Callable[[CaseSettings, PlannedCase], None],
    *,
    processes: int,
) -> dict[str, list[Path]]:
    """Make what is missing and return the case files of each split.

    Parameters
    ----------
    settings : CaseSettings
        Number of patients by anatomy source, for training and validation.
    folder : Path
        Each patient gets a subfolder; a finished one holds a file ``done``.
    make : callable
        Module-level function that writes the ``*.npz`` files of one patient.
    processes : int
        Patients made at the same time.
    """
    planned = _plan(settings, folder)
    missing = [case for case in planned if not (case.folder / "done").exists()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(partial(_make_one, make, settings), c) for c in missing]
        for count, job in enumerate(as_completed(jobs), 1):
            job.result()
            if count % 10 == 0 or count == len(missing):
                print(f"simulated {count}/{len(missing)} patients", flush=True)  # noqa: T201
    return {
        split: [
            path
            for case in planned
            if case.split == split
            for path in sorted(case.folder.glob("*.npz"))
        ]
        for split in SPLITS
    }


def read_anatomy_settings(
    settings: CaseSettings, *, body_spacing_mm: float, column_spacing_mm: float
) -> AnatomySettings:
    """Read the anatomy of a run's simulator, with other grid spacings."""
    section = _read_simulator(settings)["anatomy"]
    section |= {
        "body_spacing_mm": body_spacing_mm,
        "column_spacing_mm": column_spacing_mm,
    }
    return check_settings(section, AnatomySettings, settings.simulate_config)


def read_scanner_settings(settings: CaseSettings) -> SimulateSettings:
    """Read scanner, protocols and study habits of a run's simulator."""
    sections = _read_simulator(settings)
    wanted = {key: sections[key] for key in SimulateSettings.model_fields}
    return check_settings(wanted, SimulateSettings, settings.simulate_config)


def read_pathology_settings(settings: CaseSettings) -> PathologySettings:
    """Read the pathology of a run's simulator."""
    section = _read_simulator(settings)["pathology"]
    return check_settings(section, PathologySettings, settings.simulate_config)


def _read_simulator(settings: CaseSettings) -> dict[str, Any]:
    """Read the simulator's configuration with what the run changes in it."""
    return merge(read_toml(settings.simulate_config), settings.overrides)


def case_rng(case: PlannedCase) -> np.random.Generator:
    """Return the generator of one patient."""
    return np.random.default_rng(case.seed)


def _plan(settings: CaseSettings, folder: Path) -> list[PlannedCase]:
    """List all patients of both splits; seeds of the splits never meet."""
    planned = []
    for split_number, split in enumerate(SPLITS):
        counts: dict[str, int] = getattr(settings, split)
        number = 0
        for source, count in counts.items():
            for _ in range(count):
                seed = (settings.seed, split_number, number)
                place = folder / split / f"{number:05d}"
                planned.append(PlannedCase(split, source, seed, place))
                number += 1
    return planned


def _make_one(
    make: Callable[[CaseSettings, PlannedCase], None],
    settings: CaseSettings,
    case: PlannedCase,
) -> None:
    """Make one patient in a folder that counts only when it is complete."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    case.folder.mkdir(parents=True, exist_ok=True)
    make(settings, case)
    (case.folder / "done").touch()
