"""Which series share one patient space."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.ingest.settings import SpaceSettings
from facetgrade.study import RejectedSeries, Series


def keep_one_space(
    series: Sequence[Series], settings: SpaceSettings
) -> tuple[list[Series], list[RejectedSeries], list[str]]:
    """Keep the largest group of series whose positions compare.

    Two series compare when they have the same frame of reference, or when their
    blocks of space overlap: archives give every series a new frame-of-reference UID
    although the coordinates stay.

    Parameters
    ----------
    series : sequence of Series
        Series of one study.
    settings : SpaceSettings
        Smallest overlap.

    Returns
    -------
    list of Series
        Series of one patient space.
    list of RejectedSeries
        The others.
    list of str
        A note where the space was decided by position.
    """
    groups: list[list[Series]] = []
    for one in series:
        touching = [g for g in groups if any(_compare(one, o, settings) for o in g)]
        groups = [g for g in groups if g not in touching]
        groups.append([one, *[other for group in touching for other in group]])
    if not groups:
        return [], [], []
    main = max(groups, key=lambda group: sum(_n_slices(one) for one in group))
    kept = [one for one in series if any(one is other for other in main)]
    rejected = [
        RejectedSeries(
            uid=one.uid,
            description=one.description,
            reason="another frame of reference, and it overlaps no other series",
        )
        for one in series
        if not any(one is other for other in main)
    ]
    frames = {_frame_uid(one) for one in kept} - {""}
    notes = []
    if len(frames) > 1:
        notes.append(
            f"{len(frames)} frame-of-reference UIDs, but the positions overlap: taken "
            "as one patient space"
        )
    return kept, rejected, notes


def bounding_box_lps_mm(series: Series) -> tuple[NDArray[np.float64], ...]:
    """Return the lower and upper LPS corner of a series, each of shape (3,)."""
    corners = []
    for stack in series.stacks:
        grid = stack.volume.geometry
        ends = [(-0.5, size - 0.5) for size in grid.shape]
        corners.append(grid.to_lps(np.array(np.meshgrid(*ends)).reshape(3, -1).T))
    points = np.concatenate(corners)
    return points.min(axis=0), points.max(axis=0)


def overlap_fraction(first: Series, second: Series) -> float:
    """Return the share of the smaller bounding box that lies in the other."""
    low_a, high_a = bounding_box_lps_mm(first)
    low_b, high_b = bounding_box_lps_mm(second)
    common = np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None)
    smaller = min(np.prod(high_a - low_a), np.prod(high_b - low_b))
    return float(np.prod(common) / smaller)


def _compare(first: Series, second: Series, settings: SpaceSettings) -> bool:
    """Tell whether positions of two series compare."""
    uid = _frame_uid(first)
    if uid and uid == _frame_uid(second):
        return True
    return overlap_fraction(first, second) >= settings.min_overlap


def _frame_uid(series: Series) -> str:
    """Return the frame of reference of a series."""
    return series.stacks[0].volume.geometry.frame_of_reference_uid


def _n_slices(series: Series) -> int:
    """Count the slices of a series."""
    return sum(stack.volume.geometry.shape[0] for stack in series.stacks)
