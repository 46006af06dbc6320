"""Time reading DICOM files against dcm2niix on the same files in the same run.

    python scripts/benchmark_ingest.py FOLDER [--rounds 5] [--results FILE]

FOLDER holds one study with uncompressed pixels, such as scripts/bench_study.sh makes; a
copy with RLE is made beside it in a temporary folder. Both programs take turns. Seconds
are of the clock and of the processor: on a busy machine only the latter compare.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.uid import RLELossless

from facetgrade.ingest import Privacy, find_studies, load_study, shipped_settings

NOBODY = Privacy(key=bytes(32), keep_patient_id=False, mask_uids=False)
CONVERTER = "/usr/bin/dcm2niix"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    plain, rle = scratch / "uncompressed", scratch / "rle"
    files = _copy(options.folder, plain, rle)
    calls = {
        (place.name, program): _call(program, place, scratch / "nifti")
        for place in (plain, rle)
        for program in ("facetgrade", "dcm2niix")
    }
    measured = _medians(calls, options.rounds)
    result = {
        "command": f"scripts/benchmark_ingest.py {options.folder.name}",
        "date": datetime.date.today().isoformat(),
        "files": files,
        **{place.name: _table(place.name, measured, files) for place in (plain, rle)},
    }
    shutil.rmtree(scratch)
    text = json.dumps(result, indent=2)
    print(text)
    if options.results:
        options.results.write_text(text + "\n")


def _copy(folder: Path, plain: Path, rle: Path) -> int:
    """Copy the images as they are and with RLE; return how many there are."""
    plain.mkdir()
    rle.mkdir()
    count = 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or not pydicom.misc.is_dicom(path):
            continue
        count += 1
        dataset = pydicom.dcmread(path)
        dataset.decompress()
        dataset.save_as(plain / f"{count:05d}.dcm")
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(rle / f"{count:05d}.dcm")
    return count


def _call(program: str, place: Path, target: Path) -> Callable[[], None]:
    """Return what one program does with one folder: scan, sort, decode."""
    settings = shipped_settings()

    def read() -> None:
        for files in find_studies(place, settings=settings):
            load_study(files, settings, NOBODY)

    def convert() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        command = [CONVERTER, "-z", "n", "-b", "n", "-o", target, place]
        subprocess.run(command, check=True, capture_output=True)

    return read if program == "facetgrade" else convert


def _medians(
    calls: dict[tuple[str, str], Callable[[], None]], rounds: int
) -> dict[tuple[str, str], tuple[float, float]]:
    """Time all calls in turn after a first round: clock and processor seconds."""
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {k: [] for k in calls}
    for number in range(rounds + 1):
        for key, call in calls.items():
            clock_s, used_s = time.perf_counter(), _processor_s()
            call()
            if number:
                seconds[key].append(
                    (time.perf_counter() - clock_s, _processor_s() - used_s)
                )
    return {
        key: (
            statistics.median(clock for clock, _ in values),
            statistics.median(used for _, used in values),
        )
        for key, values in seconds.items()
    }


def _processor_s() -> float:
    """Return the processor seconds of this process and its children."""
    return sum(os.times()[:4])


def _table(
    place: str, measured: dict[tuple[str, str], tuple[float, float]], files: int
) -> dict[str, float]:
    """Return milliseconds per file, and the ratio of the two programs."""
    table: dict[str, float] = {}
    for program in ("facetgrade", "dcm2niix"):
        clock_s, used_s = measured[place, program]
        table[f"{program}_clock_ms"] = round(1000 * clock_s / files, 2)
        table[f"{program}_processor_ms"] = round(1000 * used_s / files, 2)
    table["processor_ratio"] = round(
        table["facetgrade_processor_ms"] / table["dcm2niix_processor_ms"], 2
    )
    return table


if __name__ == "__main__":
    main()
