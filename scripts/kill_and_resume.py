"""Grade many small studies undisturbed and killed at random; nothing may differ.

Studies of two series with nine slices 128x128 are simulated and copied under new UIDs.
One run grades them undisturbed while its memory is watched; another is killed with
SIGKILL at random moments and started again until it ends. The studies and the memory of
the undisturbed run stay in FOLDER, so that a run that was broken off repeats only the
killed part.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import pydicom

ROOT = Path(__file__).parents[1]
SEED = 7
BLOCK = 100
LOOK_S = 1.0


def main() -> None:
    """Run the comparison and write the result."""
    options = read_options()
    studies = options.folder / "studies"
    originals = simulate(options.folder, options.simulated)
    copy_studies(originals, studies, options.studies)
    memory = grade_watched(studies, options.folder / "undisturbed", options.workers)
    kills = grade_killed(studies, options)
    result = describe(options, memory, kills)
    text = json.dumps(result, indent=1) + "\n"
    options.result.write_text(text)
    print(text)
    sys.exit(0 if result["joints_csv_equal"] and not result["studies_lost"] else 1)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; kept for a second run")
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--simulated", type=int, default=20)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--result", type=Path, default=ROOT / "scripts" / "kill_and_resume.json"
    )
    return parser.parse_args()


def simulate(folder: Path, count: int) -> list[Path]:
    """Simulate the originals, once."""
    originals = folder / "simulated"
    if not (originals / "complete").exists():
        command = [sys.executable, "-m", "facetgrade", "simulate", "-o", originals]
        settings = ROOT / "configs" / "small_study.toml"
        options = ["--studies", count, "--seed", SEED, "--config", settings]
        subprocess.run([*map(str, command), *map(str, options)], check=True)
        (originals / "complete").touch()
    return sorted(originals.glob("sim-*/dicom"))


def copy_studies(originals: list[Path], folder: Path, count: int) -> None:
    """Copy the originals in turn, each copy with UIDs and a patient of its own."""
    for number in range(count):
        target = folder / f"s{number:05d}"
        if target.exists():
            continue
        partial = folder / f".s{number:05d}"
        for path in sorted(originals[number % len(originals)].rglob("*")):
            if path.is_file():
                copy_image(path, partial / path.name, number)
        partial.rename(target)


def copy_image(path: Path, target: Path, number: int) -> None:
    """Copy one image under UIDs that follow from the old ones and the number."""
    image = pydicom.dcmread(path)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        old = f"{number} {image[keyword].value}"
        value = int.from_bytes(hashlib.sha256(old.encode()).digest()[:15], "big")
        setattr(image, keyword, f"2.25.{value}")
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientID = f"copy {number}"
    target.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(target.with_name(f"{image.SOPInstanceUID}.dcm"))


def grade_watched(studies: Path, out: Path, workers: int) -> list[float]:
    """Grade all studies, once; return the memory in MB at each finished study."""
    kept = out.with_suffix(".memory.json")
    if kept.exists():
        known: list[float] = json.loads(kept.read_text())
        return known
    shutil.rmtree(out, ignore_errors=True)
    process = start(studies, out, workers)
    memory: list[float] = []
    while process.poll() is None:
        time.sleep(LOOK_S)
        done = sum(1 for _ in (out / "studies").glob("*/study.json"))
        used_mb = sum(resident_mb(pid) for pid in family(process.pid))
        memory += [used_mb] * max(0, done - len(memory))
    if process.returncode:
        sys.exit(f"the undisturbed run ended with code {process.returncode}")
    kept.write_text(json.dumps(memory))
    return memory


def grade_killed(studies: Path, options: argparse.Namespace) -> list[int]:
    """Grade all studies, killed at random; return how many were done at each kill."""
    out = options.folder / "killed"
    shutil.rmtree(out, ignore_errors=True)
    chance = random.Random(SEED)
    marks = sorted(chance.randrange(options.studies) for _ in range(options.kills))
    kills: list[int] = []
    for mark in marks:
        process = start(studies, out, options.workers)
        while process.poll() is None and finished(out) < mark:
            time.sleep(LOOK_S / 2)
        time.sleep(chance.uniform(0.0, 5.0))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills.append(finished(out))
    code = start(studies, out, options.workers).wait()
    if code:
        sys.exit(f"the last run ended with code {code}")
    return kills


def start(studies: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    """Start `facetgrade grade` in a process of its own."""
    command = [sys.executable, "-m", "facetgrade", "grade", studies, "-o", out]
    return subprocess.Popen(
        [*map(str, command), "--workers", str(workers)],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def finished(out: Path) -> int:
    """Count the studies whose results are complete."""
    return sum(1 for _ in (out / "studies").glob("*/study.json"))


def family(pid: int) -> Iterator[int]:
    """Yield a process and its children."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def describe(
    options: argparse.Namespace, memory: list[float], kills: list[int]
) -> dict[str, object]:
    """Put what was found into words and numbers."""
    tables = [
        (options.folder / name / "joints.csv").read_bytes()
        for name in ("undisturbed", "killed")
    ]
    rows = tables[0].count(b"\n") - 1
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "studies": options.studies,
        "simulated": options.simulated,
        "workers": options.workers,
        "kills": len(kills),
        "studies_done_at_each_kill": kills,
        "joints_csv_sha256": hashlib.sha256(tables[0]).hexdigest(),
        "joints_csv_equal": tables[0] == tables[1],
        "studies_lost": options.studies - rows // 4,
        "memory_mb": memory_blocks(memory),
    }


def memory_blocks(memory: list[float]) -> dict[str, float | None]:
    """Compare the last studies with early ones: the second hundred, or fifth."""
    block = BLOCK if len(memory) >= 3 * BLOCK else max(1, len(memory) // 5)
    early, late = median(memory[block : 2 * block]), median(memory[-block:])
    return {
        "block_of_studies": block,
        "second_block": round(early, 1),
        "last_block": round(late, 1),
        "growth_percent": round(100.0 * (late / early - 1.0), 2) if early else None,
        "peak": round(max(memory), 1),
    }


def commit() -> str:
    """Return the commit that was run."""
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False
    ).stdout.strip()


if __name__ == "__main__":
    main()
