"""Simulated studies of held-out patients on disk: made once, each in its own process.

Simulation takes far longer than grading. A folder of simulated studies can be kept and
is used by every later run that asks for the same patients, whatever its models.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from facetgrade.config import config_values
from facetgrade.evaluate.held_out import HeldOutPatient, simulate_patient
from facetgrade.grade.settings import GradeSettings
from facetgrade.report.atomic import write_json

log = logging.getLogger(__name__)

Progress = Callable[[int, int, str], None]
MARK = "simulated.json"
PARTIAL = ".partial"
# Patients that may wait on disk beside those in work, where none are kept.
_WAITING = 1


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StudyFolder:
    """Where simulated studies go, and how they are made.

    Attributes
    ----------
    path : Path
        One folder per patient.
    rules : GradeSettings
        What defines the true grade.
    workers : int
        Patients simulated at the same time.
    keep : bool
        Studies stay for later runs; otherwise each goes once it was used.
    """

    path: Path
    rules: GradeSettings
    workers: int
    keep: bool

    def of(self, patient: HeldOutPatient) -> Path:
        """Return the folder of a patient, by its name and all that makes it."""
        return self.path / f"{patient.name}-{self._fingerprint(patient)[:12]}"

    def find(self, patient: HeldOutPatient) -> list[Path] | None:
        """Return the studies of a patient that was simulated before, None without."""
        try:
            mark = json.loads((self.of(patient) / MARK).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if mark["simulator"] != simulator_sha256():
            log.warning("%s was simulated by another simulator", patient.name)
        return [self.of(patient) / name for name in mark["studies"]]

    def forget(self, patient: HeldOutPatient) -> None:
        """Remove the studies of a patient."""
        shutil.rmtree(self.of(patient), ignore_errors=True)

    def _fingerprint(self, patient: HeldOutPatient) -> str:
        return patient.fingerprint(
            config_values(self.rules.measure), config_values(self.rules.rules)
        )


def study_folder(
    simulated: Path | None, out: Path, rules: GradeSettings, workers: int
) -> StudyFolder:
    """Return where studies are kept, or a place in `out` that keeps none for None."""
    return StudyFolder(
        path=simulated or out / "work",
        rules=rules,
        workers=workers,
        keep=simulated is not None,
    )


def simulated_patients(
    patients: Sequence[HeldOutPatient], studies: StudyFolder
) -> Generator[tuple[HeldOutPatient, list[Path]], None, None]:
    """Yield patients with the folders of their studies, in order of time.

    Close the iterator (or exhaust it) to end its processes.

    Parameters
    ----------
    patients : sequence of HeldOutPatient
        In the order in which they are wanted.
    studies : StudyFolder
        Where they go. Unless it keeps them, a patient's studies are removed when the
        next one is asked for.
    """
    for stale in studies.path.glob(f"*{PARTIAL}"):
        shutil.rmtree(stale, ignore_errors=True)
    ahead = len(patients) if studies.keep else studies.workers + _WAITING
    # A process per patient: what a simulation took in memory is given back.
    with ProcessPoolExecutor(
        studies.workers, mp_context=get_context("spawn"), max_tasks_per_child=1
    ) as executor:
        waiting = deque(patients)
        started: deque[tuple[HeldOutPatient, Future[list[Path]] | None]] = deque()
        try:
            while waiting or started:
                while waiting and len(started) < ahead:
                    patient = waiting.popleft()
                    started.append((patient, _start(executor, patient, studies)))
                patient, made = started.popleft()
                found = made.result() if made else studies.find(patient)
                if found is None:
                    raise FileNotFoundError(studies.of(patient))
                yield patient, found
                if not studies.keep:
                    studies.forget(patient)
        finally:
            executor.shutdown(cancel_futures=True)


def simulate_all(
    patients: Sequence[HeldOutPatient], studies: StudyFolder, progress: Progress
) -> None:
    """Simulate all patients that are not on disk yet, for a later run to grade.

    Parameters
    ----------
    patients : sequence of HeldOutPatient
        All of them.
    studies : StudyFolder
        Which must keep its studies.
    progress : callable
        Called with patients done, patients in all, and a line of text.
    """
    with closing(simulated_patients(patients, studies)) as made:
        for number, (patient, folders) in enumerate(made, start=1):
            text = f"{patient.name} ({patient.group}): {len(folders)} studies"
            progress(number, len(patients), text)


def simulator_sha256() -> str:
    """Hash the source of the simulator."""
    place = Path(__file__).parents[1] / "simulate"
    files = sorted(place.rglob("*.py"))
    content = b"\0".join(
        file.relative_to(place).as_posix().encode() + b"\0" + file.read_bytes()
        for file in files
    )
    return hashlib.sha256(content).hexdigest()


def _start(
    executor: ProcessPoolExecutor, patient: HeldOutPatient, studies: StudyFolder
) -> Future[list[Path]] | None:
    """Start the simulation of a patient, None if there is nothing to do."""
    if studies.find(patient) is not None:
        return None
    return executor.submit(_make, patient, studies.of(patient), studies.rules)


def _make(patient: HeldOutPatient, folder: Path, rules: GradeSettings) -> list[Path]:
    """Simulate one patient whole or not at all."""
    partial = folder.with_name(f"{folder.name}.{os.getpid()}{PARTIAL}")
    simulator = simulator_sha256()
    names = [made.name for made in simulate_patient(patient, partial, rules)]
    write_json(partial / MARK, {"studies": names, "simulator": simulator})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return [folder / name for name in names]
