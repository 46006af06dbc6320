"""Sagittal localizers, which help to number the vertebrae and are never graded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import VolumeGeometry
from facetgrade.ingest.settings import ScoutSettings
from facetgrade.ingest.spaces import bounding_box_lps_mm
from facetgrade.study import Plane, RejectedSeries, Series


def choose_scouts(
    scouts: Sequence[Series], series: Sequence[Series], settings: ScoutSettings
) -> tuple[list[Series], list[RejectedSeries]]:
    """Keep the localizers whose vertebrae can be compared with those of a study.

    Parameters
    ----------
    scouts : sequence of Series
        Sagittal localizers; the first sentence of evidence says how they are known.
    series : sequence of Series
        What is graded.
    settings : ScoutSettings
        `[ingest.scout]`.

    Returns
    -------
    list of Series
        The one of those in the frame of reference of the study, with a slice near its
        middle and most of its height, that shares most height with it.
    list of RejectedSeries
        The others.
    """
    obstacles = [_obstacle(scout, series, settings) for scout in scouts]
    able = [s for s, why in zip(scouts, obstacles, strict=True) if not why]
    kept = sorted(able, key=lambda scout: -_shared_mm(scout, series))[:1]
    rejected: list[RejectedSeries] = []
    for scout, why in zip(scouts, obstacles, strict=True):
        obstacle = why or "another localizer shows at least as much"
        if any(scout is one for one in kept):
            continue
        reason = f"{scout.evidence[0]}; not read for the numbering: {obstacle}"
        rejected.append(
            RejectedSeries(uid=scout.uid, description=scout.description, reason=reason)
        )
    return kept, rejected


def _obstacle(scout: Series, series: Sequence[Series], settings: ScoutSettings) -> str:
    """Say why a localizer tells nothing of a study, or nothing."""
    if not series:
        return "no series can be graded"
    frames = {_frame_uid(one) for one in series} - {""}
    if _frame_uid(scout) not in frames:
        return "another frame of reference"
    spacing_mm = max(s.volume.geometry.spacing_mm[0] for s in scout.stacks)
    if spacing_mm > settings.max_spacing_mm:
        return f"its slices are {spacing_mm:.0f} mm apart"
    middle = _middle_lps_mm(series)
    away_mm = min(_from_slices_mm(s.volume.geometry, middle) for s in scout.stacks)
    if away_mm > settings.max_midline_mm:
        return f"its nearest slice is {away_mm:.0f} mm from the middle of the series"
    low, high = _heights_mm(series)
    if _shared_mm(scout, series) < settings.min_shared * (high - low):
        return "it shows another part of the spine"
    return ""


def _shared_mm(scout: Series, series: Sequence[Series]) -> float:
    """Return the height that a localizer shares with the sagittal series."""
    low, high = _heights_mm(series)
    first, last = _heights_mm([scout])
    return max(0.0, min(high, last) - max(low, first))


def _heights_mm(series: Sequence[Series]) -> tuple[float, float]:
    """Return the ends of sagittal series along the body, of all if there are none."""
    boxes = [bounding_box_lps_mm(one) for one in _sagittal(series)]
    return (
        float(min(low[2] for low, _ in boxes)),
        float(max(high[2] for _, high in boxes)),
    )


def _middle_lps_mm(series: Sequence[Series]) -> NDArray[np.float64]:
    """Return the middle of the sagittal series, or of all if there are none."""
    centers = [
        stack.volume.geometry.center_lps_mm
        for one in _sagittal(series)
        for stack in one.stacks
    ]
    return np.asarray(np.median(centers, axis=0))


def _sagittal(series: Sequence[Series]) -> list[Series]:
    """Return the sagittal series, or all if there are none."""
    return [s for s in series if s.plane is Plane.SAGITTAL] or list(series)


def _from_slices_mm(grid: VolumeGeometry, point: NDArray[np.float64]) -> float:
    """Return the distance of a point from the plane of the nearest slice."""
    index = float(grid.to_index(point)[0])
    nearest = np.clip(np.round(index), 0, grid.shape[0] - 1)
    return float(abs(index - nearest) * grid.spacing_mm[0])


def _frame_uid(series: Series) -> str:
    """Return the frame of reference of a series."""
    return series.stacks[0].volume.geometry.frame_of_reference_uid
