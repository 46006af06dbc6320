"""Try again with growing, random waits what may pass by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from facetgrade.errors import ConnectionLostError
from facetgrade.pacs.settings import RetrySettings

Result = TypeVar("Result")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Repeats calls that lose their connection."""

    settings: RetrySettings

    def call(self, act: Callable[[], Result]) -> Result:
        """Call until it works.

        Raises
        ------
        ConnectionLostError
            If every attempt failed; the last error.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(ConnectionLostError),
            stop=stop_after_attempt(self.settings.attempts),
            wait=self._wait_s,
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(act)

    def _wait_s(self, state: RetryCallState) -> float:
        """Draw a wait, at least as long as the other side asked for."""
        longest_s = self.settings.longest_wait_s
        drawn_s = wait_random_exponential(
            multiplier=self.settings.first_wait_s, max=longest_s
        )(state)
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.wait_s if isinstance(error, ConnectionLostError) else 0.0
        return max(drawn_s, min(asked_s, longest_s))

    def _tell(self, state: RetryCallState) -> None:
        """Say in one line what failed and when it is tried again."""
        log.warning(
            "%s; attempt %d of %d in %.1f s",
            state.outcome.exception() if state.outcome else "",
            state.attempt_number + 1,
            self.settings.attempts,
            state.upcoming_sleep,
        )
