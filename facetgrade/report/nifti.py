"""Masks as NIfTI label maps in the space of the series they were drawn on.

NIfTI counts (x, y, z) = (column, row, slice) and its world is RAS: the axes are turned
and the signs of x and y flipped here, nothing else.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.findings import JointMasks, Outcome
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.atomic import write_bytes, write_text
from facetgrade.study import Series, Study

Block = tuple[slice, slice, slice]
LabelsOf = Callable[[FacetJoint, JointMasks, VolumeGeometry], NDArray[np.uint8]]

LABELS_PER_JOINT = 20
LESION_OFFSET = 12

_MASK_PROBABILITY = 0.5
_OTHER_AXES = ((1, 2), (0, 2), (0, 1))
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_INDEX_TO_XYZ = np.eye(4)[[2, 1, 0, 3]]
_SCANNER_ANATOMICAL = 1


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LabelMap:
    """Labels of all joints on one grid; 0 is background."""

    geometry: VolumeGeometry
    voxels: NDArray[np.uint8]


def joint_number(joint: FacetJoint) -> int:
    """Return 0 for L1-L2 left up to 9 for L5-S1 right, the same in every study."""
    return 2 * list(Level).index(joint.level) + list(Side).index(joint.side)


def structure_label(joint: FacetJoint, structure: Structure) -> int:
    """Return the label of a structure: 20 per joint, structures 1-12."""
    return LABELS_PER_JOINT * joint_number(joint) + int(structure)


def lesion_label(joint: FacetJoint, lesion: Lesion) -> int:
    """Return the label of a lesion: 20 per joint, lesions 13-16."""
    rank = 1 + list(Lesion).index(lesion)
    return LABELS_PER_JOINT * joint_number(joint) + LESION_OFFSET + rank


def write_masks(
    folder: Path, study: Study, outcomes: Sequence[Outcome]
) -> dict[str, list[str]]:
    """Write all masks of a study.

    For every stack on which a joint was read: one map of structures and one of
    lesions, because edema of marrow lies within bone. A voxel has the label that its
    center has: thin fluid can fall between thick slices, so the same maps are written
    for every joint on its own fine grid, on which the extents were measured.
    ``labels.tsv`` explains the numbers. File names end in ``_seg``, so that they are
    never taken for images.

    Parameters
    ----------
    folder : Path
        Folder of the study; the masks go into its folder ``masks``.
    study : Study
        Gives the grids.
    outcomes : sequence of Outcome
        Give the masks.

    Returns
    -------
    dict of str to list of str
        Series uid to the names of its files relative to `folder`, and ``joints`` and
        ``labels``.
    """
    drawn = [outcome for outcome in outcomes if outcome.masks is not None]
    if not drawn:
        return {}
    written: dict[str, list[str]] = {}
    for number, series in enumerate(study.series, start=1):
        read = [o for o in drawn if series.uid in o.series_used]
        for name, label_map in _series_maps(number, series, read):
            write_bytes(folder / name, nifti_bytes(label_map))
            written.setdefault(series.uid, []).append(name)
    for name, label_map in _joint_maps(drawn):
        write_bytes(folder / name, nifti_bytes(label_map))
        written.setdefault("joints", []).append(name)
    write_text(folder / "masks" / "labels.tsv", _label_table(drawn))
    return written | {"labels": ["masks/labels.tsv"]}


def nifti_bytes(label_map: LabelMap, *, scale: float = 1.0) -> bytes:
    """Encode a label map as compressed NIfTI-1 with exact geometry.

    Parameters
    ----------
    label_map : LabelMap
        On any grid; a sheared or left-handed one is kept by the sform.
    scale : float
        What a stored 1 stands for, written as scl_slope.

    Returns
    -------
    bytes
        Content of a ``.nii.gz`` file; the same for the same map.
    """
    import nibabel

    affine = ras_affine(label_map.geometry)
    make: Any = nibabel.Nifti1Image
    image = make(label_map.voxels.transpose(2, 1, 0), affine)
    image.set_sform(affine, code=_SCANNER_ANATOMICAL)
    image.set_qform(affine, code=_SCANNER_ANATOMICAL)
    image.header.set_xyzt_units("mm")
    if scale != 1.0:
        image.header.set_slope_inter(scale, 0.0)
    content: bytes = image.to_bytes()
    return gzip.compress(content, compresslevel=1, mtime=0)


def ras_affine(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """Map (column, row, slice) to RAS mm, as NIfTI wants it."""
    affine: NDArray[np.float64] = _LPS_TO_RAS @ geometry.index_to_lps @ _INDEX_TO_XYZ
    return affine


def lps_geometry(
    affine: NDArray[np.float64], shape: tuple[int, int, int]
) -> VolumeGeometry:
    """Return the grid of a NIfTI file, the inverse of `ras_affine`.

    Parameters
    ----------
    affine : (4, 4) float64 ndarray
        Maps (column, row, slice) to RAS mm.
    shape : tuple of int
        Number of voxels along (slice, row, column).
    """
    index_to_lps = np.linalg.inv(_LPS_TO_RAS) @ affine @ np.linalg.inv(_INDEX_TO_XYZ)
    return VolumeGeometry(shape=shape, index_to_lps=index_to_lps)


def structure_map(
    geometry: VolumeGeometry, outcomes: Sequence[Outcome]
) -> LabelMap | None:
    """Draw the structures of joints on a grid; the nearest joint wins.

    Returns
    -------
    LabelMap or None
        None where nothing falls on the grid.
    """
    return _label_map(geometry, outcomes, _structure_labels)


def lesion_map(
    geometry: VolumeGeometry, outcomes: Sequence[Outcome]
) -> LabelMap | None:
    """Draw the lesions of joints on a grid, from probability 0.5; see `structure_map`.

    Where two lesions of a joint meet, the later of `Lesion` wins.
    """
    return _label_map(geometry, outcomes, _lesion_labels)


def _series_maps(
    number: int, series: Series, outcomes: Sequence[Outcome]
) -> Iterator[tuple[str, LabelMap]]:
    """Draw the maps of one series, with file names relative to the study's folder."""
    if not outcomes:
        return
    for k, stack in enumerate(series.stacks, start=1):
        stem = f"masks/{number:02d}_{series.sequence.value}_{series.plane.value}"
        stem += f"_stack{k}" if len(series.stacks) > 1 else ""
        for kind, draw in (("structures", structure_map), ("lesions", lesion_map)):
            label_map = draw(stack.volume.geometry, outcomes)
            if label_map is not None:
                yield f"{stem}_{kind}_seg.nii.gz", label_map


def _joint_maps(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, LabelMap]]:
    """Draw every joint on its own grid."""
    for outcome in outcomes:
        if outcome.masks is None:
            continue
        stem = f"masks/joint_{outcome.joint.level}_{outcome.joint.side}"
        for kind, draw in (("structures", structure_map), ("lesions", lesion_map)):
            label_map = draw(outcome.masks.geometry, [outcome])
            if label_map is not None:
                yield f"{stem}_{kind}_seg.nii.gz", label_map


def _label_map(
    geometry: VolumeGeometry, outcomes: Sequence[Outcome], labels_of: LabelsOf
) -> LabelMap | None:
    """Draw joints one by one; where two overlap the nearer center wins."""
    reached = [
        (outcome.joint, outcome.masks, block)
        for outcome in outcomes
        if outcome.masks is not None
        and (block := _common_block(geometry, outcome.masks.geometry)) is not None
    ]
    if not reached:
        return None
    union = _union([block for _, _, block in reached])
    labels = np.zeros(_crop(geometry, union).shape, np.uint8)
    nearest_mm2 = np.full(labels.shape, np.inf, np.float32)
    for joint, masks, block in reached:
        grid = _crop(geometry, block)
        own = labels_of(joint, masks, grid)
        drawn = np.nonzero(own)
        offset_mm = grid.to_lps(np.stack(drawn, -1)) - masks.geometry.center_lps_mm
        distance_mm2 = (offset_mm**2).sum(axis=-1)
        place = _within(block, union)
        nearer = distance_mm2 < nearest_mm2[place][drawn]
        wins = tuple(index[nearer] for index in drawn)
        labels[place][wins] = own[wins]
        nearest_mm2[place][wins] = distance_mm2[nearer]
    if not labels.any():
        return None
    voxels = np.zeros(geometry.shape, np.uint8)
    voxels[union] = labels
    return LabelMap(geometry=geometry, voxels=voxels)


def _union(blocks: Sequence[Block]) -> Block:
    """Bound several blocks."""
    first, second, third = (
        slice(min(part.start for part in parts), max(part.stop for part in parts))
        for parts in zip(*blocks, strict=True)
    )
    return first, second, third


def _within(block: Block, outer: Block) -> Block:
    """Count a block from the start of an outer one."""
    first, second, third = (
        slice(part.start - whole.start, part.stop - whole.start)
        for part, whole in zip(block, outer, strict=True)
    )
    return first, second, third


def _crop(geometry: VolumeGeometry, block: Block) -> VolumeGeometry:
    """Return the grid of a block."""
    slices, rows, columns = block
    return geometry.crop(
        (slices.start, rows.start, columns.start),
        (
            slices.stop - slices.start,
            rows.stop - rows.start,
            columns.stop - columns.start,
        ),
    )


def _common_block(geometry: VolumeGeometry, joint_grid: VolumeGeometry) -> Block | None:
    """Bound the voxels of `geometry` that the joint grid can reach."""
    ends = [(-0.5, n - 0.5) for n in joint_grid.shape]
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    index = geometry.to_index(joint_grid.to_lps(corners))
    start = np.maximum(np.ceil(index.min(axis=0)), 0).astype(int)
    last = np.minimum(np.floor(index.max(axis=0)), np.array(geometry.shape) - 1)
    if (start > last).any():
        return None
    first, second, third = (
        slice(int(a), int(b) + 1) for a, b in zip(start, last, strict=True)
    )
    return first, second, third


def _structure_labels(
    joint: FacetJoint, masks: JointMasks, grid: VolumeGeometry
) -> NDArray[np.uint8]:
    """Take the structure at every voxel center."""
    codes = _sample(masks.structures, masks.geometry, grid, order=0)
    first = np.uint8(structure_label(joint, Structure.SOFT_TISSUE))
    return np.where(codes > 0, codes + first, 0).astype(np.uint8)


def _lesion_labels(
    joint: FacetJoint, masks: JointMasks, grid: VolumeGeometry
) -> NDArray[np.uint8]:
    """Take the lesion at every voxel center, where its probability is at least 0.5."""
    labels = np.zeros(grid.shape, np.uint8)
    for lesion in Lesion:
        box = _bounding_block(masks.lesions.get(lesion))
        if box is None:
            continue
        source = _crop(masks.geometry, box)
        block = _common_block(grid, source)
        if block is None:
            continue
        probability = masks.lesions[lesion][box]
        sampled = _sample(probability, source, _crop(grid, block), order=1)
        labels[block][sampled >= _MASK_PROBABILITY] = lesion_label(joint, lesion)
    return labels


def _bounding_block(
    probability: NDArray[np.float32] | None,
) -> Block | None:
    """Bound a lesion with one voxel around it; None where there is none."""
    if probability is None:
        return None
    inside = probability >= _MASK_PROBABILITY
    if not inside.any():
        return None
    first, second, third = (
        slice(max(int(found[0]) - 1, 0), min(int(found[-1]) + 2, size))
        for found, size in zip(
            (np.flatnonzero(inside.any(axis=others)) for others in _OTHER_AXES),
            inside.shape,
            strict=True,
        )
    )
    return first, second, third


def _sample(
    values: NDArray[Any], source: VolumeGeometry, target: VolumeGeometry, *, order: int
) -> NDArray[Any]:
    """Interpolate at the voxel centers of a grid, 0 outside."""
    to_source = np.linalg.inv(source.index_to_lps) @ target.index_to_lps
    if source.shape == target.shape and np.allclose(to_source, np.eye(4), atol=1e-6):
        return values
    result: NDArray[Any] = ndimage.affine_transform(
        values,
        to_source[:3, :3],
        offset=to_source[:3, 3],
        output_shape=target.shape,
        order=order,
        mode="grid-constant",
        output=values.dtype,
    )
    return result


def _label_table(outcomes: Sequence[Outcome]) -> str:
    """Write what each number means, tab separated."""
    lines = ["label\tlevel\tside\tkind\tname"]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.joint):
        joint = outcome.joint
        place = f"{joint.level.value}\t{joint.side.value}"
        for structure in Structure:
            if structure is not Structure.SOFT_TISSUE:
                label = structure_label(joint, structure)
                name = structure.name.lower()
                lines.append(f"{label}\t{place}\tstructure\t{name}")
        for lesion in Lesion:
            label = lesion_label(joint, lesion)
            lines.append(f"{label}\t{place}\tlesion\t{lesion.value}")
    return "\n".join(lines) + "\n"
