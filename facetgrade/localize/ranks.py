"""Rank classes of vertebral bodies, counted upward from the sacrum.

A lumbar study shows the sacrum but rarely the last rib for certain, so names are given
from below: the first sacral segment is S1, the body above it L5, and so on, also in
patients with four or six lumbar-type vertebrae.
"""

from __future__ import annotations

RANKS = {
    "S2": 1,
    "S1": 2,
    "L5": 3,
    "L4": 4,
    "L3": 5,
    "L2": 6,
    "L1": 7,
    "T12": 8,
    "T11": 9,
    "T10": 10,
}
SACRUM_RANK = RANKS["S1"]
HIGHEST_RANK = max(RANKS.values())
CLASSES = HIGHEST_RANK + 1


def rank_of(vertebra: str) -> int:
    """Return the rank class of a vertebra name; 0 for names outside the classes."""
    return RANKS.get(vertebra, 0)


def name_of(rank: int) -> str:
    """Return the vertebra name of a rank; ranks above T10 count on as T9, T8 ..."""
    names = {number: name for name, number in RANKS.items()}
    return names.get(rank) or f"T{max(1, 20 - rank)}"
