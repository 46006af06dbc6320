"""Frames into series, undoing what archives split over several series UIDs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facetgrade.ingest.dicom import Frame
from facetgrade.ingest.settings import StackSettings
from facetgrade.ingest.stacking import FrameStack, build_stacks


def group_into_series(
    frames: Sequence[Frame], settings: StackSettings
) -> tuple[list[list[Frame]], list[str]]:
    """Group frames by series and merge the parts of series that were split.

    Two series are parts of one when everything that makes the contrast agrees, no
    position holds two different images, and together they form fewer stacks than
    apart: their positions interleave or continue each other evenly.

    Parameters
    ----------
    frames : sequence of Frame
        All frames of a study, with pixels.
    settings : StackSettings
        Tolerances.

    Returns
    -------
    list of list of Frame
        One list for each series, sorted by uid.
    list of str
        Which series were merged.
    """
    by_uid: dict[str, list[Frame]] = {}
    for frame in frames:
        by_uid.setdefault(frame.series_uid or frame.tags.description, []).append(frame)
    alike: dict[tuple[object, ...], list[list[Frame]]] = {}
    for uid in sorted(by_uid):
        alike.setdefault(_signature(by_uid[uid][0]), []).append(by_uid[uid])
    groups: list[list[Frame]] = []
    notes: list[str] = []
    for candidates in alike.values():
        groups += _merge(candidates, settings, notes)
    return sorted(groups, key=lambda group: group[0].series_uid), notes


def _signature(frame: Frame) -> tuple[object, ...]:
    """Return what the parts of one series have in common."""
    tags = frame.tags
    times = (
        tags.repetition_time_ms,
        tags.echo_time_ms,
        tags.inversion_time_ms,
        tags.flip_angle_deg,
    )
    return (
        tags.description,
        tags.protocol,
        tags.sequence_name,
        tags.scan_options,
        tags.image_type,
        tags.contrast_agent,
        tuple(round(time, 1) if np.isfinite(time) else None for time in times),
        frame.stored.shape,
        tuple(round(mm, 3) for mm in frame.pixel_spacing_mm),
        round(frame.slice_thickness_mm, 2),
    )


def _merge(
    candidates: list[list[Frame]], settings: StackSettings, notes: list[str]
) -> list[list[Frame]]:
    """Merge series of one signature where that joins stacks."""
    merged = [candidates[0]]
    for series in candidates[1:]:
        for k, group in enumerate(merged):
            if _belong_together(group, series, settings):
                notes.append(
                    f"series {series[0].series_uid} was read as a part of series "
                    f"{group[0].series_uid}: their slices belong to the same stacks"
                )
                merged[k] = _under_one_uid(group, series)
                break
        else:
            merged.append(series)
    return merged


def _belong_together(
    first: list[Frame], second: list[Frame], settings: StackSettings
) -> bool:
    """Tell whether two series form fewer stacks together than apart."""
    apart = build_stacks(first, settings)[0] + build_stacks(second, settings)[0]
    together = build_stacks([*first, *second], settings)[0]
    if len(together) >= len(apart):
        return False
    return not _differ_in_place(together) and not any(s.notes for s in together)


def _differ_in_place(stacks: list[FrameStack]) -> bool:
    """Tell whether some position held several different images."""
    return any(stack.kind[-1] != 0 for stack in stacks)


def _under_one_uid(first: list[Frame], second: list[Frame]) -> list[Frame]:
    """Give the frames of both series the uid of the first."""
    for frame in second:
        frame.series_uid = first[0].series_uid
    return [*first, *second]
