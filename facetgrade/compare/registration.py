"""Rigid registration of one joint at two time points, with its quality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.compare.rigid import RigidMotion, points_around
from facetgrade.compare.settings import RegistrationSettings
from facetgrade.findings import JointFrame, JointMasks
from facetgrade.geometry import VolumeGeometry, covered, resample
from facetgrade.study import Plane, Study
from facetgrade.study import Sequence as Contrast

_MINIMUM_COVERED = 0.5
_LESION_RIM_MM = 1.5
_WINDOW_PERCENTILES = (1.0, 99.5)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointView:
    """One joint at one time point, as registration sees it.

    Attributes
    ----------
    study : Study
        The images.
    frame : JointFrame
        Where the joint was found.
    masks : JointMasks or None
        Lesions, which may change between time points and are left out.
    """

    study: Study
    frame: JointFrame
    masks: JointMasks | None = None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Registration:
    """How one joint at baseline lies upon itself at follow-up.

    Attributes
    ----------
    motion : RigidMotion
        From the baseline's patient space to that of the follow-up.
    contrast : Sequence
        Contrast whose images were registered.
    planes : tuple of Plane
        Planes in which both time points have it; with one plane alone the motion
        across its slices is known less well.
    similarity : float
        Correlation of the aligned images around the joint, at most 1.
    error_mm : float
        Distance between the motion found forward and the one found backward, root
        mean square over points around the joint.
    shift_mm, turn_deg : float
        How far the motion is from the one of the located frames.
    problem : str
        Why the registration is not trusted, empty if it is.
    """

    motion: RigidMotion
    contrast: Contrast
    planes: tuple[Plane, ...]
    similarity: float
    error_mm: float
    shift_mm: float
    turn_deg: float
    problem: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class _Sampled:
    """Image of one contrast around a joint.

    Attributes
    ----------
    geometry : VolumeGeometry
        Joint-aligned grid.
    values : (H, R, C) float32 ndarray
        Mean of the stacks, each scaled to mean 0 and deviation 1.
    counted : (H, R, C) bool ndarray
        Covered by a stack and free of lesions.
    """

    geometry: VolumeGeometry
    values: NDArray[np.float32]
    counted: NDArray[np.bool_]


def register_joint(
    baseline: JointView, followup: JointView, settings: RegistrationSettings
) -> Registration | None:
    """Lay a joint at baseline upon the same joint at follow-up.

    The series of one contrast are fused on a grid around the joint, so that sagittal
    and axial slices make up for each other's thickness. The search starts from the
    located joint frames and runs in both directions; the result lies in the middle.

    Parameters
    ----------
    baseline, followup : JointView
        The joint at both time points.
    settings : RegistrationSettings
        ``[registration]`` of configs/compare.toml.

    Returns
    -------
    Registration or None
        None when no contrast shows the joint at both time points.
    """
    chosen = common_contrast(baseline, followup, settings)
    if chosen is None:
        return None
    contrast, planes = chosen
    start = RigidMotion.between(baseline.frame, followup.frame)
    forward, there = _search(baseline, followup, contrast, start, settings)
    backward, back = _search(followup, baseline, contrast, start.inverse(), settings)
    center = baseline.frame.center_lps_mm
    motion = _middle(forward, backward.inverse(), center)
    points = points_around(center, settings.error_radius_mm)
    apart_mm = forward.distances_mm(backward.inverse(), points)
    found = Registration(
        motion=motion,
        contrast=contrast,
        planes=planes,
        similarity=(there + back) / 2.0,
        error_mm=float(np.sqrt((apart_mm**2).mean())),
        shift_mm=float(motion.distances_mm(start, center)),
        turn_deg=start.inverse().then(motion).angle_deg,
    )
    return _judged(found, settings)


def match_views(
    first: JointView, second: JointView, settings: RegistrationSettings
) -> float | None:
    """Return the correlation of two views once aligned; None without a contrast."""
    chosen = common_contrast(first, second, settings)
    if chosen is None:
        return None
    start = RigidMotion.between(first.frame, second.frame)
    return _search(first, second, chosen[0], start, settings)[1]


def common_contrast(
    baseline: JointView, followup: JointView, settings: RegistrationSettings
) -> tuple[Contrast, tuple[Plane, ...]] | None:
    """Choose the contrast to register: most planes in common, then edema before others.

    Returns
    -------
    tuple of Sequence and tuple of Plane, or None
        None when no contrast shows the joint at both time points.
    """
    before, after = (_planes_in_view(view, settings) for view in (baseline, followup))
    shared = {
        contrast: tuple(plane for plane in Plane if plane in before[contrast] & seen)
        for contrast, seen in after.items()
        if contrast in before
    }
    # Different planes of one contrast still show the same anatomy.
    order = sorted(
        shared,
        key=lambda c: (-len(shared[c]), not c.shows_edema, list(Contrast).index(c)),
    )
    return (order[0], shared[order[0]]) if order else None


def _planes_in_view(
    view: JointView, settings: RegistrationSettings
) -> dict[Contrast, set[Plane]]:
    """Name the planes of each contrast that cover most of the joint's ball."""
    grid = _grid(view.frame, settings.radius_mm, 4.0)
    ball = _ball(grid, settings.radius_mm)
    planes: dict[Contrast, set[Plane]] = {}
    for series in view.study.series:
        seen = np.zeros(grid.shape, bool)
        for stack in series.stacks:
            seen |= covered(stack.volume.geometry, grid)
        if seen[ball].mean() >= _MINIMUM_COVERED:
            planes.setdefault(series.sequence, set()).add(series.plane)
    return planes


def _search(
    fixed: JointView,
    moving: JointView,
    contrast: Contrast,
    start: RigidMotion,
    settings: RegistrationSettings,
) -> tuple[RigidMotion, float]:
    """Find the motion from one time point to the other and its correlation."""
    toolkit = _toolkit()
    still = _sampled(fixed, contrast, settings.radius_mm, settings)
    other = _sampled(
        moving, contrast, settings.radius_mm + settings.margin_mm, settings
    )
    transform = toolkit.Euler3DTransform()
    center = fixed.frame.center_lps_mm
    transform.SetCenter(center.tolist())
    transform.SetMatrix(start.rotation.ravel().tolist(), 1e-6)
    transform.SetTranslation((start.apply(center) - center).tolist())
    method = _method(settings)
    ball = _ball(still.geometry, settings.radius_mm)
    method.SetMetricFixedMask(_image(still.geometry, still.counted & ball))
    method.SetMetricMovingMask(_image(other.geometry, other.counted))
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(
        _image(still.geometry, still.values), _image(other.geometry, other.values)
    )
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    shift_mm = center + np.array(transform.GetTranslation()) - rotation @ center
    motion = RigidMotion.from_parts(rotation, shift_mm)
    return motion, _correlation(still, other, motion, ball)


def _method(settings: RegistrationSettings) -> Any:
    """Set up the search: correlation, two resolutions, one thread, fixed samples."""
    toolkit = _toolkit()
    method = toolkit.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsCorrelation()
    method.SetInterpolator(toolkit.sitkLinear)
    method.SetMetricSamplingStrategy(method.RANDOM)
    levels = len(settings.shrink)
    coarse = [min(1.0, settings.sampling * 4.0**k) for k in range(levels)]
    method.SetMetricSamplingPercentagePerLevel(coarse[::-1], seed=settings.seed)
    method.SetShrinkFactorsPerLevel(list(settings.shrink))
    method.SetSmoothingSigmasPerLevel(list(settings.smoothing_mm))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=settings.largest_step_mm,
        minStep=settings.smallest_step_mm,
        numberOfIterations=settings.iterations,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    return method


def _sampled(
    view: JointView,
    contrast: Contrast,
    radius_mm: float,
    settings: RegistrationSettings,
) -> _Sampled:
    """Fuse all stacks of one contrast on a grid around the joint."""
    grid = _grid(view.frame, radius_mm, settings.step_mm)
    total = np.zeros(grid.shape, np.float32)
    count = np.zeros(grid.shape, np.float32)
    for series in view.study.series:
        if series.sequence is not contrast:
            continue
        for stack in series.stacks:
            seen = covered(stack.volume.geometry, grid)
            if not seen.any():
                continue
            voxels = np.nan_to_num(stack.volume.voxels, posinf=0.0, neginf=0.0)
            values = resample(voxels, stack.volume.geometry, grid)
            total[seen] += _scaled(values[seen])
            count[seen] += 1.0
    mean = (total / np.maximum(count, 1.0)).astype(np.float32)
    return _Sampled(grid, mean, (count > 0.0) & ~_lesions(view.masks, grid))


def _scaled(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clip the brightest and darkest values, then scale to mean 0 and deviation 1."""
    low, high = np.percentile(values, _WINDOW_PERCENTILES)
    clipped = np.clip(values, low, high)
    scaled: NDArray[np.float32] = (clipped - clipped.mean()) / max(clipped.std(), 1e-6)
    return scaled


def _lesions(masks: JointMasks | None, grid: VolumeGeometry) -> NDArray[np.bool_]:
    """Find the voxels in or next to any lesion."""
    if masks is None or not masks.lesions:
        return np.zeros(grid.shape, bool)
    inside = np.maximum.reduce(list(masks.lesions.values()))
    near = resample(inside.astype(np.float32), masks.geometry, grid) >= 0.5
    reach = max(1, round(_LESION_RIM_MM / float(grid.spacing_mm[0])))
    grown: NDArray[np.bool_] = ndimage.binary_dilation(near, iterations=reach)
    return grown


def _correlation(
    fixed: _Sampled, moving: _Sampled, motion: RigidMotion, ball: NDArray[np.bool_]
) -> float:
    """Correlate the aligned images over the voxels that count in both."""
    back = motion.inverse().move_grid(moving.geometry)
    values = resample(moving.values, back, fixed.geometry)
    counted = resample(moving.counted.astype(np.float32), back, fixed.geometry) > 0.5
    both = fixed.counted & ball & counted
    if both.sum() < 0.2 * ball.sum():
        return 0.0
    return float(np.corrcoef(fixed.values[both], values[both])[0, 1])


def _middle(
    first: RigidMotion, second: RigidMotion, center: NDArray[np.float64]
) -> RigidMotion:
    """Return the motion halfway between two that are nearly the same."""
    rest = first.inverse().then(second)
    return first.then(rest.half(first.apply(center)))


def _grid(frame: JointFrame, radius_mm: float, step_mm: float) -> VolumeGeometry:
    """Lay an isotropic grid around a joint, along its axes."""
    side = 2 * round(radius_mm / step_mm) + 1
    return frame.grid(spacing_mm=(step_mm,) * 3, shape=(side,) * 3)


def _ball(grid: VolumeGeometry, radius_mm: float) -> NDArray[np.bool_]:
    """Find the voxels within a distance of the middle of a grid."""
    offset_mm = grid.voxel_centers_lps_mm() - grid.center_lps_mm
    inside: NDArray[np.bool_] = (offset_mm**2).sum(axis=-1) <= radius_mm**2
    return inside


def _toolkit() -> Any:
    """Import SimpleITK, which has no types."""
    import SimpleITK

    return SimpleITK


def _image(geometry: VolumeGeometry, values: NDArray[Any]) -> Any:
    """Hand an array to SimpleITK, which counts (column, row, slice) in the same LPS."""
    toolkit = _toolkit()
    kind = np.uint8 if values.dtype == bool else np.float32
    image = toolkit.GetImageFromArray(values.astype(kind))
    image.SetSpacing(geometry.spacing_mm[::-1].tolist())
    image.SetOrigin(geometry.index_to_lps[:3, 3].tolist())
    image.SetDirection(geometry.axes[::-1].T.ravel().tolist())
    return image


def _judged(found: Registration, settings: RegistrationSettings) -> Registration:
    """Say why a registration is not trusted, if it is not."""
    limits: Sequence[tuple[bool, str]] = (
        (
            found.similarity < settings.minimum_similarity,
            f"correlation {found.similarity:.2f} of the aligned images is below "
            f"{settings.minimum_similarity:.2f}",
        ),
        (
            found.error_mm > settings.maximum_error_mm,
            f"forward and backward registration differ by {found.error_mm:.1f} mm, "
            f"more than {settings.maximum_error_mm:.1f} mm",
        ),
        (
            found.shift_mm > settings.maximum_shift_mm,
            f"the registered joint is {found.shift_mm:.1f} mm from the located one, "
            f"more than {settings.maximum_shift_mm:.1f} mm",
        ),
        (
            found.turn_deg > settings.maximum_turn_deg,
            f"the registered joint is turned by {found.turn_deg:.0f} degrees against "
            f"the located one, more than {settings.maximum_turn_deg:.0f}",
        ),
    )
    problems = [text for failed, text in limits if failed]
    return replace(found, problem="; ".join(problems))
