"""Say whether facetgrade works on this machine, how it runs, and how to be faster."""

from facetgrade.doctor.checks import Check, State, examine

__all__ = ["Check", "State", "examine"]
