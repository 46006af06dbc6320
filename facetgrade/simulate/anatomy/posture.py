"""How the vertebrae of one person are stacked, and where their joints must lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.proportions import CHAIN, Proportions, facet_axes
from facetgrade.simulate.anatomy.template import Array, FacetSite

SACRAL = ("S1", "S2", "S3", "S4", "S5")
_SACRAL_HEIGHT = (1.0, 0.86, 0.72, 0.62, 0.55)  # of the height of S1
_KYPHOSIS_SHARE = (0.12, 0.22, 0.36, 0.3)  # of the sacral kyphosis below S1..S4


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Pose:
    """Place of a body: its middle and the unit axes left, posterior, cranial.

    `axes` holds the axes as rows, so that LPS = center + local @ axes.
    """

    name: str
    center_lps_mm: Array
    axes: Array

    def to_lps(self, local_mm: Array) -> Array:
        """Map local (left, posterior, cranial) points to LPS mm."""
        return np.asarray(self.center_lps_mm + np.asarray(local_mm) @ self.axes)

    def to_local(self, lps_mm: Array) -> Array:
        """Map LPS mm points to local mm."""
        return np.asarray((np.asarray(lps_mm) - self.center_lps_mm) @ self.axes.T)

    @property
    def local_to_lps(self) -> NDArray[np.float64]:
        """(4, 4) matrix of `to_lps`."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes.T
        matrix[:3, 3] = self.center_lps_mm
        return matrix


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Interspace:
    """What lies between two vertebrae.

    Attributes
    ----------
    upper, lower : str
        Names of the vertebrae.
    pose : Pose
        Middle and mean axes of the disc.
    height_mm : float
        Middle height of the disc.
    degeneration : float
        0 healthy to 1 dark and narrow.
    facets : mapping of Side to FacetSite
        Joints in LPS mm.
    gap_mm : mapping of Side to float
        Bone-to-bone width of the joints.
    curvature : mapping of Side to float
        Bend of the joint lines, 1 / mm.
    arthrosis : mapping of Side to float
        0 healthy to 1 with large osteophytes.
    """

    upper: str
    lower: str
    pose: Pose
    height_mm: float
    degeneration: float
    facets: Mapping[Side, FacetSite]
    gap_mm: Mapping[Side, float]
    curvature: Mapping[Side, float]
    arthrosis: Mapping[Side, float]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Alignment:
    """Angles and shifts of one person, in degrees and mm, by vertebra name.

    Attributes
    ----------
    tilt, roll, turn : mapping of str to float
        Forward lean, sideways lean, axial rotation of each vertebra of the chain
        and of the sacral segments (tilt only).
    slip : mapping of str to float
        Forward shift of a vertebra over the next lower one.
    disc_height : mapping of str to float
        Middle height of the disc below each vertebra.
    """

    tilt: Mapping[str, float]
    roll: Mapping[str, float]
    turn: Mapping[str, float]
    slip: Mapping[str, float]
    disc_height: Mapping[str, float]


def rotation(tilt_deg: float, roll_deg: float, turn_deg: float) -> Array:
    """Return the axes of a body as rows from its three angles."""
    a, b, c = np.radians([tilt_deg, roll_deg, turn_deg])
    lean = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    side = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    twist = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray((twist @ side @ lean).T)


def stack_bodies(
    sizes: Mapping[str, Proportions], alignment: Alignment, origin_lps_mm: Array
) -> dict[str, Pose]:
    """Stack the bodies on the sacrum and hang the sacral segments below it.

    Parameters
    ----------
    sizes : mapping of str to Proportions
        Sizes of `CHAIN`.
    alignment : Alignment
        Angles, slips and disc heights.
    origin_lps_mm : (3,) float64 ndarray
        Where the middle of L3 shall be.

    Returns
    -------
    dict of str to Pose
        From the top, the sacral segments S1 to S5 included.
    """
    poses = {"S1": _pose("S1", np.zeros(3), alignment)}
    top = poses["S1"].to_lps(np.array([0.0, 0.0, sizes["S1"].height / 2.0]))
    below = poses["S1"].axes
    for name in reversed(CHAIN[:-1]):
        axes = _pose(name, np.zeros(3), alignment).axes
        middle = below + axes
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        foot = top + alignment.disc_height[name] * middle[2]
        foot = foot - alignment.slip.get(name, 0.0) * middle[1]
        half = sizes[name].height / 2.0
        poses[name] = _pose(name, foot + half * axes[2], alignment)
        top, below = foot + 2.0 * half * axes[2], axes
    _hang_sacrum(poses, sizes["S1"], alignment)
    shift = np.asarray(origin_lps_mm) - poses["L3"].center_lps_mm
    names = (*CHAIN[:-1], *SACRAL)
    return {
        n: Pose(
            name=n,
            center_lps_mm=poses[n].center_lps_mm + shift,
            axes=poses[n].axes,
        )
        for n in names
    }


def _pose(name: str, center: Array, alignment: Alignment) -> Pose:
    """Make the pose of one body from its angles."""
    axes = rotation(
        alignment.tilt[name],
        alignment.roll.get(name, 0.0),
        alignment.turn.get(name, 0.0),
    )
    return Pose(name=name, center_lps_mm=np.asarray(center, float), axes=axes)


def _hang_sacrum(
    poses: dict[str, Pose], first: Proportions, alignment: Alignment
) -> None:
    """Add the poses of S2 to S5 below S1."""
    for k, name in enumerate(SACRAL[1:], start=1):
        above = poses[SACRAL[k - 1]]
        gap = alignment.disc_height["S1"] if k == 1 else 1.0
        joint = above.to_lps(
            np.array([0.0, 0.0, -first.height * _SACRAL_HEIGHT[k - 1] / 2.0 - gap / 2])
        )
        own = _pose(name, np.zeros(3), alignment).axes
        down = first.height * _SACRAL_HEIGHT[k] / 2.0 + gap / 2.0
        poses[name] = _pose(name, joint - down * own[2], alignment)


def sacral_heights(first: Proportions) -> tuple[float, ...]:
    """Return the heights of the segments S1 to S5 in mm."""
    return tuple(first.height * share for share in _SACRAL_HEIGHT)


def sacral_tilts(slope_deg: float, kyphosis_deg: float) -> dict[str, float]:
    """Return the forward lean of S1 to S5."""
    turned = np.cumsum([0.0, *_KYPHOSIS_SHARE]) * kyphosis_deg
    return {n: slope_deg - float(t) for n, t in zip(SACRAL, turned, strict=True)}


def facet_targets(
    size: Proportions, disc: Pose, *, angles_deg: Mapping[Side, float]
) -> dict[Side, FacetSite]:
    """Place the two joints of a level behind its disc.

    Parameters
    ----------
    size : Proportions
        Numbers of the upper vertebra.
    disc : Pose
        Middle of the disc and its axes.
    angles_deg : mapping of Side to float
        Angle of each joint to the sagittal plane.
    """
    targets = {}
    for side, angle in angles_deg.items():
        local = np.array(
            [side.sign * size.facet_spread / 2.0, size.facet_setback, -size.facet_drop]
        )
        axes = np.stack(facet_axes(angle, pitch_deg=8.0, splay_deg=6.0, side=side))
        normal, across, cranial = axes @ disc.axes
        targets[side] = FacetSite(
            center_mm=disc.to_lps(local),
            normal=normal,
            across=across,
            cranial=cranial,
            width_mm=size.facet_width,
            height_mm=size.facet_height,
        )
    return targets


def localize_site(site: FacetSite, pose: Pose) -> FacetSite:
    """Express a joint given in LPS mm in the frame of a vertebra."""
    return FacetSite(
        center_mm=pose.to_local(site.center_mm),
        normal=pose.axes @ site.normal,
        across=pose.axes @ site.across,
        cranial=pose.axes @ site.cranial,
        width_mm=site.width_mm,
        height_mm=site.height_mm,
    )
