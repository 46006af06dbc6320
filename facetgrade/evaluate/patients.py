"""Work through held-out patients: what was found on each is kept in a file."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from facetgrade.evaluate.held_out import HeldOutPatient
from facetgrade.evaluate.studies import Progress, StudyFolder, simulated_patients
from facetgrade.report.atomic import write_json

log = logging.getLogger(__name__)

Found = TypeVar("Found")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class KeptFindings(Generic[Found]):
    """One JSON file per patient, valid for what it was found with.

    Attributes
    ----------
    folder : Path
        Holds the files.
    fingerprint : callable
        Hash of all that decides what is found on a patient.
    to_json, from_json : callable
        For one finding.
    """

    folder: Path
    fingerprint: Callable[[HeldOutPatient], str]
    to_json: Callable[[Found], dict[str, Any]]
    from_json: Callable[[Mapping[str, Any]], Found]

    def read(self, patient: HeldOutPatient) -> list[Found] | None:
        """Return what was found with the same models and settings, None without."""
        try:
            kept = json.loads(self._path(patient).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if kept["fingerprint"] != self.fingerprint(patient):
            return None
        return [self.from_json(values) for values in kept["found"]]

    def write(self, patient: HeldOutPatient, found: Sequence[Found]) -> None:
        """Keep what was found on one patient."""
        values: dict[str, Any] = {
            "fingerprint": self.fingerprint(patient),
            "seed": patient.seed,
            "group": patient.group,
            "found": [self.to_json(one) for one in found],
        }
        write_json(self._path(patient), values)

    def _path(self, patient: HeldOutPatient) -> Path:
        return self.folder / f"{patient.name}.json"


def work_through(
    patients: Sequence[HeldOutPatient],
    studies: StudyFolder,
    kept: KeptFindings[Found],
    look: Callable[[HeldOutPatient, Path], list[Found]],
    progress: Progress | None,
) -> list[Found]:
    """Look at the studies of every patient, except where that was done before.

    Parameters
    ----------
    patients : sequence of HeldOutPatient
        All of them.
    studies : StudyFolder
        Where studies are simulated.
    kept : KeptFindings
        What was found, then and now.
    look : callable
        Looks at one study of a patient.
    progress : callable or None
        Called with patients done, patients in all, and a line of text.

    Returns
    -------
    list
        What was found, in the order of the patients.
    """
    report = progress or _log
    missing = [patient for patient in patients if kept.read(patient) is None]
    done = len(patients) - len(missing)
    report(done, len(patients), f"{done} of {len(patients)} patients were done")
    if missing:
        start_s = time.perf_counter()
        with closing(simulated_patients(missing, studies)) as simulated:
            for number, (patient, folders) in enumerate(simulated, start=1):
                found = [one for folder in folders for one in look(patient, folder)]
                kept.write(patient, found)
                each_s = (time.perf_counter() - start_s) / number
                left_min = each_s * (len(missing) - number) / 60.0
                text = (
                    f"{patient.name} ({patient.group}): {each_s:.0f} s a patient, "
                    f"{left_min:.0f} min left"
                )
                report(done + number, len(patients), text)
    return [one for patient in patients for one in kept.read(patient) or ()]


def _log(done: int, total: int, text: str) -> None:
    """Log progress when nobody watches."""
    log.info("%d/%d %s", done, total, text)
