"""Pictures of one joint at two time points in identical planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.compare.aligned import AlignedJoint, AlignedTimePoint
from facetgrade.compare.settings import PictureSettings
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.context import JointOutline
from facetgrade.report.figures import (
    Outline,
    display_window,
    encode_jpeg,
    joint_regions,
    outline_path,
)
from facetgrade.report.planes import Cut, sample_image, sharpness_mm
from facetgrade.study import Plane, Series, Stack, Study
from facetgrade.study import Sequence as Contrast

PLANES = (Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL)
_FULL_DIFFERENCE = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Half:
    """One time point of a picture.

    Attributes
    ----------
    image_uri : str
        ``data:image/jpeg;base64,...``.
    outlines : tuple of Outline
        Drawn over the image, last on top.
    description : str
        Series the pixels come from, for people.
    """

    image_uri: str
    outlines: tuple[Outline, ...]
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedPicture:
    """One plane through a joint at both time points.

    Attributes
    ----------
    plane, contrast : str
        What it shows.
    size_mm : float
        Side of the square.
    letters : tuple of str
        Orientation letters of the top, right, bottom and left edge.
    baseline, followup : Half
        The same plane at both time points.
    difference_uri : str
        Follow-up minus baseline, each on its own gray scale: gray where equal, brighter
        where the signal grew.
    """

    plane: str
    contrast: str
    size_mm: float
    letters: tuple[str, str, str, str]
    baseline: Half
    followup: Half
    difference_uri: str


def paired_pictures(
    aligned: AlignedJoint,
    contrast: Contrast | None,
    joint_outline: JointOutline | None,
    settings: PictureSettings,
) -> tuple[PairedPicture, ...]:
    """Show a joint in three planes at both time points.

    Parameters
    ----------
    aligned : AlignedJoint
        The joint in its common space.
    contrast : Sequence or None
        Contrast to show; None takes the first that shows the joint twice.
    joint_outline : callable or None
        Outlines the joint as the perimeter is measured.
    settings : PictureSettings
        Size and quality.

    Returns
    -------
    tuple of PairedPicture
        Axial, sagittal, coronal; planes that no common contrast shows are left out.
    """
    shown = contrast or _shared_contrast(aligned)
    if shown is None:
        return ()
    pictures = [_picture(aligned, p, shown, joint_outline, settings) for p in PLANES]
    return tuple(picture for picture in pictures if picture is not None)


def _picture(
    aligned: AlignedJoint,
    plane: Plane,
    contrast: Contrast,
    joint_outline: JointOutline | None,
    settings: PictureSettings,
) -> PairedPicture | None:
    """Show one plane."""
    grid = aligned.picture_grid(
        plane, size_mm=settings.field_of_view_mm, pixel_mm=settings.pixel_mm
    )
    center = aligned.frame.center_lps_mm
    cuts = [
        _cut(point.study, center, plane, contrast, grid)
        for point in (aligned.baseline, aligned.followup)
    ]
    if cuts[0] is None or cuts[1] is None:
        return None
    first, second = (_gray(cut, center) for cut in cuts if cut is not None)
    quality = settings.jpeg_quality
    return PairedPicture(
        plane=plane.value,
        contrast=contrast.value,
        size_mm=settings.field_of_view_mm,
        letters=cuts[0].letters,
        baseline=_half(first, cuts[0], aligned.baseline, joint_outline, quality),
        followup=_half(second, cuts[1], aligned.followup, joint_outline, quality),
        difference_uri=encode_jpeg(
            second - first, (-_FULL_DIFFERENCE, _FULL_DIFFERENCE), quality=quality
        ),
    )


def _half(
    image: NDArray[np.float32],
    cut: Cut,
    point: AlignedTimePoint,
    joint_outline: JointOutline | None,
    quality: int,
) -> Half:
    """Encode and outline one time point."""
    regions = joint_regions(point.masks, joint_outline)
    paths = [(region.name, outline_path(region, cut.grid)) for region in regions]
    return Half(
        image_uri=encode_jpeg(image, (0.0, 1.0), quality=quality),
        outlines=tuple(Outline(name=name, path=path) for name, path in paths if path),
        description=cut.series.description,
    )


def _gray(cut: Cut, center_lps_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Interpolate a cut and scale it to 0 black, 1 white."""
    black, white = display_window(cut.stack, center_lps_mm)
    image: NDArray[np.float32] = (sample_image(cut) - black) / (white - black)
    return np.clip(image, 0.0, 1.0).astype(np.float32)


def _cut(
    study: Study,
    center_lps_mm: NDArray[np.float64],
    plane: Plane,
    contrast: Contrast,
    grid: VolumeGeometry,
) -> Cut | None:
    """Choose the sharpest stack of a contrast for a plane; always interpolated."""
    stacks = _stacks(study, center_lps_mm, contrast)
    if not stacks:
        return None
    series, stack = min(stacks, key=lambda pair: sharpness_mm(pair[1], plane))
    return Cut(grid=grid, plane=plane, series=series, stack=stack, slice_index=None)


def _stacks(
    study: Study, center_lps_mm: NDArray[np.float64], contrast: Contrast
) -> Sequence[tuple[Series, Stack]]:
    """Find the stacks of a contrast that hold the joint."""
    return [
        (series, stack)
        for series in study.series
        if series.sequence is contrast
        for stack in series.stacks
        if stack.volume.geometry.contains(center_lps_mm)
    ]


def _shared_contrast(aligned: AlignedJoint) -> Contrast | None:
    """Choose a contrast that shows the joint twice, edema before others."""
    center = aligned.frame.center_lps_mm
    shared = [
        contrast
        for contrast in Contrast
        if _stacks(aligned.baseline.study, center, contrast)
        and _stacks(aligned.followup.study, center, contrast)
    ]
    return min(shared, key=lambda contrast: not contrast.shows_edema, default=None)
