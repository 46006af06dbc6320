"""Contrast from the pixels alone: whether fluid is bright and fat is dark."""

from __future__ import annotations

from dataclasses import dataclass

from facetgrade.geometry import Volume
from facetgrade.ingest.settings import PixelRules


@dataclass(frozen=True, slots=True)
class PixelEvidence:
    """What the pixels show, in units of the threshold: 1 is just decided.

    Attributes
    ----------
    fluid : float
        Positive when fluid is bright beside muscle, negative when dark.
    fat : float
        Positive when fat is bright, negative when suppressed.
    sentences : tuple of str
        The measurement in words.
    """

    fluid: float = 0.0
    fat: float = 0.0
    sentences: tuple[str, ...] = ()


def measure_contrast(volumes: list[Volume], rules: PixelRules) -> PixelEvidence:
    """Measure fluid and fat in the stacks of one series."""
    del volumes, rules
    return PixelEvidence()
