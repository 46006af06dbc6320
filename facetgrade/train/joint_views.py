"""Pictures and truth of single joints as the segmenter learns from them, on disk."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.errors import ModelError
from facetgrade.segment.patches import CONTRASTS
from facetgrade.simulate.movement import series_of_truth


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointView:
    """One joint as one set of series showed it, on the segmenter's grid.

    Attributes
    ----------
    stacks : (S, 3, H, R, C) float16 ndarray
        From `sample_series`.
    contrasts : (S,) uint8 ndarray
        Contrast index of each.
    structures : (H, R, C) uint8 ndarray
        True `Structure` labels.
    lesions : (4, H, R, C) uint8 ndarray
        True fractions times 255, in the order of `Lesion`.
    """

    stacks: NDArray[np.float16]
    contrasts: NDArray[np.uint8]
    structures: NDArray[np.uint8]
    lesions: NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ScannedJoint:
    """One joint of a patient who may shift between series, on the segmenter's grid.

    Attributes
    ----------
    stacks : (S, 3, H, R, C) float16 ndarray
        From `sample_series`, in the order of acquisition.
    contrasts : (S,) uint8 ndarray
        Contrast index of each.
    pose : (S,) uint8 ndarray
        Index into the first axis of the truth: how the patient lay.
    structures : (P, H, R, C) uint8 ndarray
        True `Structure` labels in each pose.
    lesions : (P, 4, H, R, C) uint8 ndarray
        True fractions times 255, in the order of `Lesion`.
    """

    stacks: NDArray[np.float16]
    contrasts: NDArray[np.uint8]
    pose: NDArray[np.uint8]
    structures: NDArray[np.uint8]
    lesions: NDArray[np.uint8]

    def seen_by(self, chosen: NDArray[np.int64]) -> JointView:
        """Return all stacks with the truth of those that are shown.

        Parameters
        ----------
        chosen : (N,) int64 ndarray
            Stacks that are shown, in any order. Truth is in the pose of the first of
            them that was acquired and shows edema, else of the first of all of them.
        """
        acquired = np.sort(chosen)
        contrasts = [CONTRASTS[index] for index in self.contrasts[acquired]]
        pose = self.pose[acquired[series_of_truth(contrasts)]]
        return JointView(
            stacks=self.stacks,
            contrasts=self.contrasts,
            structures=self.structures[pose],
            lesions=self.lesions[pose],
        )


def write_joint(joint: ScannedJoint, path: Path) -> None:
    """Write one joint, uncompressed for fast reading."""
    np.savez(
        path,
        stacks=joint.stacks,
        contrasts=joint.contrasts,
        pose=joint.pose,
        structures=joint.structures,
        lesions=joint.lesions,
    )


def read_joint(path: Path) -> ScannedJoint:
    """Read what `write_joint` wrote.

    Raises
    ------
    ModelError
        If the file is of an earlier version.
    """
    with np.load(path, allow_pickle=False) as kept:
        if set(kept.files) != {one.name for one in fields(ScannedJoint)}:
            raise ModelError(
                f"{path}: is of an earlier version; remove the folder of cases "
                f"{path.parent.parent}, so that they are made anew"
            )
        return ScannedJoint(**{key: kept[key] for key in kept.files})
