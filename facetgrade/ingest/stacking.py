"""Frames into geometric stacks: parallel, evenly spaced, ordered by position.

Slices are ordered along the normal, which is turned so that its largest LPS component
is positive: right to left, front to back or bottom to top. File names and instance
numbers never decide the order. Consumers use `index_to_lps` and nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.ingest.dicom import Frame
from facetgrade.ingest.settings import StackSettings

_LAST = float("inf")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FrameStack:
    """Frames of one stack in order, and where each lies on the even grid.

    Attributes
    ----------
    frames : tuple of Frame
        Ordered along `normal`.
    normal : (3,) float64 ndarray
        Unit normal whose largest LPS component is positive.
    slice_index : (N,) float64 ndarray
        Index of each frame on the even grid, 0 for the first; whole numbers unless
        the slices are unevenly spaced.
    origin_lps_mm : (3,) float64 ndarray
        Center of the first voxel of slice 0 of the even grid.
    step_lps_mm : (3,) float64 ndarray
        From one slice of the even grid to the next.
    kind : tuple
        Stacks of one series with the same kind show the same contrast.
    notes : tuple of str
        What was wrong and what was done.
    """

    frames: tuple[Frame, ...]
    normal: NDArray[np.float64]
    slice_index: NDArray[np.float64]
    origin_lps_mm: NDArray[np.float64]
    step_lps_mm: NDArray[np.float64]
    kind: tuple[object, ...]
    notes: tuple[str, ...] = ()

    @property
    def is_even(self) -> bool:
        """Whether every frame lies on a slice of the grid."""
        return bool(np.all(self.slice_index == np.round(self.slice_index)))

    @property
    def missing(self) -> tuple[int, ...]:
        """Slices of the even grid without a frame."""
        present = set(np.round(self.slice_index).astype(int).tolist())
        return tuple(k for k in range(max(present) + 1) if k not in present)


def positive_normal(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn a normal so that its largest component is positive."""
    return normal * (1.0 if normal[np.argmax(np.abs(normal))] >= 0 else -1.0)


def build_stacks(
    frames: Sequence[Frame], settings: StackSettings
) -> tuple[list[FrameStack], list[str]]:
    """Sort the frames of one series into stacks.

    Frames are told apart by matrix, pixel spacing, orientation, echo, image type
    (Dixon part, magnitude) and repeat; then by gaps along the normal. Exact copies
    are dropped.

    Parameters
    ----------
    frames : sequence of Frame
        In any order.
    settings : StackSettings
        Tolerances.

    Returns
    -------
    list of FrameStack
        Stacks of any length >= 1.
    list of str
        Notes on what was dropped.
    """
    stacks: list[FrameStack] = []
    notes: list[str] = []
    for group in _parallel_groups(frames, settings):
        for count, repeat in enumerate(_single_repeats(group, settings, notes)):
            kind = (*_kind(repeat[0]), count)
            blocks = _blocks(repeat, settings)
            stacks += [_even_stack(block, kind, settings) for block in blocks]
    return stacks, notes


def _parallel_groups(
    frames: Iterable[Frame], settings: StackSettings
) -> list[list[Frame]]:
    """Group frames of one kind whose axes are parallel."""
    cosine = np.cos(np.deg2rad(settings.orientation_tolerance_deg))
    kinds: dict[tuple[object, ...], list[list[Frame]]] = defaultdict(list)
    for frame in frames:
        groups = kinds[_kind(frame)]
        for group in groups:
            first = group[0]
            same_row = first.row_direction @ frame.row_direction > cosine
            if same_row and first.column_direction @ frame.column_direction > cosine:
                group.append(frame)
                break
        else:
            groups.append([frame])
    return [group for groups in kinds.values() for group in groups]


def _kind(frame: Frame) -> tuple[object, ...]:
    """Return what must agree between the slices of a stack beside orientation."""
    tags = frame.tags
    times = (frame.echo, tags.repetition_time_ms, tags.inversion_time_ms)
    return (
        frame.stored.shape,
        *(round(mm, 3) for mm in frame.pixel_spacing_mm),
        *(round(time, 1) if np.isfinite(time) else None for time in times),
        tags.description,
        tags.protocol,
        tags.image_type[2:],
        tags.fat_suppression,
    )


def _single_repeats(
    group: list[Frame], settings: StackSettings, notes: list[str]
) -> list[list[Frame]]:
    """Split frames so that no position occurs twice; drop exact copies."""
    slots = _by_position(group, settings)
    copies = 0
    for slot in slots:
        unique = _without_copies(slot)
        copies += len(slot) - len(unique)
        slot[:] = unique
    if copies:
        notes.append(f"{copies} duplicate slices were dropped")
    depth = max(len(slot) for slot in slots)
    if depth == 1:
        return [[slot[0] for slot in slots]]
    repeated = [slot for slot in slots if len(slot) > 1]
    if len(repeated) * 2 < len(slots):
        notes.append(
            f"{len(repeated)} slices were acquired again; the later ones are used"
        )
        return [[slot[-1] for slot in slots]]
    notes.append(f"{depth} images lie at the same positions and were told apart")
    return [[slot[k] for slot in slots if len(slot) > k] for k in range(depth)]


def _by_position(group: list[Frame], settings: StackSettings) -> list[list[Frame]]:
    """Collect frames at the same place, each list in order of acquisition."""
    normal = positive_normal(group[0].normal)
    ordered = sorted(group, key=lambda frame: _along(frame, normal))
    slots: list[list[Frame]] = []
    for frame in ordered:
        for slot in reversed(slots):
            shift = frame.position_lps_mm - slot[0].position_lps_mm
            if shift @ normal > settings.same_position_mm:
                slots.append([frame])
                break
            if np.linalg.norm(shift) <= settings.same_position_mm:
                slot.append(frame)
                break
        else:
            slots.append([frame])
    for slot in slots:
        slot.sort(key=_acquisition_order)
    return slots


def _along(frame: Frame, normal: NDArray[np.float64]) -> tuple[float, float, float]:
    """Sort key along the normal; in-plane position breaks ties."""
    position = frame.position_lps_mm
    return (
        round(float(position @ normal), 3),
        float(position @ frame.row_direction),
        float(position @ frame.column_direction),
    )


def _acquisition_order(frame: Frame) -> tuple[float | str, ...]:
    """Sort key of images at one place: when they were acquired."""
    counts = (frame.temporal, frame.acquisition_number, frame.instance_number)
    known = [count if np.isfinite(count) else _LAST for count in counts]
    return (*known, frame.instance_uid, frame.frame_number)


def _without_copies(slot: list[Frame]) -> list[Frame]:
    """Keep one of several images with the same pixels."""
    unique: list[Frame] = []
    for frame in slot:
        if not any(np.array_equal(frame.stored, kept.stored) for kept in unique):
            unique.append(frame)
    return unique


def _blocks(frames: list[Frame], settings: StackSettings) -> list[list[Frame]]:
    """Split parallel frames where the gap jumps or the slices shift in-plane."""
    normal = positive_normal(frames[0].normal)
    blocks: list[list[Frame]] = []
    for column in _in_plane_columns(frames, normal, settings):
        column.sort(key=lambda frame: float(frame.position_lps_mm @ normal))
        offsets = np.array([frame.position_lps_mm @ normal for frame in column])
        gaps = np.diff(offsets)
        blocks += _split(column, _cuts(gaps, settings))
    return blocks


def _cuts(gaps: NDArray[np.float64], settings: StackSettings) -> NDArray[np.intp]:
    """Return where a stack ends: after wide gaps, unless few slices lie beyond.

    A part too short to use is the end of a stack that lost slices, if they are few.
    """
    typical = _typical_gap(gaps)
    cuts = np.nonzero(gaps > settings.split_gap * typical)[0] + 1
    lengths = np.diff([0, *cuts, len(gaps) + 1])
    usable = np.minimum(lengths[:-1], lengths[1:]) >= settings.min_slices
    wide = gaps[cuts - 1] > settings.short_part_gap * typical
    return cuts[usable | wide]


def _split(frames: list[Frame], cuts: NDArray[np.intp]) -> list[list[Frame]]:
    """Cut a list at the given indices."""
    edges = [0, *cuts.tolist(), len(frames)]
    return [frames[a:b] for a, b in pairwise(edges)]


def _in_plane_columns(
    frames: list[Frame], normal: NDArray[np.float64], settings: StackSettings
) -> list[list[Frame]]:
    """Separate parallel blocks that lie beside each other.

    A column is a run of slices whose in-plane step stays the same, so that sheared
    stacks hold together; most stacks have no step at all.
    """
    ordered = sorted(frames, key=lambda frame: _along(frame, normal))
    axes = np.stack([ordered[0].row_direction, ordered[0].column_direction])
    positions = np.stack([frame.position_lps_mm for frame in ordered])
    in_plane = positions @ axes.T
    offsets = positions @ normal
    if _is_line(offsets, in_plane, settings.shear_tolerance_mm):
        return [ordered]
    columns: list[list[int]] = []
    for k in range(len(ordered)):
        for column in columns:
            shift = np.abs(in_plane[k] - in_plane[column[-1]]).max()
            if shift <= settings.shear_tolerance_mm:
                column.append(k)
                break
        else:
            columns.append([k])
    return [[ordered[k] for k in column] for column in columns]


def _is_line(
    offsets: NDArray[np.float64], in_plane: NDArray[np.float64], tolerance_mm: float
) -> bool:
    """Tell whether positions lie on one straight line across the slices."""
    if len(offsets) < 3 or np.ptp(offsets) == 0:
        return bool(np.ptp(in_plane, axis=0).max() <= tolerance_mm)
    design = np.stack([offsets, np.ones_like(offsets)], axis=1)
    fit, *_ = np.linalg.lstsq(design, in_plane, rcond=None)
    return bool(np.abs(design @ fit - in_plane).max() <= tolerance_mm)


def _typical_gap(gaps: NDArray[np.float64]) -> float:
    """Return the gap that a missing slice or a jump does not change."""
    return float(np.median(gaps)) if len(gaps) else 1.0


def _even_stack(
    frames: list[Frame], kind: tuple[object, ...], settings: StackSettings
) -> FrameStack:
    """Place ordered frames on an even grid along their normal."""
    normal = positive_normal(frames[0].normal)
    positions = np.stack([frame.position_lps_mm for frame in frames])
    notes: tuple[str, ...] = ()
    if len(frames) == 1:
        step = normal * (frames[0].slice_thickness_mm or 1.0)
        index, origin = np.zeros(1), positions[0]
    else:
        gaps = np.diff(positions @ normal)
        index, notes = _even_index(gaps, settings)
        design = np.stack([index, np.ones_like(index)], axis=1)
        (step, origin), *_ = np.linalg.lstsq(design, positions, rcond=None)
    return FrameStack(
        frames=tuple(frames),
        normal=normal,
        slice_index=index,
        origin_lps_mm=origin,
        step_lps_mm=step,
        kind=kind,
        notes=notes,
    )


def _even_index(
    gaps: NDArray[np.float64], settings: StackSettings
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Index slices gap by gap, so that small deviations do not add up."""
    typical = _typical_gap(gaps)
    steps = gaps / typical
    whole = np.maximum(np.round(steps), 1.0)
    if np.abs(steps - whole).max() <= settings.spacing_tolerance:
        return np.concatenate([[0.0], np.cumsum(whole)]), ()
    note = (
        f"slice gaps range from {gaps.min():.2f} to {gaps.max():.2f} mm; the slices "
        f"were resampled to {typical:.2f} mm"
    )
    return np.concatenate([[0.0], np.cumsum(steps)]), (note,)
