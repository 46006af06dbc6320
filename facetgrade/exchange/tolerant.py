"""Write DICOM whatever its source holds, without quoting it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config

_LOUD = ("pydicom", "highdicom")


@contextmanager
def tolerant() -> Iterator[None]:
    """Take over illegal values of a source, such as UIDs, as they are.

    pydicom and highdicom would refuse them, or warn with the value in the message.
    """
    settings = config.settings
    modes = settings.reading_validation_mode, settings.writing_validation_mode
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    settings.reading_validation_mode = config.IGNORE
    settings.writing_validation_mode = config.IGNORE
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = modes
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
