"""The truth of one joint of a simulated patient, on any joint-aligned grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.findings import Extents, JointMasks, SequenceGrade
from facetgrade.geometry import VolumeGeometry, resample
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.scene import Scene, SceneGrid
from facetgrade.study import Sequence

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
    inside = _inside(fine, scene.column.geometry)
    structures = _sample(scene, "structure", fine, inside)
    return JointMasks(
        geometry=geometry,
        structures=_majority(structures, subdivision),
        lesions={
            lesion: _mean_fraction(scene, lesion, geometry, fine, subdivision)
            for lesion in Lesion
        },
        in_view=np.asarray(_inside(geometry, scene.body.geometry)),
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
    masks = truth_joint_masks(scene, joint, fine_joint_grid(scene, joint))
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


def _inside(target: VolumeGeometry, source: VolumeGeometry) -> NDArray[np.bool_]:
    """Tell which target voxels have their center within the source grid."""
    affine = np.linalg.inv(source.index_to_lps) @ target.index_to_lps
    result = np.ones(target.shape, bool)
    steps = [np.arange(n, dtype=np.float32) for n in target.shape]
    for axis in range(3):
        index = (
            affine[axis, 3]
            + (affine[axis, 0] * steps[0])[:, None, None]
            + (affine[axis, 1] * steps[1])[None, :, None]
            + (affine[axis, 2] * steps[2])[None, None, :]
        )
        result &= (index >= -0.5) & (index <= source.shape[axis] - 0.5)
    return result


def _sample(
    scene: Scene, name: str, target: VolumeGeometry, inside_column: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """Take the nearest label of the column, and of the body outside the column."""

    def nearest(grid: SceneGrid) -> NDArray[np.uint8]:
        labels = getattr(grid, name)
        return np.asarray(resample(labels, grid.geometry, target, order=0), np.uint8)

    labels = nearest(scene.column)
    if inside_column.all():
        return labels
    return np.where(inside_column, labels, nearest(scene.body))


def _blocks(
    voxels: NDArray[np.generic], parts: tuple[int, int, int]
) -> NDArray[np.generic]:
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
    fine: VolumeGeometry,
    parts: tuple[int, int, int],
) -> NDArray[np.float32]:
    """Return the mean lesion fraction of every voxel."""
    fraction = scene.column.lesions.get(lesion)
    if fraction is None:
        return np.zeros(geometry.shape, np.float32)
    box = _touched_box(fraction, scene.column.geometry)
    if box is None:
        return np.zeros(geometry.shape, np.float32)
    cropped, source = box
    values = np.asarray(resample(cropped, source, fine), np.float32)
    if parts == (1, 1, 1):
        return values
    return np.asarray(_blocks(values, parts).mean(axis=(1, 3, 5)), np.float32)


def _touched_box(
    fraction: NDArray[np.float32], geometry: VolumeGeometry
) -> tuple[NDArray[np.float32], VolumeGeometry] | None:
    """Cut the smallest block that holds the lesion, one voxel of rim included."""
    found = ndimage.find_objects((fraction > 0).astype(np.int8))
    if not found or found[0] is None:
        return None
    start = [max(s.start - 1, 0) for s in found[0]]
    stop = [min(s.stop + 1, n) for s, n in zip(found[0], fraction.shape, strict=True)]
    window = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    cropped = np.ascontiguousarray(fraction[window])
    corner = (start[0], start[1], start[2])
    size = (cropped.shape[0], cropped.shape[1], cropped.shape[2])
    return cropped, geometry.crop(corner, size)
