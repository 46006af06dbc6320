"""Time and memory of `facetgrade grade` against size of a study and number of workers.

    python scripts/benchmark_scaling.py FOLDER [--rounds 3] [--only TEXT]
                                        [--results FILE]

FOLDER holds one study, such as scripts/bench_study.sh makes. Every measurement is a
process of its own, and all cases take turns. `cold` is one study in one process;
`further` is what each of three more adds. One worker with as many threads as cores, one
with a single thread, and one such worker for each core are compared on twelve studies.
A worker with a single thread reads and writes beside its networks, and so takes more
than one core where it can; held to one core it shows what a core is worth. Memory is
that of the largest process; `total_peak_mb` adds up the processes of a run.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

FEW, MANY = 4, 12  # studies
FOUR = "four studies"
ALL_CORES, ONE_THREAD = "1 worker, all cores", "1 worker, 1 thread"
ONE_CORE = "1 worker, 1 thread, held to 1 core"
LOOK_S = 0.2
LEVELS = ("L1-L2", "L2-L3", "L3-L4", "L4-L5", "L5-S1")
BYTES_PER_KB = 1024
BYTES_PER_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Case:
    """One command: studies, levels, workers, cores it is held to (0: all)."""

    name: str
    folder: Path
    levels: str = "L3-L4,L4-L5"
    workers: int = 1
    threads: int = 0
    cores: int = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """Clock and processor seconds and peak memory of one command."""

    clock_s: float
    processor_s: float
    peak_mb: float
    total_peak_mb: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    cases = [c for c in _cases(options.folder, scratch) if options.only in c.name]
    measured: dict[str, list[Measured]] = defaultdict(list)
    for _ in range(options.rounds):
        for case in cases:
            measured[case.name].append(_run(case, scratch / "out"))
    result = {
        "command": f"scripts/benchmark_scaling.py {options.folder.name}",
        "date": datetime.date.today().isoformat(),
        "cores": os.cpu_count(),
        "cases": {name: _median(values) for name, values in measured.items()},
    }
    result["summary"] = _summary(result["cases"])
    shutil.rmtree(scratch)
    text = json.dumps(result, indent=2)
    print(text)
    if options.results:
        options.results.write_text(text + "\n")


def _cases(folder: Path, scratch: Path) -> list[Case]:
    """Vary series, slices, joints and workers of one study."""
    series = _series(folder)
    whole = _write(scratch / "whole", series, copies=1)
    few = _write(scratch / "few", series, copies=FEW)
    many = _write(scratch / "many", series, copies=MANY)
    cases = [Case("cold", whole), Case(FOUR, few)]
    cases += [Case("all joints", whole, ",".join(LEVELS))]
    cases += [Case("one level", whole, "L4-L5")]
    for count in range(2, len(series)):
        chosen = dict(list(series.items())[-count:])
        place = _write(scratch / f"series{count}", chosen, copies=1)
        cases.append(Case(f"{count} series", place))
    half = {
        uid: paths[len(paths) // 4 : -(len(paths) // 4)]
        for uid, paths in series.items()
    }
    cases.append(Case("half the slices", _write(scratch / "half", half, copies=1)))
    cores = os.cpu_count() or 1
    cases += [Case(ALL_CORES, many), Case(ONE_THREAD, many, threads=1)]
    cases += [Case(ONE_CORE, many, threads=1, cores=1)]
    cases += [
        Case(f"{workers} workers", many, workers=workers, threads=1)
        for workers in range(2, cores + 1)
    ]
    return cases


def _series(folder: Path) -> dict[str, list[Path]]:
    """Sort the images of a study into series, slices from one end to the other."""
    found: dict[str, list[tuple[float, Path]]] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and pydicom.misc.is_dicom(path):
            dataset = pydicom.dcmread(path, stop_before_pixels=True)
            place = sum(map(float, dataset.ImagePositionPatient))
            found[dataset.SeriesInstanceUID].append((place, path))
    return {uid: [path for _, path in sorted(ones)] for uid, ones in found.items()}


def _write(folder: Path, series: dict[str, list[Path]], *, copies: int) -> Path:
    """Copy series into one or more studies with UIDs of their own."""
    for copy in range(copies):
        place = folder / f"study{copy}"
        place.mkdir(parents=True)
        study_uid = generate_uid()
        for uid, paths in series.items():
            series_uid = generate_uid(entropy_srcs=[study_uid, uid])
            for path in paths:
                dataset = pydicom.dcmread(path)
                dataset.StudyInstanceUID = study_uid
                dataset.SeriesInstanceUID = series_uid
                dataset.SOPInstanceUID = generate_uid()
                dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
                dataset.save_as(place / f"{series_uid[-8:]}{path.name}")
    return folder


def _run(case: Case, out: Path) -> Measured:
    """Grade in a process of its own and ask the system what it took."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "facetgrade", "grade", str(case.folder)]
    command += ["-o", str(out), "--levels", case.levels]
    batch = out.with_suffix(".toml")
    batch.write_text(f"threads = {case.threads}\n")
    command += ["--workers", str(case.workers), "--batch", str(batch)]
    start_s = time.perf_counter()
    if case.cores:
        chosen = ",".join(map(str, sorted(os.sched_getaffinity(0))[: case.cores]))
        command = ["taskset", "--cpu-list", chosen, *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    total_peak_mb = 0.0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        total_peak_mb = max(total_peak_mb, _resident_mb(process.pid))
        time.sleep(LOOK_S)
    _, status, usage = ended
    clock_s = time.perf_counter() - start_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(
        clock_s=clock_s,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * BYTES_PER_KB / BYTES_PER_MB,
        total_peak_mb=total_peak_mb,
    )


def _resident_mb(pid: int) -> float:
    """Add up the resident memory of a process and its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own_mb = pages * os.sysconf("SC_PAGE_SIZE") / BYTES_PER_MB
    return own_mb + sum(_resident_mb(int(child)) for child in children)


def _median(values: list[Measured]) -> dict[str, float]:
    """Return medians over the rounds."""
    return {
        name: round(statistics.median(getattr(one, name) for one in values), 2)
        for name in ("clock_s", "processor_s", "peak_mb", "total_peak_mb")
    }


def _summary(cases: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return what a further study adds, and what a second worker gains."""
    clock_s = {name: case["clock_s"] for name, case in cases.items()}
    summary = {}
    if "cold" in cases and FOUR in cases:
        further = (clock_s[FOUR] - clock_s["cold"]) / (FEW - 1)
        summary = {"cold_s": clock_s["cold"], "further_s": round(further, 2)}
    if "2 workers" in cases:
        summary |= {
            f"two_workers_over: {name}": round(clock_s[name] / clock_s["2 workers"], 2)
            for name in (ALL_CORES, ONE_THREAD, ONE_CORE)
            if name in cases
        }
    return summary


if __name__ == "__main__":
    main()
