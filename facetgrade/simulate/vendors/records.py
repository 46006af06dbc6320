"""The simulated patient's papers and the series that a scanner hands out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import Volume
from facetgrade.simulate.imperfections import Imperfections
from facetgrade.simulate.protocols import Protocol


class Habit(StrEnum):
    """Whose way of writing DICOM is imitated."""

    SIEMENS = "siemens"
    GE = "ge"
    PHILIPS = "philips"
    ENHANCED = "enhanced"
    STRIPPED = "stripped"


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """Person that does not exist; the same at every visit.

    Attributes
    ----------
    patient_id, name : str
        ``SIM-0001`` and ``SIM^0001``: nobody may take them for real.
    birth_date : date
        Day of birth.
    sex : str
        ``F`` or ``M``.
    weight_kg : float
        Weight.
    """

    patient_id: str
    name: str
    birth_date: date
    sex: str
    weight_kg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """One visit of a patient to one scanner.

    Attributes
    ----------
    patient : Patient
        Who.
    study_uid, frame_of_reference_uid : str
        (0020,000D) and (0020,0052).
    study_date : date
        Day of the visit.
    hour : int
        Hour of the visit.
    habit : Habit
        How the scanner writes.
    transfer_syntax : str
        ``explicit``, ``rle``, ``jpeg-ls`` or ``jpeg-2000``.
    """

    patient: Patient
    study_uid: str
    frame_of_reference_uid: str
    study_date: date
    hour: int
    habit: Habit
    transfer_syntax: str

    @property
    def age_years(self) -> int:
        """Age on the day of the visit."""
        return (self.study_date - self.patient.birth_date).days * 100 // 36525


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AcquiredSeries:
    """One series as it leaves the scanner.

    Attributes
    ----------
    number : int
        (0020,0011).
    uid : str
        SeriesInstanceUID.
    protocol : Protocol
        Timing and slices.
    imperfections : Imperfections
        Phase direction and sampled share for the header.
    volumes : tuple of Volume
        One per block, all of the same in-plane shape.
    displacement_lps : (4, 4) float64 ndarray or None
        Maps LPS mm of a point of the patient in the pose of the truth to that during
        this series; None where the pose is the same.
    """

    number: int
    uid: str
    protocol: Protocol
    imperfections: Imperfections
    volumes: tuple[Volume, ...]
    displacement_lps: NDArray[np.float64] | None = None


def new_uid(rng: np.random.Generator) -> str:
    """Draw a UID under the root 2.25, the same for the same generator state."""
    high, low = (int(n) for n in rng.integers(0, 2**63, 2, dtype=np.uint64))
    return f"2.25.{(high << 63) | low}"


def draw_patient(number: int, rng: np.random.Generator) -> Patient:
    """Draw age, sex and weight; the name says that the patient is simulated."""
    days = int(rng.integers(-365 * 35, 365 * 12))
    return Patient(
        patient_id=f"SIM-{number:04d}",
        name=f"SIM^{number:04d}",
        birth_date=date.fromordinal(date(1972, 1, 1).toordinal() + days),
        sex=str(rng.choice(["F", "M"])),
        weight_kg=round(rng.normal(78.0, 12.0)),
    )
