"""Localization against truth: errors in mm, levels and sides right or wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint
from facetgrade.findings import JointFrame

NOWHERE = (float("nan"),) * 3


@dataclass(frozen=True, slots=True)
class JointCheck:
    """One named center held against the true joints of the patient.

    Attributes
    ----------
    located : bool
        A center was given.
    right : bool
        It is nearer to the true joint of its name than to any other true joint, and
        within the stated distance of it.
    level_right, side_right : bool
        Level and side of the nearest true joint are those of the name, at any
        distance; False when not located.
    error_mm : float
        Distance to the true joint of the same name; NaN if not located.
    offset_mm : tuple of float
        Predicted minus true center along the true (cranial, posterior, lateral) axes.
    """

    located: bool
    right: bool
    level_right: bool
    side_right: bool
    error_mm: float
    offset_mm: tuple[float, float, float]


NOT_LOCATED = JointCheck(False, False, False, False, float("nan"), NOWHERE)


def check_joint(
    joint: FacetJoint,
    center_lps_mm: NDArray[np.float64] | None,
    truth: Mapping[FacetJoint, JointFrame],
    *,
    tolerance_mm: float,
) -> JointCheck:
    """Decide whether a center lies in the joint whose name it carries.

    Parameters
    ----------
    joint : FacetJoint
        Name given to the center.
    center_lps_mm : (3,) float64 ndarray or None
        Predicted center, None if the joint was not located.
    truth : mapping of FacetJoint to JointFrame
        All true joints of the patient, those of other levels included: they are what
        a wrong level is recognized by.
    tolerance_mm : float
        Largest distance at which the name counts as right.

    Returns
    -------
    JointCheck
        What was right, and the error in mm.

    Raises
    ------
    ValueError
        If `truth` does not hold the joint.
    """
    if joint not in truth:
        raise ValueError(f"truth must hold {joint}, got {[str(j) for j in truth]}")
    if center_lps_mm is None:
        return NOT_LOCATED
    names = list(truth)
    distances_mm = _distances_mm(center_lps_mm, [truth[name] for name in names])
    nearest = names[int(np.argmin(distances_mm))]
    error_mm = float(distances_mm[names.index(joint)])
    return JointCheck(
        located=True,
        right=nearest == joint and error_mm <= tolerance_mm,
        level_right=nearest.level == joint.level,
        side_right=nearest.side == joint.side,
        error_mm=error_mm,
        offset_mm=offset_mm(center_lps_mm, truth[joint]),
    )


def offset_mm(
    center_lps_mm: NDArray[np.float64], frame: JointFrame
) -> tuple[float, float, float]:
    """Return center minus true center along (cranial, posterior, lateral)."""
    difference = np.asarray(center_lps_mm, np.float64) - frame.center_lps_mm
    axes = np.stack([frame.cranial, frame.posterior, frame.lateral])
    cranial, posterior, lateral = axes @ difference
    return float(cranial), float(posterior), float(lateral)


def _distances_mm(
    center_lps_mm: NDArray[np.float64], frames: Sequence[JointFrame]
) -> NDArray[np.float64]:
    """Return the distance of a point to each true center."""
    centers = np.stack([frame.center_lps_mm for frame in frames])
    distances: NDArray[np.float64] = np.linalg.norm(centers - center_lps_mm, axis=1)
    return distances
