"""Wall time of the stages of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Collects seconds by stage; a stage that runs again adds to its time.

    Parameters
    ----------
    on_stage : callable or None
        Told the name of each stage as it starts, for progress displays.
    """

    def __init__(self, on_stage: Callable[[str], None] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self.current = ""
        self._on_stage = on_stage

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside the `with` block."""
        self.current = name
        if self._on_stage:
            self._on_stage(name)
        start_s = time.perf_counter()
        try:
            yield
        finally:
            elapsed_s = time.perf_counter() - start_s
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed_s
