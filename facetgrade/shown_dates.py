"""Dates of studies as tables show them: dates, or days where dates are masked."""

from __future__ import annotations

from datetime import date


def day_number(shown: str) -> int | None:
    """Return a number that grows with time within one subject.

    Parameters
    ----------
    shown : str
        ``YYYY-MM-DD``, or the number of days since the subject's first study.

    Returns
    -------
    int or None
        None for a text that is neither.
    """
    if shown.isdecimal() and shown.isascii():
        return int(shown)
    try:
        return date.fromisoformat(shown).toordinal()
    except ValueError:
        return None
