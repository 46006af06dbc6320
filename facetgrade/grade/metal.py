"""Signal voids as metal leaves them: thick, compact, and not of fluid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.settings import MetalSettings
from facetgrade.study import Sequence as Contrast
from facetgrade.study import Series, Stack, Study

_SMOOTHING_MM = 0.6

Point = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SignalVoid:
    """The largest void within reach of a joint.

    Attributes
    ----------
    width_mm : float
        Diameter of the largest disc in the plane of the slices that is all void.
    area_mm2 : float
        Area of the void in that slice.
    distance_mm : float
        From the middle of that disc to the joint.
    center_lps_mm : (3,) float64 ndarray
        Middle of that disc.
    sequence : Sequence
        Contrast on which it was measured.
    """

    width_mm: float
    area_mm2: float
    distance_mm: float
    center_lps_mm: Point
    sequence: Contrast

    def size(self, settings: MetalSettings) -> float:
        """Compare with the smallest metal: below 1 it is too thin or too small."""
        wide = self.width_mm / settings.minimum_width_mm
        return min(wide, self.area_mm2 / settings.minimum_area_mm2)


@dataclass(frozen=True, eq=False, slots=True)
class _Block:
    """Part of a stack around a joint, and the level of its dark tissues."""

    values: NDArray[np.float32]
    geometry: VolumeGeometry
    sequence: Contrast
    dark_tissue: float


def largest_voids(
    study: Study, centers_lps_mm: Sequence[Point], settings: MetalSettings
) -> tuple[SignalVoid | None, ...]:
    """Measure the largest void near each joint that no other contrast contradicts.

    A void is darker than a share of the dark tissues around the joints of the study,
    mostly muscle. It is measured on T1 and PD alone: on T2 and with fat suppression,
    muscle itself is hardly above a void. Fluid can be dark on T1; what is bright on T2
    is none.

    Parameters
    ----------
    study : Study
        Images.
    centers_lps_mm : sequence of (3,) float64 ndarray
        Joint centers.
    settings : MetalSettings
        Reach and thresholds.

    Returns
    -------
    tuple of SignalVoid or None
        One per joint; None where nothing is dark, or neither T1 nor PD shows the joint.
    """
    showing = _series_of(study, Contrast.T1, Contrast.PD)
    fluid = _series_of(study, Contrast.T2) or _series_of(study, Contrast.T2_FS)
    blocks = {
        series: _blocks(series, centers_lps_mm, settings)
        for series in {*showing, *fluid}
    }
    return tuple(
        _largest(
            [block for series in showing for block in blocks[series][k]],
            [block for series in fluid for block in blocks[series][k]],
            center,
            settings,
        )
        for k, center in enumerate(centers_lps_mm)
    )


def _series_of(study: Study, *sequences: Contrast) -> tuple[Series, ...]:
    """List the series of some contrasts."""
    return tuple(series for series in study.series if series.sequence in sequences)


def _blocks(
    series: Series, centers_lps_mm: Sequence[Point], settings: MetalSettings
) -> list[list[_Block]]:
    """Cut a series around every joint; the dark tissues are those of all joints."""
    cut = [
        [c for stack in series.stacks if (c := _cut(stack, center, settings))]
        for center in centers_lps_mm
    ]
    values = [values.ravel() for around in cut for values, _ in around]
    if not values:
        return [[] for _ in centers_lps_mm]
    level = float(
        np.percentile(np.concatenate(values), settings.dark_tissue_percentile)
    )
    return [
        [
            _Block(values, geometry, series.sequence, level)
            for values, geometry in around
        ]
        for around in cut
    ]


def _cut(
    stack: Stack, center: Point, settings: MetalSettings
) -> tuple[NDArray[np.float32], VolumeGeometry] | None:
    """Cut the surroundings of a joint out of a stack that covers it."""
    geometry = stack.volume.geometry
    if not geometry.contains(center):
        return None
    middle = np.rint(geometry.to_index(center)).astype(int)
    margin = np.ceil(settings.surroundings_mm / geometry.spacing_mm).astype(int)
    low = np.clip(middle - margin, 0, geometry.shape)
    high = np.clip(middle + margin + 1, 0, geometry.shape)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    in_plane = _SMOOTHING_MM / geometry.spacing_mm[1:]
    values = ndimage.gaussian_filter(stack.volume.voxels[box], (0.0, *in_plane))
    corner = (int(low[0]), int(low[1]), int(low[2]))
    size = (values.shape[0], values.shape[1], values.shape[2])
    return values, geometry.crop(corner, size)


def _largest(
    showing: Iterable[_Block],
    fluid: Sequence[_Block],
    center: Point,
    settings: MetalSettings,
) -> SignalVoid | None:
    """Find the largest void that is not fluid."""
    found = [void for block in showing for void in _voids(block, center, settings)]
    for void in sorted(found, key=lambda void: -void.size(settings)):
        if not any(_is_bright(block, void.center_lps_mm, settings) for block in fluid):
            return void
    return None


def _voids(
    block: _Block, center: Point, settings: MetalSettings
) -> Iterator[SignalVoid]:
    """Yield the widest disc of every void of every slice within reach."""
    spacing_mm = block.geometry.spacing_mm[1:]
    away_mm = np.linalg.norm(block.geometry.voxel_centers_lps_mm() - center, axis=-1)
    dark = block.values < settings.void_level * block.dark_tissue
    for k in np.flatnonzero((dark & (away_mm <= settings.reach_mm)).any(axis=(1, 2))):
        # A void that leaves the block goes on beyond it.
        padded = np.pad(dark[k], 1, mode="edge")
        depth_mm = ndimage.distance_transform_edt(padded, sampling=spacing_mm)
        depth_mm = np.where(away_mm[k] <= settings.reach_mm, depth_mm[1:-1, 1:-1], 0.0)
        labels, count = ndimage.label(dark[k])
        peaks = ndimage.maximum_position(depth_mm, labels, range(1, count + 1))
        areas_mm2 = np.bincount(labels.ravel()) * float(np.prod(spacing_mm))
        for row, column in peaks:
            if depth_mm[row, column] > 0.0:
                yield SignalVoid(
                    width_mm=2.0 * float(depth_mm[row, column]),
                    area_mm2=float(areas_mm2[labels[row, column]]),
                    distance_mm=float(away_mm[k, row, column]),
                    center_lps_mm=block.geometry.to_lps((k, row, column)),
                    sequence=block.sequence,
                )


def _is_bright(block: _Block, point: Point, settings: MetalSettings) -> bool:
    """Tell whether most of the tissue around a point is brighter than muscle."""
    if not block.geometry.contains(point):
        return False
    nearest = round(float(block.geometry.to_index(point)[0]))
    plane = block.geometry.crop((nearest, 0, 0), (1, *block.geometry.shape[1:]))
    offset_mm = np.linalg.norm(plane.voxel_centers_lps_mm()[0] - point, axis=-1)
    # The nearest slice may be half a slice away.
    near = offset_mm <= offset_mm.min() + settings.bright_radius_mm
    bright = block.values[nearest][near] > block.dark_tissue
    return float(bright.mean()) > settings.bright_share
