"""Sacrum made of solids along its own curve, in the frame of S1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side, Structure
from facetgrade.simulate.anatomy.curve import SpineCurve, curve_through
from facetgrade.simulate.anatomy.parametric import (
    BodyStyle,
    JointShape,
    endplate,
)
from facetgrade.simulate.anatomy.posture import SACRAL, Pose, sacral_heights
from facetgrade.simulate.anatomy.primitives import (
    Axes,
    Field,
    cylinder,
    limb,
    slab,
    smooth_max,
    smooth_min,
)
from facetgrade.simulate.anatomy.proportions import Proportions
from facetgrade.simulate.anatomy.template import (
    FAR_MM,
    VertebraTemplate,
    local_grid,
    open_axes,
)

# Half extents of the segments S1 to S5 relative to those of S1.
BODY_WIDTH = np.array([0.92, 0.66, 0.54, 0.46, 0.38])
BODY_DEPTH = np.array([0.86, 0.62, 0.5, 0.42, 0.36])
_WING_WIDTH = np.array([1.0, 0.96, 0.82, 0.6, 0.42])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SacralShape:
    """Numbers of one sacrum.

    Attributes
    ----------
    size : Proportions
        Sizes of S1.
    disc_mm : float
        Height of the disc below S1.
    wing_half_mm : float
        Half width of the sacrum at S1.
    lumbarised : float
        0 ordinary to 1 with a square, separate S1.
    """

    size: Proportions
    disc_mm: float
    wing_half_mm: float
    lumbarised: float


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Field:
    """Curve coordinates and interpolated sizes on the template grid."""

    x: Field
    along: Field
    back: Field
    half_width: Field
    half_depth: Field
    wing: Field


def build_sacrum(
    shape: SacralShape,
    poses: Mapping[str, Pose],
    *,
    superior: Mapping[Side, JointShape],
    style: BodyStyle,
    spacing_mm: float,
) -> tuple[VertebraTemplate, NDArray[np.uint8]]:
    """Build the sacrum.

    Parameters
    ----------
    shape : SacralShape
        Its numbers.
    poses : mapping of str to Pose
        Bodies S1 to S5 in LPS mm.
    superior : mapping of Side to JointShape
        Joints with L5 in the frame of S1.
    style : BodyStyle
        Shape of the bodies.
    spacing_mm : float
        Voxel size.

    Returns
    -------
    template : VertebraTemplate
        Named S1; has no inferior facets.
    segments : (K, J, I) uint8 ndarray
        0 for S1 to 4 for S5, on the grid of the template.
    """
    size = shape.size
    curve = _sacral_curve(shape, poses)
    geometry = local_grid(
        np.array([-shape.wing_half_mm - 6.0, -30.0, curve.points[:, 2].min() - 12.0]),
        np.array([shape.wing_half_mm + 6.0, curve.points[:, 1].max() + 45.0, 40.0]),
        spacing_mm,
    )
    axes = open_axes(geometry)
    place = _coordinates(axes, curve, shape)
    bodies = _bodies(place, shape, curve, style)
    wings = _wings(place, curve, shape)
    arch = _arch(place, size)
    processes = _processes(axes, superior, shape)
    rest = np.maximum(
        smooth_min(smooth_min(wings, arch, 4.0), processes, 4.0), -_canal(place, size)
    )
    joined = smooth_min(bodies, rest, 3.0)
    joined = np.maximum(joined, -_foramina(place, curve, shape))
    parts = np.full(geometry.shape, Structure.LAMINA, np.uint8)
    parts[bodies <= rest] = Structure.VERTEBRAL_BODY
    parts[(processes < bodies) & (processes <= np.minimum(wings, arch))] = (
        Structure.SUPERIOR_ARTICULAR_PROCESS
    )
    template = VertebraTemplate(
        name="S1",
        geometry=geometry,
        distance_mm=np.clip(joined, -FAR_MM, FAR_MM).astype(np.float32),
        parts=parts,
        superior={s: j.site for s, j in superior.items()},
        inferior={},
        upper=endplate(size, 1),
        lower=endplate(size, -1),
    )
    borders = curve.stations[1::2][1:]
    segments = np.digitize(place.along, borders).astype(np.uint8)
    return template, np.broadcast_to(segments, geometry.shape)


def _sacral_curve(shape: SacralShape, poses: Mapping[str, Pose]) -> SpineCurve:
    """Return the curve from the top of S1 to the end of S5, in the frame of S1."""
    first = poses["S1"]
    heights = sacral_heights(shape.size)
    points = []
    for name, height in zip(SACRAL, heights, strict=True):
        pose = poses[name]
        points.append(pose.to_lps(np.array([0.0, 0.0, height / 2.0])))
        points.append(pose.center_lps_mm)
    last = poses[SACRAL[-1]].to_lps(np.array([0.0, 0.0, -heights[-1] / 2.0]))
    return curve_through(first.to_local(np.array([*points, last])), smooth_mm=6.0)


def _coordinates(axes: Axes, curve: SpineCurve, shape: SacralShape) -> _Field:
    """Evaluate curve coordinates and sizes on the grid."""
    x, y, z = axes
    along, back = curve.locate(y[0, :, 0], z[:, 0, 0])
    centers = curve.stations[1::2][: len(SACRAL)]
    size, freed = shape.size, shape.lumbarised
    width, depth = BODY_WIDTH.copy(), BODY_DEPTH.copy()
    width[1] *= 1.0 + 0.2 * freed
    depth[1] *= 1.0 + 0.2 * freed
    top = curve.stations[0]
    stations = np.concatenate([[top], centers])

    def spread(values: NDArray[np.float64], first: float) -> Field:
        table = np.concatenate([[first], values])
        return np.asarray(np.interp(along, stations, table), np.float32)[:, :, None]

    return _Field(
        x=x,
        along=along[:, :, None],
        back=back[:, :, None],
        half_width=spread(width * size.width_upper / 2.0, size.width_upper / 2.0),
        half_depth=spread(depth * size.depth_upper / 2.0, size.depth_upper / 2.0),
        wing=spread(_WING_WIDTH * shape.wing_half_mm, shape.wing_half_mm),
    )


def _bodies(
    place: _Field, shape: SacralShape, curve: SpineCurve, style: BodyStyle
) -> Field:
    """Signed distance of the five bodies, split by a disc below S1."""
    power = np.float32(style.squareness)
    radius = (
        (np.abs(place.x) / place.half_width) ** power
        + (np.abs(place.back) / place.half_depth) ** power
    ) ** (1.0 / power)
    side = (radius - 1.0) * place.half_depth
    top = (
        curve.stations[0]
        - place.along
        + style.concavity_mm * np.maximum(1.0 - radius**2, 0.0) * np.float32(0.7)
    )
    end = place.along - curve.stations[-1]
    solid = smooth_max(side, np.maximum(top, end).astype(np.float32), 3.0)
    border = (curve.stations[1] + curve.stations[3]) / 2.0
    # The remnant is a lens that reaches the front and, when large, the back.
    reach = 0.55 + 0.45 * min(shape.disc_mm / 6.0, 1.0)
    lens = (
        shape.disc_mm
        / 2.0
        * np.sqrt(np.maximum(1.0 - (radius / reach / 1.05) ** 4, 0.0))
    )
    remnant = np.abs(place.along - border) - lens
    solid = np.maximum(solid, -remnant)
    # Lower remnants are thin bone scars: shallow grooves at the front suffice.
    return solid.astype(np.float32)


def _wings(place: _Field, curve: SpineCurve, shape: SacralShape) -> Field:
    """Signed distance of the lateral masses."""
    wing = place.wing * (1.0 - 0.12 * shape.lumbarised)
    share = np.clip(np.abs(place.x) / wing, 0.0, 1.2)
    middle = place.half_depth * (0.15 + 0.55 * share)
    thick = place.half_depth * (0.85 - 0.25 * share) + 1.5
    across = np.abs(place.back - middle) - thick
    beyond = np.abs(place.x) - wing
    # The upper border of the ala falls off sideways.
    top = curve.stations[0] + 4.0 + 7.0 * share**2 - place.along
    end = place.along - curve.stations[-1]
    solid = smooth_max(across.astype(np.float32), beyond.astype(np.float32), 8.0)
    return smooth_max(solid, np.maximum(top, end).astype(np.float32), 5.0)


def _canal(place: _Field, size: Proportions) -> Field:
    """Signed distance of the sacral canal, which narrows downward."""
    half_depth = 0.55 * place.half_depth
    half_width = 0.62 * place.half_width
    back = place.back - place.half_depth - half_depth * 0.95
    radius = np.sqrt((place.x / half_width) ** 2 + (back / half_depth) ** 2)
    del size
    canal: Field = ((radius - 1.0) * half_depth).astype(np.float32)
    return canal


def _arch(place: _Field, size: Proportions) -> Field:
    """Signed distance of the laminae and the median crest."""
    wall = _canal(place, size) - 5.0
    below = place.half_depth * 0.9 - place.back
    wall = np.maximum(wall, below)
    crest_back = place.back - (place.half_depth * 2.1 + 8.0)
    crest = np.maximum(np.abs(place.x) - 3.0, np.abs(crest_back) - 6.0)
    top = 6.0 - place.along
    return np.maximum(smooth_min(wall, crest.astype(np.float32), 3.0), top).astype(
        np.float32
    )


def _processes(
    axes: Axes, superior: Mapping[Side, JointShape], shape: SacralShape
) -> Field:
    """Signed distance of the two superior articular processes of S1."""
    total: Field = np.full((1, 1, 1), FAR_MM, np.float32)
    for side, joint in superior.items():
        site, thick = joint.site, 8.5 + 2.0 * joint.arthrosis
        middle = site.center_mm + site.normal * (joint.gap_mm / 2.0 + thick / 2.0 - 0.8)
        grown = 1.0 + 2.0 * joint.arthrosis
        half = (
            thick / 2.0 + 1.0,
            site.width_mm / 2.0 + grown,
            site.height_mm / 2.0 + grown,
        )
        foot = site.center_mm + site.normal * 5.0 - site.cranial * 6.0
        base = np.array(
            [
                side.sign * (shape.size.width_upper / 2.0 + 4.0),
                shape.size.depth_upper * 0.62,
                shape.size.height * 0.5 - 12.0,
            ]
        )
        cushion = slab(axes, middle, site.axes, half)
        stem = limb(axes, foot, base, radii_mm=(6.0, 8.0))
        surface = cylinder(axes, site.center_mm, site.axes, joint.curvature)
        process = smooth_max(
            smooth_min(cushion, stem, 4.0), joint.gap_mm / 2.0 - surface, 1.0
        )
        total = np.minimum(total, process)
    return total


def _foramina(place: _Field, curve: SpineCurve, shape: SacralShape) -> Field:
    """Signed distance of the sacral foramina between the segments."""
    centers = curve.stations[1::2][: len(SACRAL)]
    total = np.full((1, 1, 1), FAR_MM, np.float32)
    for upper, lower in pairwise(centers):
        middle = (upper + lower) / 2.0
        radius = 0.2 * (lower - upper)
        out = np.abs(place.x) - (place.half_width + radius * 0.9)
        hole = np.sqrt(out**2 + (place.along - middle) ** 2) - radius
        total = np.minimum(total, hole.astype(np.float32))
    del shape
    return total
