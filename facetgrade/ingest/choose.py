"""Choice among series that could do the same job."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from facetgrade.ingest.settings import ChoiceRules
from facetgrade.ingest.spaces import overlap_fraction
from facetgrade.study import RejectedSeries, Sequence, Series


def choose_series(
    candidates: Iterable[Series], rules: ChoiceRules
) -> tuple[list[Series], list[RejectedSeries]]:
    """Keep the best series of each contrast, plane and region.

    Better is, in this order: fewer interpolated slices, larger coverage, finer
    voxels, later series uid. Series that cover different regions are all kept.

    Parameters
    ----------
    candidates : iterable of Series
        Series of one study in one space.
    rules : ChoiceRules
        When two series show the same region.

    Returns
    -------
    list of Series
        The chosen ones, in the given order.
    list of RejectedSeries
        The losers, each with the series that was better.
    """
    candidates = list(candidates)
    chosen: list[Series] = []
    losers: list[RejectedSeries] = []
    for one in sorted(candidates, key=_merit, reverse=True):
        better = next((other for other in chosen if _compete(one, other, rules)), None)
        if better is None:
            chosen.append(one)
            continue
        name = better.description or better.uid
        losers.append(
            RejectedSeries(
                uid=one.uid,
                description=one.description,
                reason=f"another {one.plane} {one.sequence} of the same region is "
                f"better ({name}: {_compared(better, one)})",
            )
        )
    return [one for one in candidates if any(one is kept for kept in chosen)], losers


def _compete(first: Series, second: Series, rules: ChoiceRules) -> bool:
    """Tell whether two series show the same thing in the same place."""
    same = (first.sequence, first.plane) == (second.sequence, second.plane)
    if not same or first.sequence is Sequence.OTHER:
        return False
    return overlap_fraction(first, second) >= rules.same_region_overlap


def _merit(series: Series) -> tuple[float, ...]:
    """Rank a series; larger is better."""
    return (-_n_missing(series), _coverage_cm3(series), -_voxel_mm3(series))


def _n_missing(series: Series) -> int:
    """Count interpolated slices."""
    return sum(len(stack.missing_slices) for stack in series.stacks)


def _coverage_cm3(series: Series) -> float:
    """Return the imaged volume, rounded so that a pixel more does not decide."""
    cells = sum(
        stack.volume.voxels.size * stack.volume.geometry.voxel_volume_mm3
        for stack in series.stacks
    )
    return float(np.round(cells / 1000.0 / 200.0) * 200.0)


def _voxel_mm3(series: Series) -> float:
    """Return the size of a voxel."""
    return series.stacks[0].volume.geometry.voxel_volume_mm3


def _compared(better: Series, worse: Series) -> str:
    """Say by what one series is better than another."""
    if _n_missing(better) < _n_missing(worse):
        return "no missing slices"
    if _coverage_cm3(better) > _coverage_cm3(worse):
        return "covers more"
    if _voxel_mm3(better) < _voxel_mm3(worse):
        return "finer voxels"
    return "equal, the first is kept"
