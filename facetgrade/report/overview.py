"""Where the joints are: mid-sagittal slice and a coronal view along the joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.findings import Graded, Localization, LocatedJoint, Outcome, StudyReport
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.figures import Picture, display_window, encode_jpeg
from facetgrade.report.planes import Cut, nearest_plane, sample_image, sharpness_mm
from facetgrade.report.settings import ReportSettings
from facetgrade.study import Plane, Sequence, Series, Stack, Study

_PIXEL_MM = 0.6
_ABOVE_MM = _BELOW_MM = 32.0
_FRONT_MM, _BACK_MM = 48.0, 72.0
_ASIDE_MM = 55.0
_PREFERRED = (Sequence.T2, Sequence.T2_FS, Sequence.T1, Sequence.PD)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """Text at a place of a picture, in mm from its top left corner.

    Attributes
    ----------
    x_mm, y_mm : float
        Where.
    text : str
        Name of a vertebra, or the grade of a joint (empty when it was not asked for).
    kind : str
        ``vertebra``, ``joint`` (located only), ``ungradable`` or ``grade-0`` to
        ``grade-4``.
    """

    x_mm: float
    y_mm: float
    text: str
    kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """One picture of the spine with its marks."""

    picture: Picture
    marks: tuple[Mark, ...]


def draw_overview(
    report: StudyReport, study: Study, settings: ReportSettings
) -> tuple[Overview, ...]:
    """Draw the vertebrae on a mid-sagittal slice and the joints on a coronal view.

    Parameters
    ----------
    report : StudyReport
        Names, places and grades.
    study : Study
        The images.
    settings : ReportSettings
        Quality of the pictures.

    Returns
    -------
    tuple of Overview
        Sagittal, coronal; what cannot be drawn is left out.
    """
    localization = report.localization
    views = []
    source = _sagittal_source(study)
    if source and localization.vertebrae:
        views.append(_sagittal(source, localization, settings))
    source = _coronal_source(study)
    if source and localization.joints:
        views.append(_coronal(source, report, settings))
    return tuple(views)


def _sagittal(
    source: tuple[Series, Stack], localization: Localization, settings: ReportSettings
) -> Overview:
    """Show the slice through the middle of the vertebral bodies with their names."""
    series, stack = source
    geometry = stack.volume.geometry
    centers = np.array([v.center_lps_mm for v in localization.vertebrae])
    middle = np.median(centers, axis=0)
    index = int(np.clip(round(geometry.to_index(middle)[0]), 0, geometry.shape[0] - 1))
    middle[0] += (geometry.to_lps((index, *geometry.to_index(middle)[1:])) - middle)[0]
    y_mm = (centers[:, 1].min() - _FRONT_MM, centers[:, 1].max() + _BACK_MM)
    z_mm = (centers[:, 2].max() + _ABOVE_MM, centers[:, 2].min() - _BELOW_MM)
    rows, columns = (
        round((z_mm[0] - z_mm[1]) / _PIXEL_MM),
        round((y_mm[1] - y_mm[0]) / _PIXEL_MM),
    )
    grid = VolumeGeometry.from_axes(
        origin_lps_mm=(middle[0], y_mm[0], z_mm[0]),
        axes=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
        spacing_mm=(1.0, _PIXEL_MM, _PIXEL_MM),
        shape=(1, rows, columns),
    )
    cut = Cut(
        grid=grid, plane=Plane.SAGITTAL, series=series, stack=stack, slice_index=None
    )
    marks = tuple(
        Mark(
            x_mm=float(center[1] - y_mm[0]),
            y_mm=float(z_mm[0] - center[2]),
            text=vertebra.name,
            kind="vertebra",
        )
        for vertebra, center in zip(localization.vertebrae, centers, strict=True)
    )
    picture = _picture(
        sample_image(cut),
        cut,
        display_window(stack, middle),
        slice_text=f"near slice {index + 1} of {geometry.shape[0]}",
        settings=settings,
    )
    return Overview(picture=picture, marks=marks)


def _coronal(
    source: tuple[Series, Stack], report: StudyReport, settings: ReportSettings
) -> Overview:
    """Show a coronal view bent along the joints, with every located joint."""
    series, stack = source
    joints = report.localization.joints
    centers = np.array([joint.frame.center_lps_mm for joint in joints])
    x_mm = (centers[:, 0].mean() - _ASIDE_MM, centers[:, 0].mean() + _ASIDE_MM)
    z_mm = (centers[:, 2].max() + _ABOVE_MM, centers[:, 2].min() - _BELOW_MM)
    grid = VolumeGeometry.from_axes(
        origin_lps_mm=(x_mm[0], 0.0, z_mm[0]),
        axes=((0.0, 1.0, 0.0), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
        spacing_mm=(1.0, _PIXEL_MM, _PIXEL_MM),
        shape=(
            1,
            round((z_mm[0] - z_mm[1]) / _PIXEL_MM),
            round((x_mm[1] - x_mm[0]) / _PIXEL_MM),
        ),
    )
    cut = Cut(
        grid=grid, plane=Plane.CORONAL, series=series, stack=stack, slice_index=None
    )
    graded = {
        (outcome.location.number, outcome.joint.side): outcome
        for outcome in report.outcomes
        if outcome.location is not None
    }
    marks = tuple(
        _joint_mark(joint, graded.get((joint.number, joint.side)), x_mm[0], z_mm[0])
        for joint in joints
    )
    picture = _picture(
        _bent_image(stack, grid, centers),
        cut,
        display_window(stack, centers.mean(axis=0)),
        slice_text="reformatted along the joints",
        settings=settings,
    )
    return Overview(picture=picture, marks=marks)


def _bent_image(
    stack: Stack, grid: VolumeGeometry, centers_lps_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate a coronal picture whose depth follows the joints."""
    points = grid.voxel_centers_lps_mm()[0]
    order = np.argsort(centers_lps_mm[:, 2])
    y_of_z = np.interp(
        points[:, 0, 2], centers_lps_mm[order, 2], centers_lps_mm[order, 1]
    )
    points[..., 1] = y_of_z[:, None]
    index = np.moveaxis(stack.volume.geometry.to_index(points), -1, 0)
    image: NDArray[np.float32] = ndimage.map_coordinates(
        stack.volume.voxels, index, order=1, output=np.float32
    )
    return image


def _joint_mark(
    joint: LocatedJoint, outcome: Outcome | None, x0_mm: float, z0_mm: float
) -> Mark:
    """Mark a located joint with its grade, if it was asked for."""
    text, kind = "", "joint"
    if isinstance(outcome, Graded):
        text, kind = str(outcome.best.grade), f"grade-{outcome.best.grade}"
    elif outcome is not None:
        text, kind = "\N{EN DASH}", "ungradable"
    center = (outcome.location if outcome and outcome.location else joint).frame
    x_mm, _, z_mm = center.center_lps_mm
    return Mark(
        x_mm=float(x_mm - x0_mm), y_mm=float(z0_mm - z_mm), text=text, kind=kind
    )


def _picture(
    image: NDArray[np.float32],
    cut: Cut,
    window: tuple[float, float],
    *,
    slice_text: str,
    settings: ReportSettings,
) -> Picture:
    """Encode a view of the spine."""
    _, rows, columns = cut.grid.shape
    return Picture(
        image_uri=encode_jpeg(image, window, quality=settings.jpeg_quality),
        width_mm=columns * _PIXEL_MM,
        height_mm=rows * _PIXEL_MM,
        letters=cut.letters,
        plane=cut.plane.value,
        contrast=cut.series.sequence.value,
        description=cut.series.description,
        slice_text=slice_text,
    )


def _sagittal_source(study: Study) -> tuple[Series, Stack] | None:
    """Choose a series to show the bodies: sagittal before others, T2 before others."""
    stacks = [(series, stack) for series in study.series for stack in series.stacks]
    if not stacks:
        return None
    return min(stacks, key=lambda pair: (_not_sagittal(pair[1]), _place(pair[0])))


def _coronal_source(study: Study) -> tuple[Series, Stack] | None:
    """Choose a series to show all joints: the tallest, edema before others."""
    stacks = [(series, stack) for series in study.series for stack in series.stacks]
    if not stacks:
        return None
    return min(
        stacks,
        key=lambda pair: (
            _not_sagittal(pair[1])
            and nearest_plane(pair[1].volume.geometry) is not Plane.CORONAL,
            not pair[0].sequence.shows_edema,
            sharpness_mm(pair[1], Plane.CORONAL),
        ),
    )


def _not_sagittal(stack: Stack) -> bool:
    """Tell whether the slices are far from sagittal."""
    return nearest_plane(stack.volume.geometry) is not Plane.SAGITTAL


def _place(series: Series) -> int:
    """Order contrasts by how well they show the bodies."""
    order = list(_PREFERRED)
    return order.index(series.sequence) if series.sequence in order else len(order)
