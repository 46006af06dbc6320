"""Checks of masks: of themselves, against the image grid and against the anatomy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import BONES, FacetJoint, Lesion, Structure
from facetgrade.datasets.findings import FindingKind
from facetgrade.findings import Localization
from facetgrade.geometry import Mask, VolumeGeometry
from facetgrade.localize.joints import joint_frame
from facetgrade.segment.patches import joint_grid
from facetgrade.study import Study
from facetgrade.train.manifest import ManifestRow
from facetgrade.train.masks import Annotation, sample_lesions, sample_structures

Problem = tuple[FindingKind, str]
GRID_TOLERANCE = 0.5  # voxels
MOST_OUTSIDE = 0.1  # of the outlined voxels
FARTHEST_MM = 12.0  # the localizer errs by 3 mm (median), 8 mm at most
NEARER_MM = 8.0  # than to its own joint: it is another one
MIDLINE_MM = 4.0  # this far beyond the midline is the other side
MOST_ISOLATED = 0.15  # of the voxels without a neighbor of their kind
LEAST_OUTLINED_MM3 = 10.0
LEAST_IN_BONE = 0.3  # of marrow edema
LEAST_DICE = 0.4  # of the lesions of two readers
LEAST_COMPARED_MM3 = 100.0


def check_mask(annotation: Annotation, row: ManifestRow) -> Iterator[Problem]:
    """Find empty, fragmentary and swapped labels.

    Parameters
    ----------
    annotation : Annotation
        What the reader outlined.
    row : ManifestRow
        What the manifest says of it.
    """
    if annotation.is_empty:
        if row.grade or annotation.known & set(BONES) or row.grade is None:
            yield FindingKind.EMPTY_MASK, "nothing is outlined"
        return
    bones = [kind for kind in annotation.known if kind in BONES]
    if bones and not any(kind in annotation.masks for kind in bones):
        yield FindingKind.EMPTY_MASK, "no bone is outlined, but bones were looked for"
    shares = {
        kind: max(isolated_share(mask, kind) for mask in masks)
        for kind, masks in annotation.masks.items()
    }
    kind, isolated = max(shares.items(), key=lambda item: item[1])
    if isolated > MOST_ISOLATED:
        name = kind.name.lower() if isinstance(kind, Structure) else kind.value
        yield (
            FindingKind.FRAGMENTARY_MASK,
            f"{isolated:.0%} of the voxels of {name} have no neighbor of their own",
        )
    yield from _swapped(annotation, row.joint)


def check_place(
    annotation: Annotation, row: ManifestRow, study: Study, found: Localization
) -> Iterator[Problem]:
    """Compare the place of a mask with image grids and located anatomy.

    Sides are judged by the line of the vertebral bodies, levels by the other joints.
    """
    points = outlined_points(annotation)
    grids = [s.volume.geometry for one in study.series for s in one.stacks]
    yield from _other_grid(annotation.geometries, grids)
    if not len(points):
        return
    inside = np.any([grid.contains(points) for grid in grids], axis=0)
    if (~inside).mean() > MOST_OUTSIDE:
        share = (~inside).mean()
        yield FindingKind.OUTSIDE_IMAGE, f"{share:.0%} of it lies outside of all series"
        return
    center = annotation.center_lps_mm
    yield from _other_joint(
        points.mean(axis=0) if center is None else center, row, found
    )


def check_center(row: ManifestRow, found: Localization) -> Iterator[Problem]:
    """Compare the center that a row gives with the located anatomy."""
    if row.center_lps_mm is not None:
        yield from _other_joint(np.array(row.center_lps_mm), row, found)


def check_readers(
    read: Sequence[tuple[ManifestRow, Annotation]],
) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield rows and a sentence where two readers outlined different lesions."""
    for (row, one), (other_row, other) in combinations(read, 2):
        center = one.center_lps_mm
        if row.reader == other_row.reader:
            continue
        if center is None:
            points = outlined_points(one)
            if not len(points):
                continue
            center = points.mean(axis=0)
        up = np.array([0.0, 0.0, 1.0])
        grid = joint_grid(joint_frame(center, up, row.joint.side))
        for k, lesion in enumerate(Lesion):
            if lesion not in one.known or lesion not in other.known:
                continue
            first, second = (sample_lesions(a, grid)[k] > 127 for a in (one, other))
            size_mm3 = float(first.sum() + second.sum()) / 2 * grid.voxel_volume_mm3
            dice = (
                2 * float((first & second).sum()) / max(1, first.sum() + second.sum())
            )
            if size_mm3 > LEAST_COMPARED_MM3 and dice < LEAST_DICE:
                sentence = (
                    f"{row.reader} and {other_row.reader}: Dice of {lesion.value} "
                )
                yield (row.number, other_row.number), f"{sentence}{dice:.2f}"


def isolated_share(mask: Mask, kind: Structure | Lesion) -> float:
    """Return the share of voxels without a neighbor of their kind.

    Structures need one that shares a face, lesions an edge: a film of fluid runs
    obliquely through the voxels.
    """
    count = int(mask.voxels.sum())
    if count * mask.geometry.voxel_volume_mm3 < LEAST_OUTLINED_MM3:
        return 0.0
    shared = 2 if isinstance(kind, Lesion) else 1
    neighbors = ndimage.convolve(
        mask.voxels.astype(np.uint8),
        ndimage.generate_binary_structure(3, shared).astype(np.uint8),
        mode="constant",
    )
    return float((mask.voxels & (neighbors == 1)).sum()) / count


def outlined_points(annotation: Annotation) -> NDArray[np.float64]:
    """Return LPS mm of the voxels that make a joint: its space, bones or lesions."""
    masks = list(annotation.masks.get(Structure.JOINT_SPACE, ()))
    if not masks:
        lesions = [kind for kind in annotation.masks if isinstance(kind, Lesion)]
        masks = [m for k in lesions or annotation.masks for m in annotation.masks[k]]
    points = [m.geometry.to_lps(np.argwhere(m.voxels)) for m in masks]
    return np.concatenate(points) if points else np.zeros((0, 3))


def _middle(annotation: Annotation, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the center of the joint space, or of all that was outlined."""
    center = annotation.center_lps_mm
    return np.asarray(points.mean(axis=0)) if center is None else center


def _swapped(annotation: Annotation, joint: FacetJoint) -> Iterator[Problem]:
    """Find exchanged processes and lesions.

    The superior articular process of the lower vertebra lies before and outside of the
    inferior one; marrow edema lies in bone.
    """
    upper, lower = (
        _near_center(annotation, kind)
        for kind in (
            Structure.SUPERIOR_ARTICULAR_PROCESS,
            Structure.INFERIOR_ARTICULAR_PROCESS,
        )
    )
    if upper is not None and lower is not None:
        outward_forward = np.array([float(joint.side.sign), -1.0, 0.0])
        if float((upper - lower) @ outward_forward) < 0:
            yield (
                FindingKind.SWAPPED_LABELS,
                "the superior articular process lies behind the inferior one",
            )
    if Lesion.MARROW_EDEMA in annotation.masks and set(BONES) <= annotation.known:
        mask = annotation.masks[Lesion.MARROW_EDEMA][0]
        labels = sample_structures(annotation, mask.geometry)[mask.voxels]
        size_mm3 = labels.size * mask.geometry.voxel_volume_mm3
        in_bone = float(np.isin(labels, BONES).mean()) if labels.size else 1.0
        if size_mm3 > LEAST_COMPARED_MM3 and in_bone < LEAST_IN_BONE:
            yield (
                FindingKind.SWAPPED_LABELS,
                f"only {in_bone:.0%} of the marrow edema lies in bone",
            )


def _near_center(annotation: Annotation, kind: Structure) -> NDArray[np.float64] | None:
    """Return the centroid of a structure within 12 mm of the joint space."""
    center = annotation.center_lps_mm
    if kind not in annotation.masks:
        return None
    masks = annotation.masks[kind]
    points = np.concatenate([m.geometry.to_lps(np.argwhere(m.voxels)) for m in masks])
    if center is not None:
        points = points[np.linalg.norm(points - center, axis=1) < FARTHEST_MM]
    return points.mean(axis=0) if len(points) else None


def _other_grid(
    masks: Sequence[VolumeGeometry], images: Sequence[VolumeGeometry]
) -> Iterator[Problem]:
    """Find a mask with the voxels of an image but not its place."""
    for mask in masks:
        same = [image for image in images if image.shape == mask.shape]
        if not same:
            continue
        corners = np.array([[0, 0, 0], np.array(mask.shape) - 1], float)
        shifts = [
            float(np.abs(image.to_index(mask.to_lps(corners)) - corners).max())
            for image in same
        ]
        if min(shifts) > GRID_TOLERANCE:
            yield (
                FindingKind.GEOMETRY_MISMATCH,
                f"it has the shape of a series, but lies {min(shifts):.1f} voxels off",
            )


def _other_joint(
    center_lps_mm: NDArray[np.float64], row: ManifestRow, found: Localization
) -> Iterator[Problem]:
    """Find the joint that a point belongs to."""
    beyond_mm = _beyond_midline_mm(center_lps_mm, row.joint, found)
    if beyond_mm > MIDLINE_MM:
        yield (
            FindingKind.MIRRORED_SIDE,
            f"it lies {beyond_mm:.0f} mm beyond the midline of the vertebral bodies, "
            f"on the other side than {row.joint.side}",
        )
        return
    distances = {
        FacetJoint(joint.level, joint.side): float(
            np.linalg.norm(joint.frame.center_lps_mm - center_lps_mm)
        )
        for joint in found.joints
        if joint.level is not None and joint.side is row.joint.side
    }
    own_mm = distances.get(row.joint)
    if own_mm is None:
        return
    nearest = min(distances, key=lambda joint: distances[joint])
    if distances[nearest] + NEARER_MM < own_mm:
        sentence = f"it lies at {nearest}, {own_mm:.0f} mm from {row.joint}"
        if found.level_assumed:
            sentence += " (the level names of this study are uncertain)"
        yield FindingKind.WRONG_LEVEL, sentence
    elif own_mm > FARTHEST_MM:
        yield (
            FindingKind.GEOMETRY_MISMATCH,
            f"it lies {own_mm:.0f} mm from the joint that the localizer found",
        )


def _beyond_midline_mm(
    point: NDArray[np.float64], joint: FacetJoint, found: Localization
) -> float:
    """Return how far a point lies on the wrong side of the line of bodies."""
    if len(found.vertebrae) < 2:
        return 0.0
    centers = np.array([v.center_lps_mm for v in found.vertebrae])
    order = np.argsort(centers[:, 2])
    middle = np.interp(point[2], centers[order, 2], centers[order, 0])
    return float((middle - point[0]) * joint.side.sign)
