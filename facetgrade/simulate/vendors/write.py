"""Write the files of a series into a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset

from facetgrade.simulate.vendors.classic import classic_datasets
from facetgrade.simulate.vendors.enhanced import enhanced_datasets
from facetgrade.simulate.vendors.records import AcquiredSeries, Examination, Habit
from facetgrade.simulate.vendors.stripped import (
    illegal_uid,
    own_frame_of_reference,
    strip_header,
)


def write_series(
    folder: Path,
    series: AcquiredSeries,
    examination: Examination,
    rng: np.random.Generator,
) -> list[Path]:
    """Write one series as DICOM.

    Parameters
    ----------
    folder : Path
        The study's ``dicom`` folder; made if missing.
    series : AcquiredSeries
        What was acquired.
    examination : Examination
        Patient, visit, vendor and transfer syntax.
    rng : Generator
        Slice numbering, file order and frame slopes.

    Returns
    -------
    list of Path
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for dataset in _datasets(series, examination, rng):
        number = int(dataset.get("InstanceNumber", 1))
        path = folder / _file_name(examination.habit, series.number, number)
        path.parent.mkdir(exist_ok=True)
        if examination.habit is Habit.STRIPPED:
            _save_stripped(dataset, path, series.uid)
        else:
            dataset.save_as(path, enforce_file_format=True)
        written.append(path)
    return written


def written_uid(uid: str, habit: Habit) -> str:
    """Return the UID as it stands in the files of a habit."""
    return illegal_uid(uid) if habit is Habit.STRIPPED else uid


def _save_stripped(dataset: Dataset, path: Path, series_uid: str) -> None:
    """Strip a data set and write it with its illegal values."""
    with _illegal_values_allowed():
        strip_header(dataset, own_frame_of_reference(series_uid))
        # Enforcing the file format would put the right class into the file meta.
        dataset.preamble = bytes(128)
        dataset.file_meta.FileMetaInformationGroupLength = 0
        dataset.file_meta.FileMetaInformationVersion = b"\x00\x01"
        dataset.save_as(path, enforce_file_format=False)


def _datasets(
    series: AcquiredSeries, examination: Examination, rng: np.random.Generator
) -> Iterator[Dataset]:
    """Make the data sets of a series in its storage class."""
    if examination.habit is Habit.ENHANCED:
        return enhanced_datasets(series, examination, rng)
    return classic_datasets(series, examination, rng)


def _file_name(habit: Habit, series: int, number: int) -> str:
    """Name a file as the vendor's export does; archives hide the order."""
    if habit is Habit.SIEMENS:
        return f"SIM.MR.LSPINE.{series:04d}.{number:04d}.IMA"
    if habit is Habit.GE:
        return f"S{series:03d}/i{700000 + 1000 * series + number}.MRDC.{number}"
    if habit is Habit.PHILIPS:
        return f"IM_{100 * series + number:04d}"
    if habit is Habit.ENHANCED:
        return f"XX_{series:04d}_{number}"
    return f"{series}/{(number * 37) % 997}.dcm"


@contextmanager
def _illegal_values_allowed() -> Iterator[None]:
    """Let stripped headers hold UIDs that pydicom warns about."""
    mode = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.writing_validation_mode = mode
