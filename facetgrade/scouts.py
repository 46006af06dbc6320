"""What a sagittal scout said of the numbering of the vertebrae."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ScoutVerdict(StrEnum):
    """Scout against the series that are graded, as written in study.json.

    ``unclear``: it did not settle what they leave open, or is not sure itself.
    ``not-matched``: its vertebrae are not where theirs are.
    """

    AGREES = "agrees"
    DECIDES = "decides"
    DISAGREES = "disagrees"
    UNCLEAR = "unclear"
    NOT_MATCHED = "not-matched"


@dataclass(frozen=True, slots=True)
class ScoutReading:
    """Uids of the scouts of a study and what they said together."""

    series: tuple[str, ...]
    verdict: ScoutVerdict
