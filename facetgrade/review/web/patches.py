"""What a reader's browser gets of an image: a small block around one joint.

Every block has the same grid about the joint, the same kernel and the same neutral
header, whichever series and time point it comes from, so that nothing in it tells
which was acquired first.
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry, covered
from facetgrade.study import Plane, Stack, Study
from facetgrade.study import Sequence as Contrast

SPACING_MM = 0.6
SHAPE = (76, 100, 100)

_ORDER = 3
_MARGIN_VOXELS = 6
_PERCENTILES = (0.5, 99.8)
_MINIMUM_COVERED = 0.25
_COARSE = (9, 9, 9)
_CONTRASTS = (
    Contrast.T2_FS,
    Contrast.T1_FS_POST,
    Contrast.T2,
    Contrast.T1,
    Contrast.PD,
    Contrast.OTHER,
)
_PLANES = (Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL, Plane.OBLIQUE)
_HEADER_BYTES = 352
_UINT8 = 2
_ALIGNED = 2


@dataclass(frozen=True, slots=True)
class View:
    """One kind of series that a reader can choose.

    Attributes
    ----------
    contrast, plane : Sequence, Plane
        What it shows and how its slices lie.
    """

    contrast: Contrast
    plane: Plane

    @property
    def rank(self) -> tuple[int, int]:
        """Order on the page: contrasts that show edema first, axial first."""
        return _CONTRASTS.index(self.contrast), _PLANES.index(self.plane)


def patch_grid(frame: JointFrame) -> VolumeGeometry:
    """Lay the common grid of all blocks around a joint.

    Parameters
    ----------
    frame : JointFrame
        Where the joint is.

    Returns
    -------
    VolumeGeometry
        Indices grow (cranial, anterior, toward the patient's right).
    """
    right = -frame.lateral * np.sign(frame.lateral[0] or 1.0)
    return VolumeGeometry.centered(
        center_lps_mm=frame.center_lps_mm,
        axes=np.stack([frame.cranial, -frame.posterior, right]),
        spacing_mm=(SPACING_MM,) * 3,
        shape=SHAPE,
    )


def views_of(study: Study, grid: VolumeGeometry) -> tuple[View, ...]:
    """List the views that show a joint and enough around it, in the page's order."""
    points = grid.to_lps(np.indices(_COARSE).reshape(3, -1).T * _coarse_step())
    found = {View(series.sequence, series.plane) for series in study.series}
    shown = [
        view
        for view in found
        if _share([s.volume.geometry for s in _stacks(study, view, grid)], points)
        >= _MINIMUM_COVERED
    ]
    return tuple(sorted(shown, key=lambda view: view.rank))


def sample_view(study: Study, view: View, grid: VolumeGeometry) -> NDArray[np.uint8]:
    """Sample one view of a study on the common grid, scaled to 0-255.

    Parameters
    ----------
    study : Study
        Already moved to the common space.
    view : View
        Which series; of several the one with the finest slices.
    grid : VolumeGeometry
        From `patch_grid`.

    Returns
    -------
    (slice, row, column) uint8 ndarray
        0 where nothing was acquired.
    """
    values = np.zeros(grid.shape, np.float32)
    known = np.zeros(grid.shape, bool)
    for stack in _stacks(study, view, grid):
        wanted = covered(stack.volume.geometry, grid) & ~known
        if wanted.any():
            values[wanted] = _interpolate(stack, grid)[wanted]
            known |= wanted
    return _scaled(values, known)


def neutral_nifti(voxels: NDArray[np.uint8]) -> bytes:
    """Write a block as compressed NIfTI-1 that says nothing but shape and voxel size.

    The world of the file is the joint's own: its center is the origin and the axes of
    the grid are those of the file (right, anterior, cranial).

    Parameters
    ----------
    voxels : (slice, row, column) uint8 ndarray
        On a grid of `patch_grid`.

    Returns
    -------
    bytes
        gzip with time 0; the same for the same voxels.

    References
    ----------
    .. [1] nifti1.h, NIfTI-1 Data Format.
    """
    header = bytearray(_HEADER_BYTES)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, _UINT8, 8)
    struct.pack_into("<8f", header, 76, 1.0, *[SPACING_MM] * 3, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<fff", header, 108, float(_HEADER_BYTES), 1.0, 0.0)
    struct.pack_into("<B", header, 123, 2)
    struct.pack_into("<hh", header, 252, 0, _ALIGNED)
    middle_mm = [-SPACING_MM * (count - 1) / 2.0 for count in voxels.shape[::-1]]
    for row, offset_mm in enumerate(middle_mm):
        line = [0.0] * 3 + [offset_mm]
        line[row] = SPACING_MM
        struct.pack_into("<4f", header, 280 + 16 * row, *line)
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + voxels.tobytes(), compresslevel=1, mtime=0)


def _stacks(study: Study, view: View, grid: VolumeGeometry) -> list[Stack]:
    """Choose the stacks of one series, the one through the joint first."""
    center = grid.center_lps_mm
    found = [
        series
        for series in study.series
        if View(series.sequence, series.plane) == view
        and any(stack.volume.geometry.contains(center) for stack in series.stacks)
    ]
    if not found:
        return []
    series = min(found, key=lambda s: s.stacks[0].volume.geometry.voxel_volume_mm3)
    return sorted(
        series.stacks,
        key=lambda stack: (
            float(np.linalg.norm(stack.volume.geometry.center_lps_mm - center))
            * (1.0 if stack.volume.geometry.contains(center) else 1000.0)
        ),
    )


def _interpolate(stack: Stack, grid: VolumeGeometry) -> NDArray[np.float32]:
    """Interpolate a stack by cubic splines, reading only the block that is needed."""
    geometry = stack.volume.geometry
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T
    index = geometry.to_index(grid.to_lps(corners))
    last = np.asarray(geometry.shape) - 1
    start = np.clip(np.floor(index.min(axis=0)) - _MARGIN_VOXELS, 0, last).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + _MARGIN_VOXELS, start, last) + 1
    block = stack.volume.voxels[
        tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    ]
    to_source = np.linalg.inv(geometry.index_to_lps) @ grid.index_to_lps
    values: NDArray[np.float32] = ndimage.affine_transform(
        np.nan_to_num(block, posinf=0.0, neginf=0.0),
        to_source[:3, :3],
        offset=to_source[:3, 3] - start,
        output_shape=grid.shape,
        order=_ORDER,
        mode="nearest",
        output=np.float32,
    )
    return values


def _share(geometries: list[VolumeGeometry], points: NDArray[np.float64]) -> float:
    """Return the share of some points that lie within any of some grids."""
    inside = np.zeros(len(points), bool)
    for geometry in geometries:
        inside |= geometry.contains(points)
    return float(inside.mean())


def _coarse_step() -> NDArray[np.float64]:
    return (np.asarray(SHAPE) - 1.0) / (np.asarray(_COARSE) - 1.0)


def _scaled(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Map the darkest and brightest values of a block to 1 and 255."""
    if not known.any():
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[known][::7], _PERCENTILES)
    scaled = 1.0 + (values - low) * (254.0 / max(float(high - low), 1e-6))
    result: NDArray[np.uint8] = np.clip(np.rint(scaled), 1, 255).astype(np.uint8)
    result[~known] = 0
    return result
