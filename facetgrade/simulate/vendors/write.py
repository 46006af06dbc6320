"""Write the files of a series into a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset

from facetgrade.simulate.vendors.classic import classic_datasets
from facetgrade.simulate.vendors.enhanced import enhanced_dataset
from facetgrade.simulate.vendors.records import AcquiredSeries, Examination, Habit
from facetgrade.simulate.vendors.stripped import own_frame_of_reference, strip_header


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
            strip_header(dataset, own_frame_of_reference(series.uid))
        _save(dataset, path)
        written.append(path)
    return written


def _datasets(
    series: AcquiredSeries, examination: Examination, rng: np.random.Generator
) -> Iterator[Dataset]:
    """Yield the data sets of a series in its storage class."""
    if examination.habit is Habit.ENHANCED:
        yield enhanced_dataset(series, examination, rng)
        return
    yield from classic_datasets(series, examination, rng)


def _file_name(habit: Habit, series: int, number: int) -> str:
    """Name a file as the vendor's export does; archives hide the order."""
    if habit is Habit.SIEMENS:
        return f"SIM.MR.LSPINE.{series:04d}.{number:04d}.IMA"
    if habit is Habit.GE:
        return f"S{series:03d}/i{700000 + 1000 * series + number}.MRDC.{number}"
    if habit is Habit.PHILIPS:
        return f"IM_{100 * series + number:04d}"
    if habit is Habit.ENHANCED:
        return f"XX_{series:04d}"
    return f"{series}/{(number * 37) % 997}.dcm"


def _save(dataset: Dataset, path: Path) -> None:
    """Write a file; stripped headers hold values that pydicom warns about."""
    mode = config.settings.writing_validation_mode
    config.settings.writing_validation_mode = config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(path, enforce_file_format=True)
    finally:
        config.settings.writing_validation_mode = mode
