"""The neighborhood of one joint, cut from the scene and put back after painting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.interpolate import BSpline

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.scene import Scene, SceneGrid

HALF_EXTENT_MM = (21.0, 25.0, 25.0)
_MEASURED_EXTENT_MM = (29.0, 32.0, 32.0)

Field = NDArray[np.float32]
Window = tuple[slice, slice, slice]
Number = TypeVar("Number", bound=np.generic)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointRegion:
    """Writable copies of the labels around one joint, with joint coordinates.

    Attributes
    ----------
    window : tuple of slice
        Where the block lies in the column.
    geometry : VolumeGeometry
        Grid of the block.
    tissue, structure, vertebra : (S, R, C) uint8 ndarray
        Labels, changed in place by the painters.
    lesions : dict of Lesion to (S, R, C) float32 ndarray
        Fractions 0-1, changed in place by the painters.
    height_mm, posterior_mm, lateral_mm : (S, R, C) float32 ndarray
        Position relative to the joint center along the axes of its frame.
    """

    window: Window
    geometry: VolumeGeometry
    tissue: NDArray[np.uint8]
    structure: NDArray[np.uint8]
    vertebra: NDArray[np.uint8]
    lesions: dict[Lesion, Field]
    height_mm: Field
    posterior_mm: Field
    lateral_mm: Field

    @property
    def voxel_mm(self) -> float:
        """Edge length of the isotropic voxels."""
        return float(self.geometry.spacing_mm.mean())

    def labeled(self, name: str, labels: Iterable[int]) -> NDArray[np.bool_]:
        """Tell which voxels of `tissue` or `structure` carry one of `labels`."""
        table = np.zeros(256, bool)
        table[[int(label) for label in labels]] = True
        voxels: NDArray[np.uint8] = getattr(self, name)
        return np.asarray(table[voxels])


def cut_region(
    scene: Scene, frame: JointFrame, half_extent_mm: tuple[float, float, float]
) -> JointRegion:
    """Copy the block of the column around a joint.

    Parameters
    ----------
    scene : Scene
        Simulated patient.
    frame : JointFrame
        Position and axes of the joint.
    half_extent_mm : tuple of float
        Half size of the block along (slice, row, column) of the column.

    Returns
    -------
    JointRegion
        Writable copies, smaller where the column ends.
    """
    window = _window(scene.column.geometry, frame.center_lps_mm, half_extent_mm)
    start = (window[0].start, window[1].start, window[2].start)
    tissue = scene.column.tissue[window].copy()
    geometry = scene.column.geometry.crop(start, tissue.shape)
    return JointRegion(
        window=window,
        geometry=geometry,
        tissue=tissue,
        structure=scene.column.structure[window].copy(),
        vertebra=scene.column.vertebra[window].copy(),
        lesions={
            lesion: scene.column.lesions[lesion][window].copy()
            if lesion in scene.column.lesions
            else np.zeros(tissue.shape, np.float32)
            for lesion in Lesion
        },
        height_mm=_coordinate(geometry, frame.center_lps_mm, frame.cranial),
        posterior_mm=_coordinate(geometry, frame.center_lps_mm, frame.posterior),
        lateral_mm=_coordinate(geometry, frame.center_lps_mm, frame.lateral),
    )


def copy_grid(grid: SceneGrid) -> SceneGrid:
    """Copy a grid with all its labels and lesions, to be painted in place."""
    return SceneGrid(
        geometry=grid.geometry,
        tissue=grid.tissue.copy(),
        structure=grid.structure.copy(),
        vertebra=grid.vertebra.copy(),
        lesions={lesion: fraction.copy() for lesion, fraction in grid.lesions.items()},
    )


def local_scene(
    scene: Scene, column: SceneGrid, joint: FacetJoint
) -> tuple[Scene, Window]:
    """Return a scene whose column is a view of the part that one joint is measured on.

    Parameters
    ----------
    scene : Scene
        The whole patient.
    column : SceneGrid
        Column to view instead of that of the scene.
    joint : FacetJoint
        Joint in the middle.

    Returns
    -------
    Scene, tuple of slice
        The scene, and where its column lies in the whole.
    """
    center = scene.joints[joint].center_lps_mm
    window = _window(column.geometry, center, _MEASURED_EXTENT_MM)
    tissue = column.tissue[window]
    start = (window[0].start, window[1].start, window[2].start)
    block = SceneGrid(
        geometry=column.geometry.crop(start, tissue.shape),
        tissue=tissue,
        structure=column.structure[window],
        vertebra=column.vertebra[window],
        lesions={lesion: f[window] for lesion, f in column.lesions.items()},
    )
    return replace(scene, column=block), window


def paste_block(column: SceneGrid, window: Window, block: SceneGrid) -> SceneGrid:
    """Write a painted block into a column, in place; return it with new lesions."""
    for name in ("tissue", "structure", "vertebra"):
        getattr(column, name)[window] = getattr(block, name)
    lesions = dict(column.lesions)
    for lesion, fraction in block.lesions.items():
        if lesion not in lesions:
            lesions[lesion] = np.zeros(column.tissue.shape, np.float32)
        lesions[lesion][window] = fraction
    return replace(column, lesions=lesions)


def own_side_mm(region: JointRegion, scene: Scene, joint: FacetJoint) -> Field:
    """Measure how far voxels lie on this joint's side of the other joints.

    Parameters
    ----------
    region : JointRegion
        The block.
    scene : Scene
        Joints of the patient.
    joint : FacetJoint
        Joint of the block.

    Returns
    -------
    (S, R, C) float32 ndarray
        Distance to the nearest plane halfway to another joint, negative beyond it,
        infinite without other joints.
    """
    own = scene.joints[joint].center_lps_mm
    nearest = np.full(region.tissue.shape, np.inf, np.float32)
    for other, frame in scene.joints.items():
        if other == joint:
            continue
        toward = frame.center_lps_mm - own
        length_mm = float(np.linalg.norm(toward))
        beyond = _coordinate(region.geometry, own, toward / length_mm)
        np.minimum(nearest, length_mm / 2.0 - beyond, out=nearest)
    return nearest


def put_region(scene: Scene, region: JointRegion) -> Scene:
    """Return the scene with a painted block in place of the old one."""
    column = scene.column
    lesions = dict(column.lesions)
    for lesion, fraction in region.lesions.items():
        before = lesions.get(lesion)
        if before is None and not fraction.any():
            continue
        if before is None:
            before = np.zeros(column.tissue.shape, np.float32)
        lesions[lesion] = _pasted(before, region.window, fraction)
    painted = SceneGrid(
        geometry=column.geometry,
        tissue=_pasted(column.tissue, region.window, region.tissue),
        structure=_pasted(column.structure, region.window, region.structure),
        vertebra=_pasted(column.vertebra, region.window, region.vertebra),
        lesions=lesions,
    )
    return replace(scene, column=painted)


def distance_mm(mask: NDArray[np.bool_], voxel_mm: float) -> Field:
    """Return the distance of every voxel from a mask, far away where it is empty."""
    if not mask.any():
        return np.full(mask.shape, 1e3, np.float32)
    distance = ndimage.distance_transform_edt(~mask)
    return np.asarray(distance * voxel_mm, np.float32)


def smooth_noise(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    grain: tuple[float, ...],
) -> Field:
    """Draw a smooth random field of mean 0 and standard deviation about 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    shape : tuple of int
        Shape of the field.
    grain : tuple of float
        Distance of independent values along each axis, in voxels.
    """
    weights = [_spline_weights(n, g) for n, g in zip(shape, grain, strict=True)]
    field = rng.standard_normal([w.shape[1] for w in weights]).astype(np.float32)
    for axis, weight in enumerate(weights):
        field = np.moveaxis(np.tensordot(weight, field, axes=(1, axis)), 0, axis)
    # A cubic B-spline of white noise has the variance 0.4794 per axis.
    return np.asarray(field / np.float32(0.4794 ** (len(shape) / 2)), np.float32)


def _spline_weights(count: int, grain: float) -> Field:
    """Cubic B-spline weights of `count` positions on knots `grain` apart."""
    positions = np.arange(count) / max(grain, 1.0)
    knots = np.arange(-3, int(positions[-1]) + 6, dtype=float)
    design = BSpline.design_matrix(positions, knots, 3)
    return np.asarray(design.toarray(), np.float32)


def _window(
    geometry: VolumeGeometry,
    center_lps_mm: NDArray[np.float64],
    half_extent_mm: tuple[float, float, float],
) -> Window:
    """Return the index block around a point, clipped to the grid."""
    middle = geometry.to_index(center_lps_mm)
    half = np.asarray(half_extent_mm) / geometry.spacing_mm
    start = np.maximum(np.floor(middle - half), 0).astype(int)
    stop = np.minimum(np.ceil(middle + half) + 1, geometry.shape).astype(int)
    if (stop <= start).any():
        raise ValueError(f"joint at {center_lps_mm} mm lies outside the column")
    slices = [slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)]
    return slices[0], slices[1], slices[2]


def _coordinate(
    geometry: VolumeGeometry,
    origin_lps_mm: NDArray[np.float64],
    direction: NDArray[np.float64],
) -> Field:
    """Return the position of every voxel along a direction, from an origin."""
    steps = direction @ geometry.index_to_lps[:3, :3]
    first = float(direction @ (geometry.to_lps((0, 0, 0)) - origin_lps_mm))
    parts = [np.arange(n) * s for n, s in zip(geometry.shape, steps, strict=True)]
    field = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
    return np.asarray(field + first, np.float32)


def _pasted(
    whole: NDArray[Number], window: Window, block: NDArray[Number]
) -> NDArray[Number]:
    """Return a copy of an array with one block replaced."""
    result = whole.copy()
    result[window] = block
    return result
