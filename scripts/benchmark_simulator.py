"""Time the simulator: whole studies, and training cases of single joints.

    python scripts/benchmark_simulator.py [--studies 6] [--cases 16] [--output FILE]

Studies have parametric anatomy and are written as DICOM with their truth, by one
process and by two. Cases are joints of one anatomy that is built before the clock
starts, each acquired with all contrasts, with the scanner of
configs/train_segmenter.toml, by two processes. --config names changes to
configs/simulate.toml for the studies. Aims are of the clock on an idle machine: on a
busy one only seconds of the processor compare.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.config import (
    check_settings,
    merge,
    read_config,
    read_settings,
    read_toml,
    shipped_path,
)
from facetgrade.evaluate.provenance import made_by
from facetgrade.simulate import simulate
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.pathology import add_pathology, draw_grades
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.train.cases import read_anatomy_settings, read_scanner_settings
from facetgrade.train.segmenter import BODY_SPACING_MM, COLUMN_SPACING_MM
from facetgrade.train.segmenter_cases import acquire_joint
from facetgrade.train.settings import TrainSettings

SHIPPED = Path("models/benchmark/simulator.json")
TRAINING = "configs/train_segmenter.toml"
STUDY_AIM_S = 30.0  # at most, on two cores
CASES_AIM_PER_S = 5.0  # at least, by two processes
PROCESSES = (1, 2)
SPACINGS_MM = (BODY_SPACING_MM, COLUMN_SPACING_MM)


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of the clock and of the processor."""

    clock_s: float
    processor_s: float


class Watch:
    """A clock that starts with its construction."""

    def __init__(self) -> None:
        self._clock_s = time.perf_counter()
        self._processor_s = time.process_time()

    def taken(self) -> Taken:
        """Return what has passed since the start."""
        return Taken(
            time.perf_counter() - self._clock_s,
            time.process_time() - self._processor_s,
        )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=6, help="for each measurement")
    parser.add_argument("--cases", type=int, default=16, help="of each process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--config", type=Path, help="changes to simulate.toml")
    parser.add_argument("--output", type=Path, default=SHIPPED)
    options = parser.parse_args()
    config = read_simulator(options.config)
    made = made_by("configs/simulate.toml", config, {})
    result = {
        "command": f"scripts/benchmark_simulator.py --studies {options.studies} "
        f"--cases {options.cases} --seed {options.seed}",
        "date": made["date"],
        "measured_at": datetime.now(UTC).isoformat(timespec="minutes"),
        "commit": made["commit"],
        "config": options.config.name if options.config else "configs/simulate.toml",
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "studies": {
            f"{count}_process" if count == 1 else f"{count}_processes": time_studies(
                options.studies, count, config, seed=options.seed
            )
            for count in PROCESSES
        },
        "cases": time_cases(options.cases, PROCESSES[-1], seed=options.seed),
    }
    text = json.dumps(result, indent=2)
    print(text)
    options.output.write_text(f"{text}\n", encoding="utf-8")


def read_simulator(changes: Path | None) -> SimulateSettings:
    """Read configs/simulate.toml with the changes of another file."""
    path = shipped_path("configs/simulate.toml")
    values = merge(read_toml(path), read_toml(changes) if changes else {})
    return check_settings(values, SimulateSettings, changes or path)


def time_studies(
    studies: int, processes: int, config: SimulateSettings, *, seed: int
) -> dict[str, Any]:
    """Simulate and write studies, each number by one process, and time each of them.

    Parameters
    ----------
    studies : int
        How many; the same for any number of processes.
    processes : int
        Studies made at the same time.
    config : SimulateSettings
        What the simulator draws from.
    seed : int
        Of all studies.
    """
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(processes, mp_context=spawn) as pool,
    ):
        list(pool.map(_start, range(processes)))  # imports are not timed
        start = time.perf_counter()
        jobs = [
            pool.submit(time_study, Path(folder), config, seed, number)
            for number in range(1, studies + 1)
        ]
        taken = [job.result() for job in jobs]
        clock_s = time.perf_counter() - start
    return summarize_studies(taken, clock_s, processes)


def summarize_studies(
    taken: Sequence[Taken], clock_s: float, processes: int
) -> dict[str, Any]:
    """Summarize how long each study took, and all of them together.

    A study of several at the same time takes as long as it keeps its process busy; the
    clock over all studies tells how fast a set of them is made. Both are judged.
    """
    together_s = clock_s / len(taken)
    median_s = statistics.median(one.clock_s for one in taken)
    return {
        "processes": processes,
        "studies": len(taken),
        "median_s": round(median_s, 2),
        "slowest_s": round(max(one.clock_s for one in taken), 2),
        "processor_median_s": round(
            statistics.median(one.processor_s for one in taken), 2
        ),
        "clock_s_per_study": round(together_s, 2),
        "aim_s": STUDY_AIM_S,
        "met_by_median": median_s <= STUDY_AIM_S,
        "met_by_clock": together_s <= STUDY_AIM_S,
    }


def time_study(folder: Path, config: SimulateSettings, seed: int, number: int) -> Taken:
    """Return the seconds that one study takes, from anatomy to files."""
    watch = Watch()
    for _ in simulate(
        folder,
        studies=1,
        seed=seed,
        pairs=False,
        anatomy="parametric",
        config=config,
        grade=read_config().grade,
        first=number,
    ):
        pass
    return watch.taken()


def time_cases(
    cases: int,
    processes: int,
    *,
    seed: int,
    spacings_mm: tuple[float, float] = SPACINGS_MM,
) -> dict[str, Any]:
    """Acquire joints of one cached anatomy in all contrasts by several processes.

    Parameters
    ----------
    cases : int
        Of each process.
    processes : int
        That acquire at the same time; all start once each has read the anatomy.
    seed : int
        Of anatomy and cases.
    spacings_mm : tuple of float
        Voxel distance of body and column; those of training unless tests need less.
    """
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        cached = Path(folder) / "scene.pickle"
        cached.write_bytes(pickle.dumps(training_scene(seed, spacings_mm)))
        together = spawn.Barrier(processes)
        with ProcessPoolExecutor(
            processes, mp_context=spawn, initializer=_share, initargs=(together,)
        ) as pool:
            jobs = [
                pool.submit(time_views, cached, cases, (seed, number))
                for number in range(processes)
            ]
            measured = [job.result() for job in jobs]
    return summarize_cases(cases, measured)


def summarize_cases(
    cases: int, measured: Sequence[tuple[Taken, float]]
) -> dict[str, Any]:
    """Summarize seconds and mean number of stacks of the processes."""
    per_s = cases * len(measured) / max(taken.clock_s for taken, _ in measured)
    processor_s = statistics.mean(taken.processor_s for taken, _ in measured) / cases
    return {
        "processes": len(measured),
        "cases": cases * len(measured),
        "stacks_per_case": round(statistics.mean(stacks for _, stacks in measured), 1),
        "cases_per_s": round(per_s, 2),
        "processor_s_per_case": round(processor_s, 3),
        "aim_per_s": CASES_AIM_PER_S,
        "met": per_s >= CASES_AIM_PER_S,
    }


def training_scene(seed: int, spacings_mm: tuple[float, float]) -> Scene:
    """Build one patient with synovitis as the training of the segmenter does."""
    settings = read_settings(shipped_path(TRAINING), TrainSettings).cases
    rng = np.random.default_rng([seed, 0])
    anatomy = read_anatomy_settings(
        settings, body_spacing_mm=spacings_mm[0], column_spacing_mm=spacings_mm[1]
    )
    scene = build_scene(anatomy, "parametric", rng, data_folder=None)
    pathology = read_simulator(None).pathology.model_copy(update={"attempts": 1})
    grades = draw_grades(rng, sorted(scene.joints), pathology)
    return add_pathology(scene, grades, rng, pathology, read_config().grade)


def time_views(cached: Path, cases: int, seed: tuple[int, int]) -> tuple[Taken, float]:
    """Return the seconds of some cases after a first one, and their mean stacks."""
    settings = read_settings(shipped_path(TRAINING), TrainSettings).cases
    scanner = read_scanner_settings(settings)
    scene: Scene = pickle.loads(cached.read_bytes())
    rng = np.random.default_rng(seed)
    joints = sorted(scene.joints)

    def acquire(number: int) -> int:
        joint = joints[number % len(joints)]
        view = acquire_joint(
            scene, joint, scanner, rng, tissue_spread=settings.tissue_spread
        )
        return len(view.stacks)

    acquire(0)
    if _together is not None:
        _together.wait(timeout=600.0)
    watch = Watch()
    stacks = [acquire(number) for number in range(cases)]
    return watch.taken(), statistics.mean(stacks)


_together: Barrier | None = None


def _share(together: Barrier) -> None:
    """Keep in a new process what lets all of them start together."""
    global _together
    _together = together


def _start(number: int) -> int:
    """Keep a process busy until the others have started, too."""
    time.sleep(0.5)
    return number


if __name__ == "__main__":
    main()
