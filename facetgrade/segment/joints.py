"""The segment stage: every usable stack of every joint, fused on the joint's grid."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.findings import (
    JointMasks,
    Localization,
    LocatedJoint,
    SegmentedJoint,
)
from facetgrade.geometry import VolumeGeometry, covered
from facetgrade.segment.doubt import doubt_lesions
from facetgrade.segment.network import Network, Reading, read_joints
from facetgrade.segment.patches import joint_grid, sample_series
from facetgrade.segment.settings import SegmentSettings
from facetgrade.study import Plane, Series, Study
from facetgrade.study import Sequence as Contrast

MIN_JOINT_SPACE_VOXELS = 20
HALF_WINDOW_MM = 11.0  # a facet is 15-17 mm, its pair 30 mm beside, the next 35 above
WINDOW_STEPS = 5


@dataclass(frozen=True, eq=False, slots=True)
class _View:
    """The series that reach one joint, sampled on its grid."""

    location: LocatedJoint
    grid: VolumeGeometry
    series: tuple[Series, ...]
    stacks: tuple[NDArray[np.float32], ...]

    @property
    def joint(self) -> FacetJoint:
        """Name of a joint whose level is known."""
        if self.location.level is None:
            raise ValueError("the joint belongs to no lumbar level")
        return FacetJoint(self.location.level, self.location.side)


def segment_joints(
    study: Study,
    localization: Localization,
    segmenter: Network,
    settings: SegmentSettings,
    joints: Sequence[FacetJoint],
) -> dict[FacetJoint, SegmentedJoint]:
    """Segment the requested joints that were located.

    Each joint is read once per contrast that shows edema, together with all series
    of other contrasts; without such a contrast it is read once from the others.

    Parameters
    ----------
    study : Study
        The images.
    localization : Localization
        Where the joints are, from `refine_locations`.
    segmenter : callable
        Maps stacks, contrasts and presence to logits as `JointSegmenter` does.
    settings : SegmentSettings
        Batch size.
    joints : sequence of FacetJoint
        Which joints.

    Returns
    -------
    dict of FacetJoint to SegmentedJoint
        Joints that were not located are left out.
    """
    located = {
        FacetJoint(found.level, found.side): found
        for found in localization.joints
        if found.level is not None
    }
    views = [_view(study.series, located[j]) for j in sorted(joints) if j in located]
    questions = [(v, c) for v in views for c in _judged(v)]
    readings = read_joints(
        [_question(view, contrast) for view, contrast in questions],
        segmenter,
        batch=settings.joints_per_pass,
    )
    masks: dict[FacetJoint, list[JointMasks]] = {view.joint: [] for view in views}
    typical: dict[FacetJoint, float] = {}
    for (view, contrast), reading in zip(questions, readings, strict=True):
        masks[view.joint].append(_masks(view, contrast, reading, settings))
        core = _core(view.grid, settings.core_radius_mm)
        typical[view.joint] = float(reading.confidence[core].mean())
    return {
        view.joint: _segmented(view, masks[view.joint], typical.get(view.joint, 0.0))
        for view in views
    }


def refine_locations(
    study: Study,
    localization: Localization,
    segmenter: Network,
    settings: SegmentSettings,
    joints: Sequence[FacetJoint],
) -> Localization:
    """Move located joints to the centroid of their outlined joint space.

    All series are read together. A joint that one series alone shows, and not across,
    stays where the localizer found it: such slices outline its space less truly.
    Joints that were not asked for stay too, unless the level names are assumed, so
    that any of them may be the one that is meant.

    Parameters
    ----------
    study : Study
        The images.
    localization : Localization
        Joints as the localizer found them.
    segmenter : callable
        Maps stacks, contrasts and presence to logits as `JointSegmenter` does.
    settings : SegmentSettings
        The largest shift that is believed.
    joints : sequence of FacetJoint
        Which joints.

    Returns
    -------
    Localization
        The same joints; one whose joint space is not outlined near it stays.
    """
    wanted = [
        joint
        for joint in localization.joints
        if localization.level_assumed
        or (joint.level and FacetJoint(joint.level, joint.side) in joints)
    ]
    views = [
        view for view in (_view(study.series, j) for j in wanted) if _is_outlined(view)
    ]
    readings = read_joints(
        [_question(view, None) for view in views],
        segmenter,
        batch=settings.joints_per_pass,
    )
    centers = {
        id(view.location): joint_space_center(view.grid, reading)
        for view, reading in zip(views, readings, strict=True)
    }
    moved = [
        _moved(joint, centers.get(id(joint)), settings.largest_shift_mm)
        for joint in localization.joints
    ]
    return dataclasses.replace(localization, joints=tuple(moved))


def _is_outlined(view: _View) -> bool:
    """Tell whether slices across the joint, or several series, show it."""
    return len(view.series) > 1 or any(s.plane is Plane.AXIAL for s in view.series)


def _moved(
    joint: LocatedJoint, center: NDArray[np.float64] | None, largest_shift_mm: float
) -> LocatedJoint:
    """Put a joint at its refined center if that is near enough to be the same."""
    if center is None:
        return joint
    shift_mm = float(np.linalg.norm(center - joint.frame.center_lps_mm))
    if shift_mm > largest_shift_mm:
        return joint
    frame = dataclasses.replace(joint.frame, center_lps_mm=center)
    return dataclasses.replace(joint, frame=frame)


def _view(candidates: Sequence[Series], location: LocatedJoint) -> _View:
    """Sample every series that reaches a joint on its grid."""
    grid = joint_grid(location.frame)
    series, stacks = [], []
    for one in candidates:
        sampled = sample_series([stack.volume for stack in one.stacks], grid)
        if sampled is not None:
            series.append(one)
            stacks.append(sampled)
    return _View(location, grid, tuple(series), tuple(stacks))


def joint_space_center(
    grid: VolumeGeometry, reading: Reading
) -> NDArray[np.float64] | None:
    """Return the centroid of the outlined joint space in LPS mm.

    The joints above, below and beside it may reach into the grid, so the mean is taken
    in a window of one joint's size that moves to where the joint space is.
    """
    indices = np.argwhere(reading.structures == Structure.JOINT_SPACE)
    points_mm = indices * grid.spacing_mm
    middle_mm = (np.array(grid.shape) - 1) / 2 * grid.spacing_mm
    for _ in range(1 + WINDOW_STEPS):
        near = np.all(np.abs(points_mm - middle_mm) <= HALF_WINDOW_MM, axis=1)
        if near.sum() < MIN_JOINT_SPACE_VOXELS:
            return None
        middle_mm = points_mm[near].mean(axis=0)
    return grid.to_lps(indices[near].mean(axis=0))


def _judged(view: _View) -> list[Contrast | None]:
    """Return the contrasts to grade on; [None] when none of them shows edema."""
    if not view.stacks:
        return []
    present = {one.sequence for one in view.series}
    return [c for c in Contrast if c.shows_edema and c in present] or [None]


def _question(
    view: _View, contrast: Contrast | None
) -> list[tuple[NDArray[np.float32], Contrast]]:
    """Choose the stacks for one reading: other edema contrasts stay out."""
    chosen = [
        (stack, one.sequence)
        for one, stack in zip(view.series, view.stacks, strict=True)
        if contrast is None or one.sequence is contrast or not one.sequence.shows_edema
    ]
    return chosen


def _masks(
    view: _View, contrast: Contrast | None, reading: Reading, settings: SegmentSettings
) -> JointMasks:
    """Keep what was read, and where the judged contrast could show it."""
    judging = [
        (one, stack)
        for one, stack in zip(view.series, view.stacks, strict=True)
        if contrast is None or one.sequence is contrast
    ]
    in_view = np.any([stack[1] > 0 for _, stack in judging], axis=0)
    seen = {
        lesion: np.where(in_view, reading.lesions[k], 0.0).astype(np.float32)
        for k, lesion in enumerate(Lesion)
    }
    return JointMasks(
        geometry=view.grid,
        structures=reading.structures,
        lesions=doubt_lesions(seen, settings.belief, view.grid.voxel_volume_mm3),
        in_view=np.asarray(in_view),
        sequence=contrast or _best_for_fluid(view.series),
    )


def _best_for_fluid(series: Iterable[Series]) -> Contrast:
    """Return the contrast that shows fluid best among those without edema."""
    present = {one.sequence for one in series}
    for contrast in (Contrast.T2, Contrast.PD, Contrast.T1):
        if contrast in present:
            return contrast
    return Contrast.OTHER


def _core(grid: VolumeGeometry, radius_mm: float) -> NDArray[np.bool_]:
    """Return the ball around the middle of the grid."""
    offset = grid.voxel_centers_lps_mm() - grid.center_lps_mm
    return np.asarray(np.linalg.norm(offset, axis=-1) <= radius_mm)


def _segmented(
    view: _View, masks: Sequence[JointMasks], typicality: float
) -> SegmentedJoint:
    """Sum up which series were read and what is special about them."""
    judged = {one.sequence for one in masks}
    judging = [one for one in view.series if one.sequence in judged]
    return SegmentedJoint(
        joint=view.joint,
        location=view.location,
        masks=tuple(masks),
        series_used=tuple(one.uid for one in view.series),
        sagittal_only=bool(judging)
        and all(one.plane is Plane.SAGITTAL for one in judging),
        missing_slices=any(_has_gap(one, view.grid) for one in view.series),
        typicality=typicality,
    )


def _has_gap(series: Series, grid: VolumeGeometry) -> bool:
    """Tell whether an interpolated slice passes through the joint's grid."""
    for stack in series.stacks:
        for index in stack.missing_slices:
            shape = stack.volume.geometry.shape
            plane = stack.volume.geometry.crop((index, 0, 0), (1, *shape[1:]))
            if covered(plane, grid).any():
                return True
    return False
