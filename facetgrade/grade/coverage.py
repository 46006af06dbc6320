"""Which slices pass through a joint, and whether they are stacked as slices are."""

from __future__ import annotations

import numpy as np

from facetgrade.findings import LocatedJoint
from facetgrade.study import Series, Stack


def stacks_at(series: Series, location: LocatedJoint) -> list[Stack]:
    """List the stacks of a series that cover the center of a joint."""
    center = location.frame.center_lps_mm
    return [s for s in series.stacks if bool(s.volume.geometry.contains(center))]


def slices_through(
    stack: Stack, location: LocatedJoint, radius_mm: float
) -> tuple[int, int]:
    """Count the slices of a stack that pass near the center of a joint.

    Parameters
    ----------
    stack : Stack
        Missing slices and those that only repeat their neighbor are not acquired.
    location : LocatedJoint
        The joint.
    radius_mm : float
        Slices so near to the center pass through the joint.

    Returns
    -------
    int, int
        Acquired slices, and all slices of the grid.
    """
    geometry = stack.volume.geometry
    index = geometry.to_index(location.frame.center_lps_mm)
    in_plane = (index[1:] >= -0.5) & (index[1:] <= np.asarray(geometry.shape[1:]) - 0.5)
    if not in_plane.all():
        return 0, 0
    slices = np.arange(geometry.shape[0])
    distance_mm = np.abs(slices - index[0]) * geometry.spacing_mm[0]
    near = slices[distance_mm <= radius_mm]
    acquired = np.setdiff1d(near, [*stack.missing_slices, *_repeated(stack)])
    return len(acquired), len(near)


def shear_deg(stack: Stack) -> float:
    """Return the angle between the step from slice to slice and their normal."""
    step, rows, columns = stack.volume.geometry.axes
    normal = np.cross(rows, columns)
    cosine = abs(float(step @ normal)) / float(np.linalg.norm(normal))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _repeated(stack: Stack) -> list[int]:
    """List slices of an unevenly spaced stack that only repeat the image before."""
    frames = list(zip(stack.instance_uids, stack.frame_numbers, strict=False))
    return [k for k in range(1, len(frames)) if frames[k] == frames[k - 1]]
