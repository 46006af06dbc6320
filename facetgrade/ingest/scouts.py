"""Sagittal localizers, which help to number the vertebrae and are never graded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import VolumeGeometry
from facetgrade.ingest.settings import ScoutSettings
from facetgrade.ingest.spaces import bounding_box_lps_mm
from facetgrade.study import Plane, RejectedSeries, Series


def set_scouts_apart(
    series: Sequence[Series], settings: ScoutSettings
) -> tuple[list[Series], list[Series]]:
    """Find localizers that no header names: long, with few slices far apart.

    Otherwise they would win over the finer series that they were made for, since they
    cover more. A study without any other sagittal series keeps what it has.

    Parameters
    ----------
    series : sequence of Series
        Series of one patient space.
    settings : ScoutSettings
        `[ingest.scout]`.

    Returns
    -------
    list of Series
        Those that can be graded, in the given order.
    list of Series
        The localizers, the first sentence of evidence says how they are known.
    """
    sagittal = [one for one in series if one.plane is Plane.SAGITTAL]
    coarse = [one for one in sagittal if _is_coarse(one, settings)]
    lengths = [_length_mm(one) for one in sagittal if not _among(one, coarse)]
    if not lengths:
        return list(series), []
    least_mm = settings.unnamed_min_ratio * max(lengths)
    scouts = [one for one in coarse if _length_mm(one) >= least_mm]
    kept = [one for one in series if not _among(one, scouts)]
    return kept, [_with_reason(one) for one in scouts]


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
        Those in the frame of reference of the study with a slice near its middle.
    list of RejectedSeries
        The others.
    """
    kept: list[Series] = []
    rejected: list[RejectedSeries] = []
    for scout in scouts:
        obstacle = _obstacle(scout, series, settings)
        if not obstacle:
            kept.append(scout)
            continue
        reason = f"{scout.evidence[0]}; not read for the numbering: {obstacle}"
        rejected.append(
            RejectedSeries(uid=scout.uid, description=scout.description, reason=reason)
        )
    return kept, rejected


def _obstacle(scout: Series, series: Sequence[Series], settings: ScoutSettings) -> str:
    """Say why a localizer tells nothing of a study, or nothing."""
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
    return ""


def _is_coarse(series: Series, settings: ScoutSettings) -> bool:
    """Tell long series of few slices far apart."""
    grids = [stack.volume.geometry for stack in series.stacks]
    return (
        max(grid.shape[0] for grid in grids) <= settings.unnamed_max_slices
        and min(g.spacing_mm[0] for g in grids) >= settings.unnamed_min_spacing_mm
        and _length_mm(series) >= settings.unnamed_min_length_mm
    )


def _length_mm(series: Series) -> float:
    """Return the extent from head to feet."""
    low, high = bounding_box_lps_mm(series)
    return float(high[2] - low[2])


def _with_reason(series: Series) -> Series:
    """Say first that a series is a localizer."""
    reason = (
        f"localizer (few thick slices over {_length_mm(series):.0f} mm, longer than "
        "the other sagittal series)"
    )
    return replace(series, evidence=(reason, *series.evidence))


def _middle_lps_mm(series: Sequence[Series]) -> NDArray[np.float64]:
    """Return the middle of the sagittal series, or of all if there are none."""
    sagittal = [one for one in series if one.plane is Plane.SAGITTAL]
    centers = [
        stack.volume.geometry.center_lps_mm
        for one in sagittal or series
        for stack in one.stacks
    ]
    return np.asarray(np.median(centers, axis=0))


def _from_slices_mm(grid: VolumeGeometry, point: NDArray[np.float64]) -> float:
    """Return the distance of a point from the plane of the nearest slice."""
    index = float(grid.to_index(point)[0])
    nearest = np.clip(np.round(index), 0, grid.shape[0] - 1)
    return float(abs(index - nearest) * grid.spacing_mm[0])


def _frame_uid(series: Series) -> str:
    """Return the frame of reference of a series."""
    return series.stacks[0].volume.geometry.frame_of_reference_uid


def _among(one: Series, several: Sequence[Series]) -> bool:
    """Tell whether a list holds this very series."""
    return any(one is other for other in several)
