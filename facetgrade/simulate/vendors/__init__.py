"""DICOM as different scanners and archives write it."""

from facetgrade.simulate.vendors.records import (
    AcquiredSeries,
    Examination,
    Habit,
    Patient,
    draw_patient,
    new_uid,
)
from facetgrade.simulate.vendors.write import write_series, written_uid

__all__ = [
    "AcquiredSeries",
    "Examination",
    "Habit",
    "Patient",
    "draw_patient",
    "new_uid",
    "write_series",
    "written_uid",
]
