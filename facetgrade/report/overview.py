"""Where the joints are: mid-sagittal slice and a coronal view along the joints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.findings import Graded, Localization, LocatedJoint, Outcome, StudyReport
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.figures import Picture, display_window, encode_jpeg
from facetgrade.report.planes import (
    SCREEN,
    Cut,
    nearest_plane,
    sample_image,
    sharpness_mm,
)
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
    views: list[Overview | None] = []
    source = _sagittal_source(study)
    if source and localization.vertebrae:
        views.append(_sagittal(source, localization, settings))
    source = _coronal_source(study)
    if source and localization.joints:
        views.append(_coronal(source, report, settings))
    return tuple(view for view in views if view is not None)


def _sagittal(
    source: tuple[Series, Stack], localization: Localization, settings: ReportSettings
) -> Overview | None:
    """Show the slice through the middle of the vertebral bodies with their names."""
    series, stack = source
    geometry = stack.volume.geometry
    centers = np.array([v.center_lps_mm for v in localization.vertebrae])
    index = geometry.to_index(np.median(centers, axis=0))
    index[0] = np.clip(round(float(index[0])), 0, geometry.shape[0] - 1)
    low, high = centers.min(axis=0), centers.max(axis=0)
    grid = _view_grid(
        Plane.SAGITTAL,
        low - np.array([0.0, _FRONT_MM, _BELOW_MM]),
        high + np.array([0.0, _BACK_MM, _ABOVE_MM]),
        depth_mm=float(geometry.to_lps(index)[0]),
        inside=geometry,
    )
    if grid is None:
        return None
    cut = Cut(
        grid=grid, plane=Plane.SAGITTAL, series=series, stack=stack, slice_index=None
    )
    picture = _picture(
        sample_image(cut),
        cut,
        slice_text=f"near slice {int(index[0]) + 1} of {geometry.shape[0]}",
        settings=settings,
    )
    marks = [
        _mark(grid, vertebra.center_lps_mm, vertebra.name, "vertebra")
        for vertebra in localization.vertebrae
    ]
    return Overview(picture=picture, marks=_on_picture(marks, picture))


def _coronal(
    source: tuple[Series, Stack], report: StudyReport, settings: ReportSettings
) -> Overview | None:
    """Show a coronal view bent along the joints, with every located joint."""
    series, stack = source
    joints = report.localization.joints
    centers = np.array([joint.frame.center_lps_mm for joint in joints])
    middle = centers.mean(axis=0)
    grid = _view_grid(
        Plane.CORONAL,
        np.array([middle[0] - _ASIDE_MM, 0.0, centers[:, 2].min() - _BELOW_MM]),
        np.array([middle[0] + _ASIDE_MM, 0.0, centers[:, 2].max() + _ABOVE_MM]),
        depth_mm=float(middle[1]),
        inside=stack.volume.geometry,
    )
    if grid is None:
        return None
    cut = Cut(
        grid=grid, plane=Plane.CORONAL, series=series, stack=stack, slice_index=None
    )
    picture = _picture(
        _bent_image(stack, grid, centers),
        cut,
        slice_text="reformatted along the joints",
        settings=settings,
    )
    asked = {
        (outcome.location.number, outcome.joint.side): outcome
        for outcome in report.outcomes
        if outcome.location is not None
    }
    marks = [_joint_mark(grid, j, asked.get((j.number, j.side))) for j in joints]
    return Overview(picture=picture, marks=_on_picture(marks, picture))


def _view_grid(
    plane: Plane,
    low_lps_mm: NDArray[np.float64],
    high_lps_mm: NDArray[np.float64],
    *,
    depth_mm: float,
    inside: VolumeGeometry,
) -> VolumeGeometry | None:
    """Lay pixels over a box of the patient, as far as a stack reaches up and down.

    Returns None where the stack does not reach the box.
    """
    down, right = (np.asarray(axis) for axis in SCREEN[plane])
    normal = np.cross(down, right)
    ends = np.stack(np.meshgrid(*[(-0.5, n - 0.5) for n in inside.shape]), axis=-1)
    corners = inside.to_lps(ends.reshape(-1, 3))
    low, high = low_lps_mm.copy(), high_lps_mm.copy()
    low[1:] = np.maximum(low, corners.min(axis=0))[1:]
    high[1:] = np.minimum(high, corners.max(axis=0))[1:]
    across = np.argmax(np.abs(normal))
    low[across] = high[across] = depth_mm
    rows = round(float(np.abs(down) @ (high - low)) / _PIXEL_MM)
    columns = round(float(np.abs(right) @ (high - low)) / _PIXEL_MM)
    if (low > high).any() or min(rows, columns) < 2:
        return None
    top_left = np.array([low[0], low[1], high[2]])
    return VolumeGeometry.from_axes(
        origin_lps_mm=top_left + 0.5 * _PIXEL_MM * (down + right),
        axes=(normal, down, right),
        spacing_mm=(1.0, _PIXEL_MM, _PIXEL_MM),
        shape=(1, rows, columns),
    )


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
    grid: VolumeGeometry, joint: LocatedJoint, outcome: Outcome | None
) -> Mark:
    """Mark a located joint with its grade, if it was asked for."""
    text, kind = "", "joint"
    if isinstance(outcome, Graded):
        text, kind = str(outcome.best.grade), f"grade-{outcome.best.grade}"
    elif outcome is not None:
        text, kind = "\N{EN DASH}", "ungradable"
    shown = outcome.location if outcome and outcome.location else joint
    return _mark(grid, shown.frame.center_lps_mm, text, kind)


def _mark(
    grid: VolumeGeometry, point_lps_mm: NDArray[np.float64], text: str, kind: str
) -> Mark:
    """Project a point onto a picture."""
    _, row, column = grid.to_index(point_lps_mm)
    return Mark(
        x_mm=float((column + 0.5) * _PIXEL_MM),
        y_mm=float((row + 0.5) * _PIXEL_MM),
        text=text,
        kind=kind,
    )


def _on_picture(marks: Iterable[Mark], picture: Picture) -> tuple[Mark, ...]:
    """Drop the marks that lie beside the picture."""
    return tuple(
        mark
        for mark in marks
        if 0.0 <= mark.x_mm <= picture.width_mm
        and 0.0 <= mark.y_mm <= picture.height_mm
    )


def _picture(
    image: NDArray[np.float32], cut: Cut, *, slice_text: str, settings: ReportSettings
) -> Picture:
    """Encode a view of the spine."""
    _, rows, columns = cut.grid.shape
    window = display_window(cut.stack, cut.grid.center_lps_mm)
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
