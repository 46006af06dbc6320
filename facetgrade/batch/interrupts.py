"""Interrupts that are never lost, even where a library swallows the exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def remember_interrupts() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt as ever, and remember each interrupt.

    An exception raised inside a destructor or a callback of compiled code is only
    printed; the caller sees from the list that the user wanted to stop.

    Yields
    ------
    list of int
        One signal number per interrupt so far.
    """
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
