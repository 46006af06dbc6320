"""DICOM elements read tolerantly: a bad value is an absent value."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

_pydicom_log = logging.getLogger("pydicom")


@contextmanager
def quiet() -> Iterator[None]:
    """Accept illegal values and keep pydicom's warnings, which quote values, silent."""
    mode, level = config.settings.reading_validation_mode, _pydicom_log.level
    if mode == config.IGNORE and level == logging.CRITICAL:
        # within another quiet block; setting the level anew empties a cache of logging
        yield
        return
    config.settings.reading_validation_mode = config.IGNORE
    _pydicom_log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        config.settings.reading_validation_mode = mode
        _pydicom_log.setLevel(level)


def raw(dataset: Dataset, keyword: str | tuple[int, int]) -> Any:
    """Return the value of an element, None when absent or not readable.

    A private element, which has no keyword, is given as (group, element) and returned
    whole.
    """
    try:
        return dataset.get(keyword)
    except Exception:
        # converting a damaged element raises whatever its bytes lead to
        return None


def text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of an element as text, empty when absent."""
    found = texts(dataset, keyword)
    return found[0] if found else ""


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """Return all values of an element as text without padding."""
    value = raw(dataset, keyword)
    if value is None:
        return ()
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        cleaned = [str(item).strip(" \0") for item in values]
    except Exception:
        # a name in unknown characters, or a sequence where there is none
        return ()
    return tuple(item for item in cleaned if item)


def number(dataset: Dataset, keyword: str) -> float:
    """Return the first value of an element as a number, NaN when absent."""
    found = numbers(dataset, keyword)
    return found[0] if found else float("nan")


def numbers(dataset: Dataset, keyword: str) -> list[float]:
    """Return all values of an element as numbers, none if one is not a number."""
    value = raw(dataset, keyword)
    if value is None or isinstance(value, bytes):
        return []
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        return [float(item) for item in values if str(item).strip()]
    except Exception:
        # a sequence in place of numbers is read whole to be turned into text
        return []


def first_item(dataset: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty data set when absent."""
    found = items(dataset, keyword)
    return found[0] if found else Dataset()


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, none when it is absent or no sequence."""
    value = raw(dataset, keyword)
    if not isinstance(value, Sequence):
        return []
    return list(value)


def is_known(value: float) -> bool:
    """Tell whether a number was present."""
    return bool(np.isfinite(value))
