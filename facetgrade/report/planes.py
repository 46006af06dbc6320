"""Planes to show: native slices and reformats, as a radiologist holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.study import Plane, Series, Stack

# Screen directions (down, right) in LPS: the patient's right on the viewer's left,
# the face up on axial slices and to the left on sagittal ones.
SCREEN = {
    Plane.AXIAL: ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    Plane.SAGITTAL: ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    Plane.CORONAL: ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0)),
}
_NORMAL_AXIS = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_MARGIN_VOXELS = 4


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Cut:
    """One picture plane through a stack.

    Attributes
    ----------
    grid : VolumeGeometry
        Shape (1, N, N): row index grows down the screen, column index to the right.
    plane : Plane
        Axial, sagittal or coronal, whichever is nearest.
    series, stack : Series, Stack
        Where the pixels come from.
    slice_index : int or None
        The slice that is shown as acquired; None for a reformat.
    """

    grid: VolumeGeometry
    plane: Plane
    series: Series
    stack: Stack
    slice_index: int | None

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Orientation letters of the top, right, bottom and left edge."""
        down, right = self.grid.axes[1], self.grid.axes[2]
        directions = (-down, right, down, -right)
        top, east, bottom, west = (direction_letters(d) for d in directions)
        return top, east, bottom, west


def direction_letters(direction: NDArray[np.float64]) -> str:
    """Name an LPS direction as viewers do: L R, P A, H F, the main one first.

    A second letter is added when the direction is tilted by more than about 20
    degrees.
    """
    order = np.argsort(-np.abs(direction))
    names = [_LETTERS[k][0 if direction[k] > 0 else 1] for k in order]
    return names[0] + (names[1] if abs(direction[order[1]]) > 0.34 else "")


def nearest_plane(geometry: VolumeGeometry) -> Plane:
    """Tell which plane the slices of a grid are nearest to."""
    return _NORMAL_AXIS[int(np.argmax(np.abs(geometry.axes[0])))]


def native_cut(
    series: Series,
    stack: Stack,
    center_lps_mm: NDArray[np.float64],
    *,
    size_mm: float,
    pixel_mm: float,
) -> Cut | None:
    """Choose the acquired slice through a point.

    Parameters
    ----------
    series, stack : Series, Stack
        Where to look.
    center_lps_mm : (3,) float64 ndarray
        The point, in the middle of the picture.
    size_mm, pixel_mm : float
        Side of the picture and of its pixels.

    Returns
    -------
    Cut or None
        None when the point is outside the stack.
    """
    geometry = stack.volume.geometry
    if not geometry.contains(center_lps_mm):
        return None
    index = geometry.to_index(center_lps_mm)
    index[0] = np.clip(round(float(index[0])), 0, geometry.shape[0] - 1)
    plane = nearest_plane(geometry)
    down, right = _screen_axes(geometry, plane)
    grid = _picture_grid(geometry.to_lps(index), (down, right), size_mm, pixel_mm)
    return Cut(
        grid=grid, plane=plane, series=series, stack=stack, slice_index=int(index[0])
    )


def reformatted_cut(
    series: Series,
    stack: Stack,
    center_lps_mm: NDArray[np.float64],
    plane: Plane,
    *,
    size_mm: float,
    pixel_mm: float,
) -> Cut:
    """Choose the patient's own plane through a point, interpolated between slices."""
    down, right = (np.asarray(axis) for axis in SCREEN[plane])
    grid = _picture_grid(center_lps_mm, (down, right), size_mm, pixel_mm)
    return Cut(grid=grid, plane=plane, series=series, stack=stack, slice_index=None)


def sharpness_mm(stack: Stack, plane: Plane) -> float:
    """Measure the coarsest voxel distance along the screen axes of a plane."""
    geometry = stack.volume.geometry
    screen = np.abs(np.asarray(SCREEN[plane]) @ geometry.axes.T)
    return float((screen * geometry.spacing_mm).sum(axis=1).max())


def coverage(
    stack: Stack, center_lps_mm: NDArray[np.float64], plane: Plane, *, size_mm: float
) -> float:
    """Measure how much of a picture around a point a stack fills, 0-1."""
    down, right = (np.asarray(axis) for axis in SCREEN[plane])
    grid = _picture_grid(center_lps_mm, (down, right), size_mm, size_mm / 12.0)
    return float(stack.volume.geometry.contains(grid.voxel_centers_lps_mm()).mean())


def sample_image(cut: Cut) -> NDArray[np.float32]:
    """Interpolate the pixels of a cut.

    Returns
    -------
    (N, N) float32 ndarray
        Values of the stack; its minimum outside, 0 where the file has no number.
    """
    volume = cut.stack.volume
    to_source = np.linalg.inv(volume.geometry.index_to_lps) @ cut.grid.index_to_lps
    start, stop = _covered_block(cut.grid, volume.geometry)
    block = volume.voxels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))]
    block = np.nan_to_num(block, posinf=0.0, neginf=0.0)
    offset = to_source[:3, 3] - start
    if cut.slice_index is not None:
        image: NDArray[np.float32] = ndimage.affine_transform(
            block[cut.slice_index - start[0]],
            to_source[1:3, 1:3],
            offset=offset[1:],
            output_shape=cut.grid.shape[1:],
            order=3,
            cval=float(block.min()),
            output=np.float32,
        )
        return image
    image = ndimage.affine_transform(
        block,
        to_source[:3, :3],
        offset=offset,
        output_shape=cut.grid.shape,
        order=1,
        cval=float(block.min()),
        output=np.float32,
    )[0]
    return image


def _screen_axes(
    geometry: VolumeGeometry, plane: Plane
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn and flip the in-plane axes of a stack the way the plane is shown."""
    down, right = (np.asarray(axis) for axis in SCREEN[plane])
    first, second = geometry.axes[1], geometry.axes[2]
    if abs(first @ down) < abs(second @ down):
        first, second = second, first
    return first * np.sign(first @ down), second * np.sign(second @ right)


def _picture_grid(
    center_lps_mm: NDArray[np.float64],
    screen: tuple[NDArray[np.float64], NDArray[np.float64]],
    size_mm: float,
    pixel_mm: float,
) -> VolumeGeometry:
    """Lay a square of pixels around a point."""
    down, right = screen
    side = round(size_mm / pixel_mm)
    return VolumeGeometry.centered(
        center_lps_mm=center_lps_mm,
        axes=(np.cross(down, right), down, right),
        spacing_mm=(1.0, pixel_mm, pixel_mm),
        shape=(1, side, side),
    )


def _covered_block(
    grid: VolumeGeometry, source: VolumeGeometry
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bound the indices of `source` that a picture needs, start and stop."""
    _, rows, columns = grid.shape
    corners = [(0, r, c) for r in (0, rows - 1) for c in (0, columns - 1)]
    index = source.to_index(grid.to_lps(corners))
    shape = np.asarray(source.shape)
    start = np.floor(index.min(axis=0)).astype(int) - _MARGIN_VOXELS
    stop = np.ceil(index.max(axis=0)).astype(int) + _MARGIN_VOXELS + 1
    start = np.clip(start, 0, shape - 1)
    return start, np.clip(stop, start + 1, shape)
