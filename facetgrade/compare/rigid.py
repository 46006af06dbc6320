"""Rigid motions between the patient spaces of two examinations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from facetgrade.findings import JointFrame, JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.study import Series, Stack, Study


@dataclass(frozen=True, eq=False, slots=True)
class RigidMotion:
    """Rotation and shift that take one patient space to another.

    Attributes
    ----------
    matrix : (4, 4) float64 ndarray
        Maps (x, y, z, 1) LPS mm of the first space to LPS mm of the second.
    """

    matrix: NDArray[np.float64]

    @classmethod
    def from_parts(
        cls, rotation: NDArray[np.float64], shift_mm: NDArray[np.float64]
    ) -> RigidMotion:
        """Build a motion that rotates about the origin, then shifts."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = shift_mm
        return cls(matrix)

    @classmethod
    def between(cls, first: JointFrame, second: JointFrame) -> RigidMotion:
        """Build the motion that lays one joint frame upon another."""
        rotation = _orthonormal(_axes(second).T @ _axes(first))
        shift_mm = second.center_lps_mm - rotation @ first.center_lps_mm
        return cls.from_parts(rotation, shift_mm)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """Rotation matrix, shape (3, 3)."""
        return self.matrix[:3, :3]

    @property
    def angle_deg(self) -> float:
        """Angle of the rotation."""
        return float(np.rad2deg(Rotation.from_matrix(self.rotation).magnitude()))

    def apply(self, lps_mm: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) points."""
        points: NDArray[np.float64] = (
            np.asarray(lps_mm, float) @ self.rotation.T + self.matrix[:3, 3]
        )
        return points

    def inverse(self) -> RigidMotion:
        """Return the motion back."""
        back = self.rotation.T
        return RigidMotion.from_parts(back, -back @ self.matrix[:3, 3])

    def then(self, following: RigidMotion) -> RigidMotion:
        """Return this motion followed by another."""
        return RigidMotion(following.matrix @ self.matrix)

    def half(self, center_lps_mm: NDArray[np.float64]) -> RigidMotion:
        """Return the motion halfway: half the turn, and half the way of one point.

        Parameters
        ----------
        center_lps_mm : (3,) float64 ndarray
            Point of the first space that moves along a straight line.
        """
        vector = Rotation.from_matrix(self.rotation).as_rotvec()
        rotation = Rotation.from_rotvec(vector / 2.0).as_matrix()
        middle = (center_lps_mm + self.apply(center_lps_mm)) / 2.0
        return RigidMotion.from_parts(rotation, middle - rotation @ center_lps_mm)

    def distances_mm(
        self, other: RigidMotion, lps_mm: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Measure how far apart two motions put the same (N, 3) points."""
        apart: NDArray[np.float64] = np.linalg.norm(
            self.apply(lps_mm) - other.apply(lps_mm), axis=-1
        )
        return apart

    def move_grid(self, geometry: VolumeGeometry) -> VolumeGeometry:
        """Return the grid of the same voxels in the other space."""
        return replace(geometry, index_to_lps=self.matrix @ geometry.index_to_lps)

    def move_frame(self, frame: JointFrame) -> JointFrame:
        """Return a joint frame in the other space."""
        return JointFrame(
            center_lps_mm=self.apply(frame.center_lps_mm),
            cranial=self.rotation @ frame.cranial,
            posterior=self.rotation @ frame.posterior,
            lateral=self.rotation @ frame.lateral,
        )

    def move_masks(self, masks: JointMasks) -> JointMasks:
        """Return the masks of a joint in the other space; no voxel changes."""
        return replace(masks, geometry=self.move_grid(masks.geometry))

    def move_study(self, study: Study) -> Study:
        """Return a study in the other space; no voxel changes."""
        return replace(study, series=tuple(self._series(s) for s in study.series))

    def _series(self, series: Series) -> Series:
        return replace(series, stacks=tuple(self._stack(s) for s in series.stacks))

    def _stack(self, stack: Stack) -> Stack:
        volume = stack.volume
        moved = replace(volume, geometry=self.move_grid(volume.geometry))
        return replace(stack, volume=moved)


def points_around(
    center_lps_mm: NDArray[np.float64], radius_mm: float
) -> NDArray[np.float64]:
    """Return a center and the six points at a distance from it along the axes."""
    steps = radius_mm * np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    points: NDArray[np.float64] = center_lps_mm + steps
    return points


def _axes(frame: JointFrame) -> NDArray[np.float64]:
    return np.stack([frame.cranial, frame.posterior, frame.lateral])


def _orthonormal(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nearest rotation; stored axes are rounded."""
    left, _, right = np.linalg.svd(matrix)
    rotation: NDArray[np.float64] = left @ right
    return rotation
