"""Frames of one study into classified series of stacks in patient space."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.ingest.contrast import PixelEvidence, measure_contrast
from facetgrade.ingest.dicom import Frame, SeriesTags, real_values
from facetgrade.ingest.screening import looks_like_hounsfield
from facetgrade.ingest.series import classify, plane_of
from facetgrade.ingest.settings import IngestSettings, SeriesRules
from facetgrade.ingest.stacking import FrameStack, build_stacks
from facetgrade.study import Plane, RejectedSeries, Series, Stack

_LOCALIZER_PLANES = {Plane.SAGITTAL, Plane.AXIAL, Plane.CORONAL}


@dataclass(eq=False, slots=True)
class Assembled:
    """Series of one study before candidates are compared.

    Attributes
    ----------
    series, rejected : list
        What can be used and what cannot.
    untold : list of Series
        Those whose header and description tell nothing of fat suppression.
    notes : list of str
        One sentence per problem.
    scouts : list of Series
        Sagittal localizers; the first sentence of evidence says how they are known.
    digests : list of bytes
        SHA-256 of every file that was read.
    date : str
        YYYY-MM-DD, empty when unknown.
    """

    series: list[Series] = field(default_factory=list)
    untold: list[Series] = field(default_factory=list)
    rejected: list[RejectedSeries] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scouts: list[Series] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    date: str = ""

    def extend(self, other: Assembled) -> None:
        """Add the findings of another series."""
        self.series += other.series
        self.untold += other.untold
        self.rejected += other.rejected
        self.notes += other.notes
        self.scouts += other.scouts


def assemble_series(frames: Sequence[Frame], settings: IngestSettings) -> Assembled:
    """Turn the frames of one SeriesInstanceUID into one series per contrast.

    Parameters
    ----------
    frames : sequence of Frame
        With pixels, in any order.
    settings : IngestSettings
        Tolerances and series rules.

    Returns
    -------
    Assembled
        One series for each echo, Dixon part or repeat; what was left out.
    """
    first = frames[0]
    stacks, notes = build_stacks(frames, settings.stacks)
    result = Assembled(notes=_named(notes, first))
    kinds: dict[tuple[object, ...], list[FrameStack]] = {}
    for stack in stacks:
        sagittal = plane_of(stack.normal) is Plane.SAGITTAL
        kinds.setdefault((*stack.kind, sagittal), []).append(stack)
    if {plane_of(stack.normal) for stack in stacks} >= _LOCALIZER_PLANES:
        reason = "localizer (sagittal, axial and coronal slices in one series)"
        result.rejected.append(_rejection(first, reason))
        slices = [s for s in stacks if plane_of(s.normal) is Plane.SAGITTAL]
        frames = [frame for stack in slices for frame in stack.frames]
        result.scouts = assemble_scouts(frames, reason, settings)
        return result
    for parts in kinds.values():
        _add_contrast(result, parts, settings)
    if len(result.series) > 1:
        _tell_apart(result, first)
    return result


def assemble_scouts(
    frames: Sequence[Frame], reason: str, settings: IngestSettings
) -> list[Series]:
    """Turn the sagittal frames of a localizer into series, or nothing if too few.

    Parameters
    ----------
    frames : sequence of Frame
        Of one SeriesInstanceUID, with pixels.
    reason : str
        By what they are known as a localizer.
    settings : IngestSettings
        Tolerances and series rules.
    """
    found = assemble_series(frames, settings).series
    return [
        replace(one, evidence=(reason, *one.evidence))
        for one in found
        if one.plane is Plane.SAGITTAL
    ]


def _add_contrast(
    result: Assembled, parts: list[FrameStack], settings: IngestSettings
) -> None:
    """Build the volumes of one contrast and classify it, or say why not."""
    first = parts[0].frames[0]
    usable = [part for part in parts if _is_long(part, settings)]
    if not usable:
        result.rejected.append(_unusable(parts, settings))
        return
    if len(usable) < len(parts):
        dropped = len(parts) - len(usable)
        result.notes += _named([f"{dropped} stacks with too few slices"], first)
    built = [build_stack(part, first) for part in usable]
    for _, notes in built:
        result.notes += _named(notes, first)
    stacks = _ordered([stack for stack, _ in built])
    if not first.tags.modality and any(
        looks_like_hounsfield(stack.volume.voxels) for stack in stacks
    ):
        result.rejected.append(_rejection(first, "values of CT (Hounsfield units)"))
        return
    rules = settings.series_rules
    add_classified(result, first.series_uid, first.tags, stacks, rules)


def build_stack(part: FrameStack, reference: Frame) -> tuple[Stack, list[str]]:
    """Build the volume of a stack, interpolating what is missing.

    Parameters
    ----------
    part : FrameStack
        Ordered frames with pixels.
    reference : Frame
        Frame of the series to whose scale the values of all its stacks are brought.

    Returns
    -------
    Stack, list of str
        The stack, and notes on what was done to it.
    """
    values, scaling = real_values(list(part.frames), reference)
    notes = [*part.notes, *([scaling] if scaling else [])]
    count = round(float(part.slice_index[-1])) + 1
    nearest = np.abs(np.arange(count)[:, None] - part.slice_index[None, :]).argmin(
        axis=1
    )
    missing = part.missing if part.is_even else ()
    if not part.is_even or missing:
        values = _on_even_grid(values, part.slice_index, count)
    if missing:
        words = ", ".join(str(k + 1) for k in missing)
        notes.append(f"slice {words} of {count} is missing and was interpolated")
    frames = [part.frames[k] for k in nearest]
    stack = Stack(
        volume=Volume(geometry=_geometry(part, count), voxels=values),
        slice_thickness_mm=part.frames[0].slice_thickness_mm,
        instance_uids=tuple(frame.instance_uid for frame in frames),
        frame_numbers=tuple(frame.frame_number for frame in frames),
        missing_slices=missing,
    )
    return stack, notes


def add_classified(
    result: Assembled,
    uid: str,
    tags: SeriesTags,
    stacks: list[Stack],
    rules: SeriesRules,
) -> None:
    """Name plane and contrast of the stacks of one series and add it.

    Parameters
    ----------
    result : Assembled
        Gets the series.
    uid : str
        SeriesInstanceUID or file name.
    tags : SeriesTags
        Header of the series.
    stacks : list of Stack
        All of one contrast.
    rules : SeriesRules
        The whole of series_rules.toml.
    """
    planes = Counter(plane_of(_normal(stack)) for stack in stacks)
    pixels = measure_contrast([stack.volume for stack in stacks], rules.pixels)
    decided = classify(tags, pixels, rules)
    series = Series(
        uid=uid,
        description=tags.description or tags.protocol,
        sequence=decided.sequence,
        plane=planes.most_common(1)[0][0],
        stacks=tuple(stacks),
        evidence=decided.evidence,
    )
    result.series.append(series)
    if not decided.told:
        result.untold.append(series)


def _geometry(part: FrameStack, count: int) -> VolumeGeometry:
    """Return the grid of a stack in the patient."""
    first = part.frames[0]
    rows_mm, columns_mm = first.pixel_spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = part.step_lps_mm
    affine[:3, 1] = first.column_direction * rows_mm
    affine[:3, 2] = first.row_direction * columns_mm
    affine[:3, 3] = part.origin_lps_mm
    rows, columns = first.stored.shape
    return VolumeGeometry(
        shape=(count, rows, columns),
        index_to_lps=affine,
        frame_of_reference_uid=first.frame_of_reference_uid,
    )


def _on_even_grid(
    values: NDArray[np.float32], index: NDArray[np.float64], count: int
) -> NDArray[np.float32]:
    """Interpolate slices linearly at the whole indices 0 ... count - 1."""
    targets = np.arange(count, dtype=float)
    above = np.clip(np.searchsorted(index, targets), 1, len(index) - 1)
    share = (targets - index[above - 1]) / (index[above] - index[above - 1])
    weight = np.clip(share, 0.0, 1.0).astype(np.float32)[:, None, None]
    even: NDArray[np.float32] = (1 - weight) * values[above - 1]
    even += weight * values[above]
    return even


def _ordered(stacks: list[Stack]) -> list[Stack]:
    """Sort stacks from the top, sagittal ones from the patient's left."""

    def place(stack: Stack) -> float:
        axis = 0 if plane_of(_normal(stack)) is Plane.SAGITTAL else 2
        return -float(stack.volume.geometry.center_lps_mm[axis])

    return sorted(stacks, key=place)


def _normal(stack: Stack) -> NDArray[np.float64]:
    """Return the unit normal of the slices."""
    _, rows, columns = stack.volume.geometry.axes
    normal: NDArray[np.float64] = np.cross(rows, columns)
    return normal / np.linalg.norm(normal)


def _is_long(part: FrameStack, settings: IngestSettings) -> bool:
    """Tell whether a stack has enough slices and not too many holes."""
    count = len(part.frames)
    holes = len(part.missing) if part.is_even else 0
    limit = settings.stacks.max_interpolated_fraction * (count + holes)
    return count >= settings.stacks.min_slices and holes <= limit


def _unusable(parts: list[FrameStack], settings: IngestSettings) -> RejectedSeries:
    """Say why no stack can be used, and where slices lie that make no stack."""
    frames = [frame for part in parts for frame in part.frames]
    reason = f"only {len(frames)} slices in {len(parts)} stacks, too few to use"
    rejection = _rejection(frames[0], reason)
    if len(frames) < settings.stacks.min_slices:
        return rejection
    decided = classify(frames[0].tags, PixelEvidence(), settings.series_rules)
    corners = np.concatenate([_corners_lps_mm(frame) for frame in frames])
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    return replace(
        rejection,
        reason=f"{len(frames)} slices in {len(parts)} stacks, which are too short or "
        "have too many gaps to use",
        sequence=decided.sequence if decided.told else None,
        bounds_lps_mm=((low[0], low[1], low[2]), (high[0], high[1], high[2])),
    )


def _corners_lps_mm(frame: Frame) -> NDArray[np.float64]:
    """Return the centers of the four corner voxels of a slice, (4, 3)."""
    rows, columns = frame.stored.shape
    down = frame.column_direction * frame.pixel_spacing_mm[0] * (rows - 1)
    across = frame.row_direction * frame.pixel_spacing_mm[1] * (columns - 1)
    steps = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.float64)
    corners: NDArray[np.float64] = frame.position_lps_mm + steps @ np.stack(
        [down, across]
    )
    return corners


def _tell_apart(result: Assembled, first: Frame) -> None:
    """Note that one SeriesInstanceUID holds several contrasts or planes."""
    kinds = ", ".join(f"{one.plane} {one.sequence}" for one in result.series)
    result.notes += _named([f"holds {len(result.series)} parts: {kinds}"], first)


def _rejection(frame: Frame, reason: str) -> RejectedSeries:
    """Record a series that is not used."""
    return RejectedSeries(
        uid=frame.series_uid, description=frame.tags.description, reason=reason
    )


def _named(notes: Sequence[str], frame: Frame) -> list[str]:
    """Put the series before each note."""
    name = frame.tags.description or frame.series_uid
    return [f"series {name}: {note}" for note in notes]
