"""Pictures of an annotated case: the image with the outlines of the reader."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from facetgrade.anatomy import BONES, Lesion
from facetgrade.findings import Localization
from facetgrade.geometry import Volume, VolumeGeometry, resample
from facetgrade.study import Plane, Series, Study
from facetgrade.train.manifest import ManifestRow
from facetgrade.train.masks import Annotation

FIELD_MM = 70.0
INCHES = 2.6
BONE_COLOR, LESION_COLOR, JOINT_COLOR = "#f0b429", "#e12d39", "#2bb0ed"


def draw_case(
    study: Study,
    row: ManifestRow,
    annotation: Annotation | None,
    found: Localization,
) -> str:
    """Draw a sagittal and an axial slice through a case as a data URI.

    Bones are outlined in yellow, lesions in red; a blue cross marks the joint that the
    localizer found for the row, a blue circle the center that the row gives.
    """
    center = _center(row, annotation, found, study)
    shown = [
        chosen
        for plane in (Plane.SAGITTAL, Plane.AXIAL)
        if (chosen := _choose(study, plane)) is not None
    ]
    if not shown:
        return ""
    figure = Figure(figsize=(INCHES * len(shown), INCHES), dpi=100)
    FigureCanvasAgg(figure)
    for place, series in enumerate(shown):
        axes = figure.add_axes((place / len(shown), 0, 1 / len(shown), 1))
        axes.set_axis_off()
        _draw_plane(axes, _nearest(series, center), center, annotation)
        for joint in found.joints:
            if (joint.level, joint.side) == (row.joint.level, row.joint.side):
                _mark(axes, series, center, joint.frame.center_lps_mm, "+")
        if row.center_lps_mm is not None:
            _mark(axes, series, center, np.array(row.center_lps_mm), "o")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _center(
    row: ManifestRow, annotation: Annotation | None, found: Localization, study: Study
) -> NDArray[np.float64]:
    """Return what the picture is centered on: the mask, the row, or the images."""
    if annotation is not None:
        points = [
            mask.geometry.to_lps(np.argwhere(mask.voxels))
            for masks in annotation.masks.values()
            for mask in masks
            if mask.voxels.any()
        ]
        if points:
            return np.asarray(np.concatenate(points).mean(axis=0))
    if row.center_lps_mm is not None:
        return np.array(row.center_lps_mm)
    for joint in found.joints:
        if (joint.level, joint.side) == (row.joint.level, row.joint.side):
            return joint.frame.center_lps_mm
    return study.series[0].stacks[0].volume.geometry.center_lps_mm


def _choose(study: Study, plane: Plane) -> Series | None:
    """Choose a series of a plane, one that shows edema before others."""
    series = [one for one in study.series if one.plane is plane]
    return min(series, key=lambda one: not one.sequence.shows_edema, default=None)


def _nearest(series: Series, center: NDArray[np.float64]) -> Volume:
    """Return the stack whose slices pass nearest to a point."""

    def away(volume: Volume) -> float:
        index = volume.geometry.to_index(center)
        last = np.array(volume.geometry.shape) - 1
        return float(np.abs(index - np.clip(index, 0, last)).sum())

    return min((stack.volume for stack in series.stacks), key=away)


def _window(geometry: VolumeGeometry, center: NDArray[np.float64]) -> VolumeGeometry:
    """Return a square field of the slice nearest to a point."""
    index = geometry.to_index(center)
    number = int(np.clip(np.rint(index[0]), 0, geometry.shape[0] - 1))
    size = [int(np.ceil(FIELD_MM / mm)) for mm in geometry.spacing_mm[1:]]
    start = [int(i) - n // 2 for i, n in zip(index[1:], size, strict=True)]
    return geometry.crop((number, start[0], start[1]), (1, size[0], size[1]))


def _draw_plane(
    axes: Axes,
    volume: Volume,
    center: NDArray[np.float64],
    annotation: Annotation | None,
) -> None:
    """Draw the slice of a stack and the outlines in it."""
    window = _window(volume.geometry, center)
    image = resample(volume.voxels, volume.geometry, window)[0]
    aspect = float(window.spacing_mm[1] / window.spacing_mm[2])
    low, high = np.percentile(image, [1, 99.5])
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1), aspect=aspect)
    if annotation is None:
        return
    for kind, masks in annotation.masks.items():
        if kind not in BONES and kind not in set(Lesion):
            continue
        color = LESION_COLOR if isinstance(kind, Lesion) else BONE_COLOR
        for mask in masks:
            inside = resample(mask.voxels.astype(np.float32), mask.geometry, window)[0]
            if inside.any() and not inside.all():
                axes.contour(inside, [0.5], colors=color, linewidths=0.8)


def _mark(
    axes: Axes,
    series: Series,
    center: NDArray[np.float64],
    point: NDArray[np.float64],
    marker: str,
) -> None:
    """Mark a point on the slice through the center."""
    window = _window(_nearest(series, center).geometry, center)
    _, row, column = window.to_index(point)
    if 0 <= row < window.shape[1] and 0 <= column < window.shape[2]:
        axes.plot(column, row, marker, color=JOINT_COLOR, fillstyle="none", ms=9)
