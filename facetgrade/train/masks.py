"""Masks of readers: label maps and segmentation objects, onto any grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Structure
from facetgrade.errors import FacetGradeError, IngestError
from facetgrade.exchange.read_back import read_back
from facetgrade.exchange.segments import SegmentKind
from facetgrade.geometry import Mask, VolumeGeometry, covered, resample
from facetgrade.report.nifti import (
    LABELS_PER_JOINT,
    LESION_OFFSET,
    joint_number,
    lps_geometry,
)
from facetgrade.train.manifest import ALL_LESIONS, ALL_STRUCTURES, ManifestRow

HIGHEST_CODE = LESION_OFFSET + len(Lesion)
JOINTS = 10
NIFTI_SUFFIXES = (".nii", ".nii.gz")
_KINDS: dict[SegmentKind, Structure | Lesion] = {
    SegmentKind.EFFUSION: Lesion.EFFUSION,
    SegmentKind.SOFT_TISSUE_EDEMA: Lesion.SOFT_TISSUE_EDEMA,
    SegmentKind.MARROW_EDEMA: Lesion.MARROW_EDEMA,
    SegmentKind.SUPERIOR_ARTICULAR_PROCESS: Structure.SUPERIOR_ARTICULAR_PROCESS,
    SegmentKind.INFERIOR_ARTICULAR_PROCESS: Structure.INFERIOR_ARTICULAR_PROCESS,
}
_HIGHEST = {
    "study": LABELS_PER_JOINT * JOINTS - 1,
    "joint": HIGHEST_CODE,
    "structures": LESION_OFFSET,
    "lesions": len(Lesion),
}


class MaskError(FacetGradeError):
    """A mask of a manifest is missing, damaged or without a place in the patient."""

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        super().__init__(f"{path}: {problem}")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LabelGrid:
    """Whole numbers on a grid in patient space, as a file holds them."""

    geometry: VolumeGeometry
    voxels: NDArray[np.int16]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Annotation:
    """What one reader outlined of one joint.

    Attributes
    ----------
    masks : mapping of Structure or Lesion to tuple of Mask
        Outlines, each on the grid of its file; several files may hold one kind.
    geometries : tuple of VolumeGeometry
        Grids on which the reader worked; outside of them nothing is known.
    known : frozenset of Structure or Lesion
        Kinds that were looked for: without an outline they are absent.
    others : tuple of Mask
        What was outlined for other joints in the same files. A voxel has one number
        only, so nothing is known of it for this joint.
    """

    masks: Mapping[Structure | Lesion, tuple[Mask, ...]]
    geometries: tuple[VolumeGeometry, ...]
    known: frozenset[Structure | Lesion]
    others: tuple[Mask, ...] = ()

    @property
    def center_lps_mm(self) -> NDArray[np.float64] | None:
        """Centroid of the joint space, None if it was not outlined."""
        points = [
            mask.geometry.to_lps(np.argwhere(mask.voxels))
            for mask in self.masks.get(Structure.JOINT_SPACE, ())
            if mask.voxels.any()
        ]
        return np.concatenate(points).mean(axis=0) if points else None

    @property
    def is_empty(self) -> bool:
        """Whether no voxel at all was outlined."""
        return not any(m.voxels.any() for masks in self.masks.values() for m in masks)


def is_nifti_mask(path: Path) -> bool:
    """Tell by its name whether a mask is a NIfTI file."""
    return path.name.lower().endswith(NIFTI_SUFFIXES)


def read_label_grid(path: Path) -> LabelGrid:
    """Read a NIfTI label map.

    Raises
    ------
    MaskError
        If it is missing, damaged, not of whole numbers or has no place in the patient.
    """
    import nibabel

    try:
        image = nibabel.Nifti1Image.from_filename(path)
        values = np.asarray(image.dataobj)
    except FileNotFoundError:
        raise MaskError(path, "no such mask file") from None
    except Exception as error:
        # nibabel raises whatever a damaged file leads to
        raise MaskError(path, "is not NIfTI or is damaged") from error
    codes = int(image.header["qform_code"]) + int(image.header["sform_code"])
    if codes == 0 or values.ndim != 3:
        raise MaskError(
            path, "does not say where it lies in the patient, or is not 3-D"
        )
    whole = np.rint(values)
    if not np.array_equal(whole, values) or whole.min() < 0 or whole.max() > 32767:
        raise MaskError(path, "holds other values than whole numbers; not a label map")
    voxels = np.ascontiguousarray(whole.transpose(2, 1, 0).astype(np.int16))
    affine = np.asarray(image.affine, np.float64)
    return LabelGrid(geometry=lps_geometry(affine, voxels.shape), voxels=voxels)


def unknown_values(labels: LabelGrid, scheme: str) -> tuple[int, ...]:
    """Return the numbers of a label map that its scheme does not define."""
    values = np.unique(labels.voxels)
    codes = values % LABELS_PER_JOINT if scheme == "study" else values
    bad = (values > _HIGHEST[scheme]) | (codes > HIGHEST_CODE)
    if scheme == "study":
        bad |= (codes == 0) & (values > 0)
    return tuple(int(value) for value in values[bad])


def read_annotation(row: ManifestRow) -> Annotation | None:
    """Read the masks of a row of the manifest; None if it has none.

    Raises
    ------
    MaskError
        If a file is missing or cannot be used.
    """
    if not row.masks:
        return None
    masks: dict[Structure | Lesion, tuple[Mask, ...]] = {}
    geometries: list[VolumeGeometry] = []
    known: set[Structure | Lesion] = set()
    others: list[Mask] = []
    for path, scheme in zip(row.masks, row.schemes, strict=True):
        read = _read_nifti if is_nifti_mask(path) else _read_segmentation
        found, places, looked_for, elsewhere = read(path, scheme, row.joint)
        others += elsewhere
        for kind, mask in found.items():
            masks[kind] = (*masks.get(kind, ()), *mask)
        geometries += places
        known |= looked_for
    return Annotation(
        masks=masks,
        geometries=tuple(geometries),
        known=frozenset(known) if not row.annotated else _named(row.annotated),
        others=tuple(others),
    )


def sample_structures(
    annotation: Annotation, grid: VolumeGeometry
) -> NDArray[np.uint8]:
    """Return the `Structure` of every voxel of a grid, 0 where none is outlined."""
    labels = np.zeros(grid.shape, np.uint8)
    for kind, masks in annotation.masks.items():
        if isinstance(kind, Structure):
            for mask in masks:
                inside = resample(
                    mask.voxels.astype(np.uint8), mask.geometry, grid, order=0
                )
                labels[inside > 0] = int(kind)
    return labels


def sample_lesions(annotation: Annotation, grid: VolumeGeometry) -> NDArray[np.uint8]:
    """Return the fraction of each lesion in every voxel times 255, (4, H, R, C)."""
    fractions = np.zeros((len(Lesion), *grid.shape), np.float32)
    for k, lesion in enumerate(Lesion):
        for mask in annotation.masks.get(lesion, ()):
            part = resample(mask.voxels.astype(np.float32), mask.geometry, grid)
            fractions[k] = np.maximum(fractions[k], part)
    return np.rint(fractions * 255).astype(np.uint8)


def sample_covered(annotation: Annotation, grid: VolumeGeometry) -> NDArray[np.bool_]:
    """Return where the reader's grids reach and no other joint was outlined."""
    reached = [covered(geometry, grid) for geometry in annotation.geometries]
    known = np.asarray(np.any(reached, axis=0))
    for mask in annotation.others:
        known &= (
            resample(mask.voxels.astype(np.uint8), mask.geometry, grid, order=0) == 0
        )
    return known


_Found = tuple[
    dict[Structure | Lesion, tuple[Mask, ...]],
    list[VolumeGeometry],
    set[Structure | Lesion],
    list[Mask],
]


def _read_nifti(path: Path, scheme: str, joint: FacetJoint) -> _Found:
    """Read the labels of one joint."""
    labels = read_label_grid(path)
    unknown = unknown_values(labels, scheme)
    if unknown:
        raise MaskError(
            path, f"has label {unknown[0]}, which scheme {scheme!r} does not define"
        )
    codes = joint_codes(labels, scheme, joint)
    masks: dict[Structure | Lesion, tuple[Mask, ...]] = {
        _kind(int(code)): (Mask(geometry=labels.geometry, voxels=codes == code),)
        for code in np.unique(codes)
        if code
    }
    elsewhere = Mask(
        geometry=labels.geometry, voxels=(labels.voxels > 0) & (codes == 0)
    )
    others = [elsewhere] if elsewhere.voxels.any() else []
    return masks, [labels.geometry], _looked_for(labels, scheme), others


def joint_codes(labels: LabelGrid, scheme: str, joint: FacetJoint) -> NDArray[np.int16]:
    """Return structures as 1-12 and lesions as 13-16 of one joint, 0 elsewhere."""
    if scheme == "study":
        first = LABELS_PER_JOINT * joint_number(joint)
        codes = labels.voxels - np.int16(first)
        inside = (codes > 0) & (codes <= HIGHEST_CODE)
        return np.where(inside, codes, 0).astype(np.int16)
    if scheme == "lesions":
        shift = np.int16(LESION_OFFSET)
        return np.where(labels.voxels > 0, labels.voxels + shift, 0).astype(np.int16)
    return labels.voxels


def _kind(code: int) -> Structure | Lesion:
    """Return what a code of a joint stands for."""
    if code <= LESION_OFFSET:
        return Structure(code)
    return list(Lesion)[code - LESION_OFFSET - 1]


def _looked_for(labels: LabelGrid, scheme: str) -> set[Structure | Lesion]:
    """Tell which kinds a map is about; one without structures is about lesions."""
    codes = np.unique(labels.voxels) % (LABELS_PER_JOINT if scheme == "study" else 256)
    bones = bool(((codes > 0) & (codes <= LESION_OFFSET)).any())
    lesions = bool((codes > LESION_OFFSET).any())
    if scheme == "structures":
        return set(Structure)
    if scheme == "lesions":
        return set(Lesion)
    structures: set[Structure | Lesion] = set(Structure) if bones else set()
    return structures | (set(Lesion) if lesions or not bones else set())


def _read_segmentation(path: Path, scheme: str, joint: FacetJoint) -> _Found:
    """Read the segments of one joint of a DICOM segmentation."""
    del scheme
    if not path.exists():
        raise MaskError(path, "no such mask file")
    try:
        segments = read_back([path]).segments
    except IngestError as error:
        raise MaskError(path, f"is neither NIfTI nor DICOM SEG ({error})") from error
    masks: dict[Structure | Lesion, tuple[Mask, ...]] = {}
    geometries = []
    others = []
    for segment in segments:
        geometries.append(segment.mask.geometry)
        if segment.joint != joint:
            others.append(segment.mask)
        if segment.joint == joint and segment.kind is not None:
            kind = _KINDS[segment.kind]
            masks[kind] = (*masks.get(kind, ()), segment.mask)
    lesions: set[Structure | Lesion] = {k for k in Lesion if k is not Lesion.CYST}
    return masks, geometries, lesions | set(masks), others


def _named(names: frozenset[str]) -> frozenset[Structure | Lesion]:
    """Turn the names of the column `annotated` into kinds."""
    known: set[Structure | Lesion] = set()
    for structure in Structure:
        if structure.name.lower() in names or ALL_STRUCTURES in names:
            known.add(structure)
    for lesion in Lesion:
        if lesion.value in names or ALL_LESIONS in names:
            known.add(lesion)
    return frozenset(known)
