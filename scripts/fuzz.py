"""Fuzz one reader with atheris and keep a count that later runs go on with.

    scripts/fuzz.sh                      all readers in turns
    python scripts/fuzz.py READER --seconds 60 --folder fuzz --results fuzz.json

Nothing stops the run: an unexpected exception is kept with its input under FOLDER, a
call of more than ten seconds too. Readers and seeds are those of tests/fuzz.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import inspect
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import atheris

from tests.fuzz.readers import READERS
from tests.fuzz.seeds import write_seeds

INSTRUMENTED = {
    "dicom": ["facetgrade.ingest", "pydicom.filereader", "pydicom.values"],
    "dicom-file": [
        "facetgrade.ingest",
        "pydicom.filereader",
        "pydicom.values",
        "pydicom.pixels.decoders",
    ],
    "dicomdir": ["facetgrade.ingest", "pydicom.filereader"],
    "zip": ["facetgrade.ingest.archive", "zipfile"],
    "tar": ["facetgrade.ingest.archive", "tarfile"],
    "nifti": ["facetgrade.ingest", "nibabel.nifti1", "nibabel.wrapstruct"],
    "sidecar": ["facetgrade.ingest", "json.decoder"],
    "config": ["facetgrade.config_files", "tomllib"],
    "model-manifest": ["facetgrade.inference.weights", "tomllib"],
    "csv-manifest": ["facetgrade.train.manifest"],
    "json-manifest": ["facetgrade.train.manifest", "json.decoder"],
}
HANG_S = 10
SAVE_EVERY_S = 5.0


class Run:
    """What a run did so far, written again and again."""

    def __init__(self, name: str, folder: Path, results: Path) -> None:
        self.name, self.results = name, results
        self.findings = folder / "findings" / name
        self.findings.mkdir(parents=True, exist_ok=True)
        self.scratch = Path(tempfile.mkdtemp(dir=_memory_folder()))
        self.seeds = write_seeds(self.scratch, name)
        self.executions, self.found, self.slowest_s = 0, 0, 0.0
        self._start_s = self._saved_s = time.monotonic()
        self._before, self._commit = _entry(results, name), _commit()

    def __call__(self, content: bytes) -> None:
        """Read one input; note what must not happen."""
        start_s = time.monotonic()
        try:
            READERS[self.name](self.scratch, content)
        except Exception as error:
            self._keep(content, error)
        now_s = time.monotonic()
        self.executions += 1
        self.slowest_s = max(self.slowest_s, now_s - start_s)
        if now_s - start_s > HANG_S:
            self._keep(content, TimeoutError(f"{now_s - start_s:.1f} s"))
        if now_s - self._saved_s > SAVE_EVERY_S:
            self._saved_s = now_s
            self.save()

    def save(self) -> None:
        """Add this run to what earlier runs counted."""
        all_results: dict[str, Any] = _read(self.results)
        before = self._before
        seconds = time.monotonic() - self._start_s
        all_results[self.name] = {
            "executions": before["executions"] + self.executions,
            "seconds": round(before["seconds"] + seconds, 1),
            "unexpected": before["unexpected"] + self.found,
            "slowest_s": round(max(before["slowest_s"], self.slowest_s), 3),
            "commit": self._commit,
            "date": datetime.date.today().isoformat(),
        }
        partial = self.results.with_suffix(".partial")
        partial.write_text(json.dumps(all_results, indent=2, sort_keys=True) + "\n")
        partial.replace(self.results)

    def _keep(self, content: bytes, error: BaseException) -> None:
        """Keep one input for each place in the code that fails."""
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        place = "".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
        digest = hashlib.sha256(f"{type(error)}{place}".encode()).hexdigest()[:12]
        target = self.findings / digest
        if target.exists():
            return
        self.found += 1
        target.write_bytes(content)
        target.with_suffix(".txt").write_text(
            "".join(traceback.format_exception(error))
        )


def main() -> None:
    """Fuzz one reader for a while."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--folder", type=Path, default=Path("fuzz"))
    parser.add_argument("--results", type=Path, default=Path("fuzz.json"))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    run = Run(options.reader, options.folder, options.results)
    corpus = options.folder / "corpus" / options.reader
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in run.seeds:
        (corpus / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    run.save()
    _instrument(INSTRUMENTED[options.reader])
    atheris.Setup(
        [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={options.seconds}",
            f"-timeout={6 * HANG_S}",
            "-rss_limit_mb=3000",
            "-max_len=20000",
            "-verbosity=0",
        ],
        run,
    )
    atheris.Fuzz()


def _instrument(prefixes: list[str]) -> None:
    """Let atheris see which lines of the given modules run."""
    for name, module in list(sys.modules.items()):
        if not any(name == p or name.startswith(f"{p}.") for p in prefixes):
            continue
        places = [module, *(o for o in vars(module).values() if inspect.isclass(o))]
        for place in places:
            for member in list(vars(place).values()):
                if inspect.isfunction(member) and member.__module__ == name:
                    atheris.instrument_func(member)


def _memory_folder() -> str | None:
    """Return a folder in memory where there is one."""
    shared = Path("/dev/shm")
    return str(shared) if os.access(shared, os.W_OK) else None


def _read(results: Path) -> dict[str, Any]:
    """Read what earlier runs wrote."""
    try:
        content: dict[str, Any] = json.loads(results.read_text())
    except FileNotFoundError:
        return {}
    return content


def _entry(results: Path, name: str) -> dict[str, Any]:
    """Return what earlier runs counted for one reader."""
    nothing = {"executions": 0, "seconds": 0.0, "unexpected": 0, "slowest_s": 0.0}
    return nothing | _read(results).get(name, {})


def _commit() -> str:
    """Return the commit that is checked out."""
    run = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return run.stdout.strip()


if __name__ == "__main__":
    main()
