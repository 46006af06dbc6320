"""One joint at two time points in one space, halfway between both.

Both time points are moved by half of the motion between them, so that neither is
resampled more than the other and nothing in a picture tells which came first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.compare.identity import TimePoint
from facetgrade.compare.registration import Registration
from facetgrade.compare.rigid import RigidMotion
from facetgrade.findings import JointFrame, JointMasks, Outcome
from facetgrade.geometry import VolumeGeometry
from facetgrade.study import Plane, Study


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AlignedTimePoint:
    """One time point in the common space of a joint.

    Attributes
    ----------
    study : Study
        The images; their grids are moved, their voxels untouched.
    masks : JointMasks or None
        The masks, moved alike.
    to_common : RigidMotion
        From the patient space of the examination to the common one.
    """

    study: Study
    masks: JointMasks | None
    to_common: RigidMotion


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class AlignedJoint:
    """One joint at two time points in a common space.

    Attributes
    ----------
    frame : JointFrame
        Mean of both located frames.
    baseline, followup : AlignedTimePoint
        Both time points.
    registered : bool
        Whether the images were registered; otherwise the located frames were laid upon
        each other.
    """

    frame: JointFrame
    baseline: AlignedTimePoint
    followup: AlignedTimePoint
    registered: bool

    def picture_grid(
        self, plane: Plane, *, size_mm: float, pixel_mm: float
    ) -> VolumeGeometry:
        """Lay a picture through the joint, the same for both time points.

        Parameters
        ----------
        plane : Plane
            Axial is across the joint's cranio-caudal axis; sagittal and coronal follow
            it.
        size_mm, pixel_mm : float
            Side of the square and of its pixels.

        Returns
        -------
        VolumeGeometry
            Shape (1, N, N), rows growing down the screen and columns to the right; the
            patient's right is on the viewer's left.
        """
        down, right = self._screen(plane)
        side = round(size_mm / pixel_mm)
        return VolumeGeometry.centered(
            center_lps_mm=self.frame.center_lps_mm,
            axes=np.stack([np.cross(down, right), down, right]),
            spacing_mm=(1.0, pixel_mm, pixel_mm),
            shape=(1, side, side),
        )

    def _screen(self, plane: Plane) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the directions down and right of a picture."""
        frame = self.frame
        left = frame.lateral * np.sign(frame.lateral[0])
        if plane is Plane.AXIAL:
            return frame.posterior, left
        if plane is Plane.SAGITTAL:
            return -frame.cranial, frame.posterior
        return -frame.cranial, left


def align_joint(
    baseline: TimePoint,
    followup: TimePoint,
    outcomes: tuple[Outcome, Outcome],
    registration: Registration | None,
) -> AlignedJoint | None:
    """Bring one joint of two examinations into one space.

    Parameters
    ----------
    baseline, followup : TimePoint
        Both examinations.
    outcomes : tuple of Outcome
        The joint at baseline and at follow-up.
    registration : Registration or None
        From `register_joint`; one that is not trusted is not used.

    Returns
    -------
    AlignedJoint or None
        None when the joint was not located at both time points.
    """
    first, second = (outcome.location for outcome in outcomes)
    if first is None or second is None:
        return None
    registered = registration is not None and not registration.problem
    motion = (
        registration.motion
        if registration is not None and registered
        else RigidMotion.between(first.frame, second.frame)
    )
    to_common = motion.half(first.frame.center_lps_mm)
    from_followup = motion.inverse().then(to_common)
    return AlignedJoint(
        frame=_mean_frame(
            to_common.move_frame(first.frame), from_followup.move_frame(second.frame)
        ),
        baseline=_moved(baseline, outcomes[0], to_common),
        followup=_moved(followup, outcomes[1], from_followup),
        registered=registered,
    )


def _moved(
    point: TimePoint, outcome: Outcome, to_common: RigidMotion
) -> AlignedTimePoint:
    """Move the images and masks of one time point."""
    return AlignedTimePoint(
        study=to_common.move_study(point.study),
        masks=to_common.move_masks(outcome.masks) if outcome.masks else None,
        to_common=to_common,
    )


def _mean_frame(first: JointFrame, second: JointFrame) -> JointFrame:
    """Return the frame in the middle of two that nearly agree."""
    halfway = RigidMotion.between(first, second).half(first.center_lps_mm)
    return halfway.move_frame(first)
