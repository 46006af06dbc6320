"""The truth of one joint of a simulated patient, on any joint-aligned grid."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.findings import Extents, JointMasks, SequenceGrade
from facetgrade.geometry import VolumeGeometry, covered, resample
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import GradeSettings
from facetgrade.grade.window import window_around
from facetgrade.simulate.scene import Scene, SceneGrid
from facetgrade.study import Sequence

Value = TypeVar("Value", bound=np.generic)

FINE_SPACING_MM = (0.8, 0.4, 0.4)
FINE_SHAPE = (56, 122, 122)


def truth_joint_masks(
    scene: Scene,
    joint: FacetJoint,
    geometry: VolumeGeometry,
    *,
    sequence: Sequence = Sequence.T2_FS,
) -> JointMasks:
    """Resample the true structures and lesions onto a grid around one joint.

    A voxel takes the structure that fills most of it, and of every lesion the mean
    fraction over its volume. Voxels outside the scene are not in view.

    Parameters
    ----------
    scene : Scene
        Simulated patient, after `add_pathology`.
    joint : FacetJoint
        Joint of the scene.
    geometry : VolumeGeometry
        Target grid, usually ``scene.joints[joint].grid(...)``.
    sequence : Sequence
        Contrast written into the record.

    Returns
    -------
    JointMasks
        Labels and lesion fractions on `geometry`.

    Raises
    ------
    ValueError
        If the scene has no such joint.
    """
    if joint not in scene.joints:
        raise ValueError(f"joint must be one of the scene, got {joint}")
    subdivision = _subdivision(geometry, scene.column.geometry)
    fine = _subdivide(geometry, subdivision)
    inside = covered(scene.column.geometry, fine)
    structures = _sample(scene, "structure", fine, inside)
    return JointMasks(
        geometry=geometry,
        structures=_majority(structures, subdivision),
        lesions={
            lesion: _mean_fraction(scene, lesion, geometry, subdivision)
            for lesion in Lesion
        },
        in_view=covered(scene.body.geometry, geometry),
        sequence=sequence,
    )


def measure_truth(
    scene: Scene, joint: FacetJoint, settings: GradeSettings
) -> tuple[Extents, SequenceGrade]:
    """Measure and grade the truth of one joint with the rules of the grade stage.

    Parameters
    ----------
    scene : Scene
        Simulated patient, after `add_pathology`.
    joint : FacetJoint
        Joint of the scene.
    settings : GradeSettings
        Measurement and rules.

    Returns
    -------
    Extents, SequenceGrade
        What the joint truly shows, on a grid of about 0.8 x 0.4 x 0.4 mm.
    """
    return grade_masks(fine_truth_masks(scene, joint), settings)


def fine_truth_masks(scene: Scene, joint: FacetJoint) -> JointMasks:
    """Return the true structures and lesions on the grid on which truth is measured."""
    return truth_joint_masks(scene, joint, fine_joint_grid(scene, joint))


def grade_masks(
    masks: JointMasks, settings: GradeSettings
) -> tuple[Extents, SequenceGrade]:
    """Measure and grade masks with the rules of the grade stage."""
    extents = measure_extents(masks, settings.measure)
    return extents, apply_rules(extents, masks.sequence, settings)


def fine_joint_grid(scene: Scene, joint: FacetJoint) -> VolumeGeometry:
    """Return the grid of about 0.8 x 0.4 x 0.4 mm on which truth is measured."""
    return scene.joints[joint].grid(spacing_mm=FINE_SPACING_MM, shape=FINE_SHAPE)


def _subdivision(
    geometry: VolumeGeometry, source: VolumeGeometry
) -> tuple[int, int, int]:
    """Count the samples per voxel and axis that skip no source voxel."""
    step_mm = float(source.spacing_mm.max())
    counts = np.ceil(geometry.spacing_mm / step_mm - 0.25).astype(int)
    return (int(max(counts[0], 1)), int(max(counts[1], 1)), int(max(counts[2], 1)))


def _subdivide(
    geometry: VolumeGeometry, subdivision: tuple[int, int, int]
) -> VolumeGeometry:
    """Split every voxel into equal parts that fill it."""
    parts = np.asarray(subdivision)
    first = (1.0 / parts - 1.0) / 2.0
    return VolumeGeometry.from_axes(
        origin_lps_mm=geometry.to_lps(first),
        axes=geometry.axes,
        spacing_mm=geometry.spacing_mm / parts,
        shape=tuple(np.asarray(geometry.shape) * parts),
    )


def _sample(
    scene: Scene, name: str, target: VolumeGeometry, inside_column: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Take the nearest label of the column, and of the body outside the column."""

    def nearest(grid: SceneGrid, target: VolumeGeometry) -> NDArray[np.uint8]:
        labels = getattr(grid, name)
        return np.asarray(resample(labels, grid.geometry, target, order=0), np.uint8)

    labels = nearest(scene.column, target)
    if inside_column.all():
        return labels
    window = window_around(~inside_column, np.ones(3), 0.0)
    body = nearest(scene.body, _cropped(target, window))
    labels[window] = np.where(inside_column[window], labels[window], body)
    return labels


def _blocks(voxels: NDArray[Value], parts: tuple[int, int, int]) -> NDArray[Value]:
    """View the parts of each voxel along axes 1, 3 and 5."""
    shape = np.asarray(voxels.shape) // np.asarray(parts)
    return voxels.reshape(shape[0], parts[0], shape[1], parts[1], shape[2], parts[2])


def _majority(
    labels: NDArray[np.uint8], parts: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Return the most frequent label of every voxel, the higher one on a tie."""
    if parts == (1, 1, 1):
        return labels
    blocks = _blocks(labels, parts)
    if np.prod(parts) == 2:
        # Two samples agree or tie.
        return np.asarray(blocks.max(axis=(1, 3, 5)))
    present = [label for label in Structure if (labels == label).any()]
    winner = np.zeros(blocks.shape[::2], np.uint8)
    most = np.full(winner.shape, -1, np.int16)
    for label in present:
        votes = (blocks == label).sum(axis=(1, 3, 5), dtype=np.int16)
        better = votes >= np.maximum(most, 1)
        winner[better] = label
        most[better] = votes[better]
    return winner


def _mean_fraction(
    scene: Scene,
    lesion: Lesion,
    geometry: VolumeGeometry,
    parts: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Return the mean lesion fraction of every voxel."""
    mean = np.zeros(geometry.shape, np.float32)
    fraction = scene.column.lesions.get(lesion)
    if fraction is None:
        return mean
    near = _overlap(geometry, scene.column.geometry)
    touched = _touched_box(fraction[near], _cropped(scene.column.geometry, near))
    if touched is None:
        return mean
    cropped, source = touched
    window = _overlap(source, geometry)
    block = _cropped(geometry, window)
    if 0 not in block.shape:
        samples = resample(cropped, source, _subdivide(block, parts))
        mean[window] = _blocks(samples, parts).mean(axis=(1, 3, 5))
    return mean


def _cropped(
    geometry: VolumeGeometry, window: tuple[slice, slice, slice]
) -> VolumeGeometry:
    """Return the grid of a block of indices."""
    rows, columns = window[1], window[2]
    return geometry.crop(
        (window[0].start, rows.start, columns.start),
        (
            window[0].stop - window[0].start,
            rows.stop - rows.start,
            columns.stop - columns.start,
        ),
    )


def _overlap(
    source: VolumeGeometry, target: VolumeGeometry
) -> tuple[slice, slice, slice]:
    """Return the block of target voxels that one grid can touch."""
    ends = [(-0.5, n - 0.5) for n in source.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    index = target.to_index(source.to_lps(corners))
    start = np.clip(np.floor(index.min(axis=0)), 0, target.shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0)) + 1, start, target.shape).astype(int)
    bounds = [slice(int(a), int(b)) for a, b in zip(start, stop, strict=True)]
    return bounds[0], bounds[1], bounds[2]


def _touched_box(
    fraction: NDArray[np.float32], geometry: VolumeGeometry
) -> tuple[NDArray[np.float32], VolumeGeometry] | None:
    """Cut the smallest block that holds the lesion, one voxel of rim included."""
    if fraction.size == 0:
        return None
    lines = [(fraction.max(axis=axes) > 0.0) for axes in ((1, 2), (0, 2), (0, 1))]
    touched = [np.flatnonzero(line) for line in lines]
    if touched[0].size == 0:
        return None
    start = [max(int(t[0]) - 1, 0) for t in touched]
    stop = [
        min(int(t[-1]) + 2, n) for t, n in zip(touched, fraction.shape, strict=True)
    ]
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    cropped = np.ascontiguousarray(fraction[window])
    corner = (start[0], start[1], start[2])
    size = (cropped.shape[0], cropped.shape[1], cropped.shape[2])
    return cropped, geometry.crop(corner, size)
