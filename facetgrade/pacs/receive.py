"""Receive instances that another machine stores with us."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pynetdicom.events import Event

from facetgrade.errors import FacetGradeError, OutputError, TransferError

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND, FAILED = 0x0000, 0xA700, 0xC000, 0x0110

log = logging.getLogger(__name__)


class Reception:
    """Hands stored instances over and answers with the status of PS3.4 B.2.3.

    Parameters
    ----------
    keep : callable
        Gets each instance as a DICOM file and returns when it is safe.
    """

    def __init__(self, keep: Callable[[bytes], None]) -> None:
        self._keep = keep
        self.error: Exception | None = None

    def take(self, event: Event) -> int:
        """Answer one C-STORE; the first error of our side is remembered."""
        try:
            self._keep(event.encoded_dataset())
        except TransferError as error:
            log.warning("%s", error)
            return CANNOT_UNDERSTAND
        except (OutputError, OSError) as error:
            self.error = self.error or error
            return OUT_OF_RESOURCES
        except Exception as error:
            self.error = self.error or error
            return FAILED
        return SUCCESS

    def check(self) -> None:
        """Raise what went wrong on our side.

        Raises
        ------
        FacetGradeError
            If an instance could not be kept.
        """
        if isinstance(self.error, FacetGradeError | OSError):
            raise self.error
        if self.error:
            raise self.error
