"""What is drawn into a segmentation: one segment for each joint and kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Level, Side, Structure
from facetgrade.exchange import codes
from facetgrade.exchange.codes import Code
from facetgrade.findings import JointMasks, Outcome
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.nifti import lesion_map, structure_label, structure_map


class SegmentKind(StrEnum):
    """Kind of a segment, in the order of their numbers."""

    EFFUSION = "effusion"
    SOFT_TISSUE_EDEMA = "soft-tissue-edema"
    MARROW_EDEMA = "marrow-edema"
    SUPERIOR_ARTICULAR_PROCESS = "superior-articular-process"
    INFERIOR_ARTICULAR_PROCESS = "inferior-articular-process"

    @property
    def words(self) -> str:
        """The kind in plain words."""
        return self.value.replace("-", " ").replace("soft tissue", "soft-tissue")


@dataclass(frozen=True, slots=True)
class SegmentCodes:
    """Category, type and, where the type alone does not tell, tissue of a kind."""

    category: Code
    type: Code
    tissue: Code | None = None


SEGMENT_CODES = {
    SegmentKind.EFFUSION: SegmentCodes(codes.ABNORMAL_STRUCTURE, codes.EFFUSION),
    SegmentKind.SOFT_TISSUE_EDEMA: SegmentCodes(
        codes.ABNORMAL_STRUCTURE, codes.EDEMA, codes.SOFT_TISSUE
    ),
    SegmentKind.MARROW_EDEMA: SegmentCodes(
        codes.ABNORMAL_STRUCTURE, codes.EDEMA, codes.BONE_MARROW
    ),
    SegmentKind.SUPERIOR_ARTICULAR_PROCESS: SegmentCodes(
        codes.ANATOMICAL_STRUCTURE, codes.SUPERIOR_ARTICULAR_PROCESS
    ),
    SegmentKind.INFERIOR_ARTICULAR_PROCESS: SegmentCodes(
        codes.ANATOMICAL_STRUCTURE, codes.INFERIOR_ARTICULAR_PROCESS
    ),
}
_LESIONS = {
    SegmentKind.EFFUSION: Lesion.EFFUSION,
    SegmentKind.SOFT_TISSUE_EDEMA: Lesion.SOFT_TISSUE_EDEMA,
    SegmentKind.MARROW_EDEMA: Lesion.MARROW_EDEMA,
}
_STRUCTURES = {
    SegmentKind.SUPERIOR_ARTICULAR_PROCESS: Structure.SUPERIOR_ARTICULAR_PROCESS,
    SegmentKind.INFERIOR_ARTICULAR_PROCESS: Structure.INFERIOR_ARTICULAR_PROCESS,
}


@dataclass(frozen=True, eq=False, slots=True)
class DrawnSegment:
    """One segment on the grid of a stack.

    Attributes
    ----------
    joint : FacetJoint
        Which joint.
    kind : SegmentKind
        What of it.
    voxels : (slice, row, column) bool ndarray
        On the grid of the stack; never empty.
    """

    joint: FacetJoint
    kind: SegmentKind
    voxels: NDArray[np.bool_]

    @property
    def label(self) -> str:
        """Name for people, such as ``L4-L5 facet joint, right: effusion``."""
        return f"{joint_name(self.joint)}: {self.kind.words}"


def joint_name(joint: FacetJoint) -> str:
    """Name a joint for people, such as ``L4-L5 facet joint, right``."""
    return f"{joint.level} facet joint, {joint.side}"


def tracking_id(joint: FacetJoint) -> str:
    """Name a joint for machines, such as ``L4L5_R``; the same at every visit."""
    return f"{joint.level.replace('-', '')}_{joint.side.value[0].upper()}"


def joint_of(identifier: str) -> FacetJoint | None:
    """Find the joint with a `tracking_id`, None if it is of another kind."""
    for level in Level:
        for side in Side:
            joint = FacetJoint(level, side)
            if tracking_id(joint) == identifier:
                return joint
    return None


def draw_segments(
    geometry: VolumeGeometry, outcomes: Iterable[Outcome]
) -> list[DrawnSegment]:
    """Draw the joints on the grid of a stack, each kind by itself.

    A voxel belongs to a segment when its center does, as in the NIfTI masks; segments
    may overlap, since marrow edema lies within bone.

    Parameters
    ----------
    geometry : VolumeGeometry
        The grid.
    outcomes : iterable of Graded or Ungradable
        Joints that were read on it; those without masks draw nothing.

    Returns
    -------
    list of DrawnSegment
        By joint, then kind; what falls on no voxel is left out.
    """
    drawn: list[DrawnSegment] = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.joint):
        if outcome.masks is None:
            continue
        for kind in SegmentKind:
            voxels = _draw(geometry, outcome, outcome.masks, kind)
            if voxels is not None and voxels.any():
                drawn.append(DrawnSegment(outcome.joint, kind, voxels))
    return drawn


def _draw(
    geometry: VolumeGeometry, outcome: Outcome, masks: JointMasks, kind: SegmentKind
) -> NDArray[np.bool_] | None:
    """Draw one kind of one joint."""
    if kind in _LESIONS:
        alone = {k: p for k, p in masks.lesions.items() if k is _LESIONS[kind]}
        only = replace(outcome, masks=replace(masks, lesions=alone))
        drawn = lesion_map(geometry, [only])
        return None if drawn is None else drawn.voxels > 0
    drawn = structure_map(geometry, [outcome])
    if drawn is None:
        return None
    label = structure_label(outcome.joint, _STRUCTURES[kind])
    return np.asarray(drawn.voxels == label)
