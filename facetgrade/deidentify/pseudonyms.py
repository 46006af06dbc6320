"""Names, UIDs and date shifts that follow from a secret, the same in every run."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

# UIDs of the standard itself: classes, transfer syntaxes, well-known instances.
_STANDARD_ROOT = "1.2.840.10008."
_DATE_DIGITS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Pseudonyms:
    """Replacements for what identifies one patient.

    Attributes
    ----------
    key : bytes
        The secret; without it nothing can be traced back.
    patient : str
        PatientID, or what stands for it.
    min_shift_days, max_shift_days : int
        Range of the date shift.
    """

    key: bytes = field(repr=False)
    patient: str = field(repr=False)
    min_shift_days: int
    max_shift_days: int

    @property
    def subject(self) -> str:
        """Pseudonym of the patient."""
        return "P" + self._digest("subject", self.patient).hex()[:12].upper()

    @property
    def shift(self) -> timedelta:
        """How far the dates of this patient move back."""
        count = self.max_shift_days - self.min_shift_days + 1
        number = int.from_bytes(self._digest("shift", self.patient)[:8], "big")
        return timedelta(days=self.min_shift_days + number % count)

    def uid(self, uid: str) -> str:
        """Replace a UID, the same for every patient; those of the standard stay."""
        if not uid or uid.startswith(_STANDARD_ROOT):
            return uid
        return f"2.25.{int.from_bytes(self._digest('uid', uid)[:16], 'big')}"

    def device(self, serial: str) -> str:
        """Replace the serial number of a device."""
        return "D" + self._digest("device", serial).hex()[:12].upper()

    def date(self, text: str) -> str:
        """Move a date or date and time; empty if it cannot be read.

        The time of day stays.
        """
        written = text.strip(" \0")
        digits = written.replace(".", "") if written.count(".") == 2 else written
        try:
            day = datetime.strptime(digits[:_DATE_DIGITS], "%Y%m%d")
            moved = day - self.shift
        except (ValueError, OverflowError):
            return ""
        rest = digits[_DATE_DIGITS:]
        if rest.strip("0123456789.+-"):
            return ""
        return f"{moved:%Y%m%d}{rest}"

    def _digest(self, purpose: str, text: str) -> bytes:
        """Hash `text` with the key, separated by purpose."""
        message = f"{purpose}\0{text}".encode(errors="replace")
        return hmac.new(self.key, message, sha256).digest()
