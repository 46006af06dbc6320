"""Lumbar MRI studies of patients that do not exist, with exact truth."""

from facetgrade.simulate.study import simulate, simulate_study, write_study

__all__ = ["simulate", "simulate_study", "write_study"]
