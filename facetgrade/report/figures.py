"""Pictures of one joint: gray pixels as JPEG, outlines as vector paths in mm."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Lesion, Structure
from facetgrade.findings import JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.context import JointOutline
from facetgrade.report.planes import (
    Cut,
    coverage,
    native_cut,
    reformatted_cut,
    sample_image,
    sharpness_mm,
)
from facetgrade.report.settings import ReportSettings
from facetgrade.study import Plane, Series, Stack, Study
from facetgrade.study import Sequence as Contrast

_OUTLINE_STEP_MM = 0.5
_WINDOW_PERCENTILES = (1.0, 99.6)
_WINDOW_RADIUS_MM = 45.0
_FILLED = 0.7
_PLANES = (Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outline:
    """Closed curves of one structure or lesion.

    Attributes
    ----------
    name : str
        Class of the path in the page: ``joint-space``, ``perimeter``, ``effusion``,
        ``soft-tissue-edema``, ``marrow-edema`` or ``cyst``.
    path : str
        SVG path in mm from the top left corner of the picture.
    """

    name: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """One picture with everything that is drawn on it.

    Attributes
    ----------
    image_uri : str
        ``data:image/jpeg;base64,...``.
    width_mm, height_mm : float
        What it shows.
    letters : tuple of str
        Orientation letters of the top, right, bottom and left edge.
    plane, contrast, description : str
        What it is; the description is that of the series, for people.
    slice_text : str
        Like ``slice 8 of 15`` or ``reformatted``.
    outlines : tuple of Outline
        Drawn over the image, last on top.
    """

    image_uri: str
    width_mm: float
    height_mm: float
    letters: tuple[str, str, str, str]
    plane: str
    contrast: str
    description: str
    slice_text: str
    outlines: tuple[Outline, ...] = ()


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Region:
    """What is outlined: a named map on the joint grid, inside where >= 0.5."""

    name: str
    geometry: VolumeGeometry
    inside: NDArray[np.float32]


def joint_pictures(
    study: Study,
    center_lps_mm: NDArray[np.float64],
    *,
    contrast: Contrast | None,
    series_used: Sequence[str],
    regions: Sequence[Region],
    settings: ReportSettings,
) -> tuple[Picture, ...]:
    """Show one joint in every plane, native slices before reformats.

    Parameters
    ----------
    study : Study
        The images.
    center_lps_mm : (3,) float64 ndarray
        The joint, in the middle of every picture.
    contrast : Sequence or None
        Contrast on which the lesions were judged; shown first.
    series_used : sequence of str
        Uids of the series that were read; all series if empty.
    regions : sequence of Region
        From `joint_regions`.
    settings : ReportSettings
        Size and number of pictures.

    Returns
    -------
    tuple of Picture
        Axial, sagittal and coronal, then further native slices; empty when no series
        shows the joint.
    """
    cuts = choose_cuts(
        study,
        center_lps_mm,
        contrast=contrast,
        series_used=series_used,
        settings=settings,
    )
    windows: dict[int, tuple[float, float]] = {}
    pictures = []
    for cut in cuts:
        key = id(cut.stack)
        if key not in windows:
            windows[key] = display_window(cut.stack, center_lps_mm)
        pictures.append(_picture(cut, windows[key], regions, settings))
    return tuple(pictures)


def joint_regions(
    masks: JointMasks | None, joint_outline: JointOutline | None
) -> tuple[Region, ...]:
    """Choose what is outlined on the pictures of a joint, from bottom to top."""
    if masks is None:
        return ()
    inside = {
        "joint-space": masks.structures == Structure.JOINT_SPACE,
        "marrow-edema": masks.lesions.get(Lesion.MARROW_EDEMA),
        "soft-tissue-edema": masks.lesions.get(Lesion.SOFT_TISSUE_EDEMA),
        "effusion": masks.lesions.get(Lesion.EFFUSION),
        "cyst": masks.lesions.get(Lesion.CYST),
        "perimeter": joint_outline(masks) if joint_outline else None,
    }
    return tuple(
        Region(name=name, geometry=masks.geometry, inside=value.astype(np.float32))
        for name, value in inside.items()
        if value is not None and value.max(initial=0) >= 0.5
    )


def choose_cuts(
    study: Study,
    center_lps_mm: NDArray[np.float64],
    *,
    contrast: Contrast | None,
    series_used: Sequence[str],
    settings: ReportSettings,
) -> tuple[Cut, ...]:
    """Choose the planes to show, see `joint_pictures`."""
    stacks = _stacks_in_view(study, center_lps_mm, contrast, series_used)
    size = {"size_mm": settings.field_of_view_mm, "pixel_mm": settings.pixel_mm}
    found = [native_cut(s, stack, center_lps_mm, **size) for s, stack in stacks]
    native = [cut for cut in found if cut is not None]
    first: list[Cut] = []
    for plane in _PLANES:
        same = [cut for cut in native if cut.plane is plane]
        if same:
            first.append(same[0])
        elif stacks:
            series, stack = _best_for(
                plane, stacks, center_lps_mm, settings.field_of_view_mm
            )
            first.append(reformatted_cut(series, stack, center_lps_mm, plane, **size))
    more = [cut for cut in native if not any(cut is shown for shown in first)]
    return tuple([*first, *more][: settings.max_pictures_per_joint])


def display_window(
    stack: Stack, center_lps_mm: NDArray[np.float64]
) -> tuple[float, float]:
    """Choose black and white from the pixels around a point."""
    geometry = stack.volume.geometry
    middle = geometry.to_index(center_lps_mm)
    reach = _WINDOW_RADIUS_MM / geometry.spacing_mm
    last = np.asarray(geometry.shape) - 1
    start = np.clip(np.floor(middle - reach), 0, last).astype(int)
    stop = np.clip(np.ceil(middle + reach), start, last).astype(int) + 1
    block = stack.volume.voxels[
        tuple(slice(a, b, 2) for a, b in zip(start, stop, strict=True))
    ]
    known = block[np.isfinite(block)]
    if known.size == 0:
        return 0.0, 1.0
    black, white = np.percentile(known, _WINDOW_PERCENTILES)
    return float(black), float(max(white, black + 1e-6))


def encode_jpeg(
    image: NDArray[np.float32], window: tuple[float, float], *, quality: int
) -> str:
    """Turn pixels into a data URI, black and white as in `window`."""
    from PIL import Image

    black, white = window
    scaled = np.clip((image - black) * (255.0 / (white - black)), 0.0, 255.0)
    file = io.BytesIO()
    Image.fromarray(np.rint(scaled).astype(np.uint8)).save(
        file, format="JPEG", quality=quality
    )
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def outline_path(region: Region, grid: VolumeGeometry) -> str:
    """Trace where a picture plane cuts a region.

    Parameters
    ----------
    region : Region
        A map on its own grid.
    grid : VolumeGeometry
        The picture, shape (1, rows, columns).

    Returns
    -------
    str
        SVG path in mm from the top left corner of the picture, empty where it misses.
    """
    from contourpy import contour_generator

    _, rows, columns = grid.shape
    extent_mm = np.array([rows, columns]) * grid.spacing_mm[1:]
    count = np.ceil(extent_mm / _OUTLINE_STEP_MM).astype(int) + 1
    coarse = VolumeGeometry.from_axes(
        origin_lps_mm=grid.to_lps((0.0, -0.5, -0.5)),
        axes=grid.axes,
        spacing_mm=(1.0, _OUTLINE_STEP_MM, _OUTLINE_STEP_MM),
        shape=(1, int(count[0]), int(count[1])),
    )
    to_region = np.linalg.inv(region.geometry.index_to_lps) @ coarse.index_to_lps
    values = ndimage.affine_transform(
        region.inside,
        to_region[:3, :3],
        offset=to_region[:3, 3],
        output_shape=coarse.shape,
        order=1,
        output=np.float32,
    )[0]
    if values.max() < 0.5:
        return ""
    lines = contour_generator(z=np.pad(values, 1)).lines(0.5)
    return _svg_path(
        [(np.asarray(line) - 1.0) * _OUTLINE_STEP_MM for line in lines], extent_mm
    )


def _picture(
    cut: Cut,
    window: tuple[float, float],
    regions: Sequence[Region],
    settings: ReportSettings,
) -> Picture:
    """Sample, encode and outline one cut."""
    count = cut.stack.volume.geometry.shape[0]
    paths = [(region.name, outline_path(region, cut.grid)) for region in regions]
    return Picture(
        image_uri=encode_jpeg(sample_image(cut), window, quality=settings.jpeg_quality),
        width_mm=settings.field_of_view_mm,
        height_mm=settings.field_of_view_mm,
        letters=cut.letters,
        plane=cut.plane.value,
        contrast=cut.series.sequence.value,
        description=cut.series.description,
        slice_text=(
            "reformatted"
            if cut.slice_index is None
            else f"slice {cut.slice_index + 1} of {count}"
        ),
        outlines=tuple(Outline(name=name, path=path) for name, path in paths if path),
    )


def _stacks_in_view(
    study: Study,
    center_lps_mm: NDArray[np.float64],
    contrast: Contrast | None,
    series_used: Sequence[str],
) -> list[tuple[Series, Stack]]:
    """Find the stacks that hold the joint, those of the graded contrast first."""
    wanted = [s for s in study.series if s.uid in series_used] or list(study.series)
    stacks = [
        (series, stack)
        for series in wanted
        for stack in series.stacks
        if stack.volume.geometry.contains(center_lps_mm)
    ]
    return sorted(stacks, key=lambda pair: _rank(pair[0], contrast))


def _rank(series: Series, contrast: Contrast | None) -> tuple[bool, bool]:
    """Order series: the graded contrast, then any that shows edema."""
    return series.sequence is not contrast, not series.sequence.shows_edema


def _best_for(
    plane: Plane,
    stacks: list[tuple[Series, Stack]],
    center_lps_mm: NDArray[np.float64],
    size_mm: float,
) -> tuple[Series, Stack]:
    """Choose the stack to reformat: one that fills the picture, then the sharpest.

    Only stacks of the first contrast are considered.
    """
    lead = stacks[0][0].sequence

    def order(pair: tuple[Series, Stack]) -> tuple[bool, float]:
        filled = coverage(pair[1], center_lps_mm, plane, size_mm=size_mm)
        return filled < _FILLED, sharpness_mm(pair[1], plane)

    return min((pair for pair in stacks if pair[0].sequence is lead), key=order)


def _svg_path(
    lines_mm: Iterable[NDArray[np.float64]], extent_mm: NDArray[np.float64]
) -> str:
    """Write closed curves of (column, row) points, cut off at the picture's edge."""
    parts = []
    for line in lines_mm:
        points = np.clip(line, 0.0, extent_mm[::-1])
        steps = " ".join(f"{x:.2f},{y:.2f}" for x, y in points[:-1].tolist())
        parts.append(f"M{steps}Z")
    return "".join(parts)
