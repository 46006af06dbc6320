"""Sacrum made of solids along its own curve, in the frame of S1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side, Structure
from facetgrade.simulate.anatomy.curve import SpineCurve, curve_through
from facetgrade.simulate.anatomy.parametric import BodyStyle, JointShape
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import SACRAL, sacral_heights
from facetgrade.simulate.anatomy.primitives import (
    Axes,
    Field,
    cylinder,
    limb,
    slab,
    smooth_max,
    smooth_min,
)
from facetgrade.simulate.anatomy.template import (
    FAR_MM,
    VertebraTemplate,
    local_grid,
    open_axes,
)

# Extents of the segments S1 to S5 relative to the upper endplate, and of the wings.
_BODY_WIDTH = np.array([0.9, 0.66, 0.54, 0.46, 0.38])
_BODY_DEPTH = np.array([0.84, 0.6, 0.48, 0.4, 0.34])
_WING_WIDTH = np.array([1.0, 0.96, 0.82, 0.6, 0.42])


def sacral_half_extents(
    person: Person,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return half widths and half depths of the bodies S1 to S5 in mm."""
    size, style = person.sizes["S1"], person.sacrum
    width = _BODY_WIDTH * np.array(style.width_scale)
    depth = _BODY_DEPTH * np.array(style.depth_scale)
    # A lumbarised S1 and its neighbor are square.
    grown = np.array([0.1, 0.2, 0.05, 0.0, 0.0]) * person.variant.lumbarised
    width, depth = width * (1.0 + grown), depth * (1.0 + grown)
    return width * size.width_upper / 2.0, depth * size.depth_upper / 2.0


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
    person: Person,
    *,
    superior: Mapping[Side, JointShape],
    style: BodyStyle,
    spacing_mm: float,
) -> tuple[VertebraTemplate, NDArray[np.uint8]]:
    """Build the sacrum of one person.

    Parameters
    ----------
    person : Person
        Sizes, posture and shape of the sacrum.
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
    curve, wing = _sacral_curve(person), person.wing_half_mm
    geometry = local_grid(
        np.array([-wing - 6.0, -30.0, curve.points[:, 2].min() - 12.0]),
        np.array([wing + 6.0, curve.points[:, 1].max() + 45.0, 40.0]),
        spacing_mm,
    )
    axes = open_axes(geometry)
    place = _coordinates(axes, curve, person)
    bodies = _bodies(place, curve, person, style)
    wings, arch = _wings(place, curve, person), _arch(place)
    processes = _processes(axes, superior, person)
    rest = smooth_min(smooth_min(wings, arch, 4.0), processes, 4.0)
    rest = np.maximum(rest, -_canal(place))
    # Wings would fill the remnants of the discs within the bodies.
    core = (_radius(place, style.squareness) - 0.9) * place.half_depth
    rest = np.asarray(np.maximum(rest, -core), np.float32)
    joined = np.maximum(smooth_min(bodies, rest, 3.0), -_foramina(place, curve))
    parts = np.full(geometry.shape, Structure.LAMINA, np.uint8)
    parts[(bodies <= rest) | (bodies < 0.0)] = Structure.VERTEBRAL_BODY
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
    )
    segments = np.digitize(place.along, _borders(curve)).astype(np.uint8)
    return template, np.broadcast_to(segments, geometry.shape)


def _sacral_curve(person: Person) -> SpineCurve:
    """Return the curve from the top of S1 to the end of S5, in the frame of S1."""
    first = person.poses["S1"]
    heights = sacral_heights(person.sizes["S1"])
    top = first.to_lps(np.array([0.0, 0.0, heights[0] / 2.0]))
    centers = [person.poses[name].center_lps_mm for name in SACRAL]
    last = person.poses[SACRAL[-1]].to_lps(np.array([0.0, 0.0, -heights[-1] / 2.0]))
    return curve_through(first.to_local(np.array([top, *centers, last])), smooth_mm=6.0)


def _centers(curve: SpineCurve) -> NDArray[np.float64]:
    """Return the distances along the curve of the middles of S1 to S5."""
    return curve.stations[1:-1]


def _borders(curve: SpineCurve) -> NDArray[np.float64]:
    """Return the distances along the curve of the remnants below S1 to S4."""
    weights = np.array([0.52, 0.53, 0.53, 0.53])
    centers = _centers(curve)
    return np.asarray(centers[:-1] * (1 - weights) + centers[1:] * weights)


def _coordinates(axes: Axes, curve: SpineCurve, person: Person) -> _Field:
    """Evaluate curve coordinates and sizes on the grid."""
    x, y, z = axes
    along, back = curve.locate(y[0, :, 0], z[:, 0, 0])
    stations = curve.stations[:-1]
    size, wing = person.sizes["S1"], person.wing_half_mm
    half_width, half_depth = sacral_half_extents(person)

    def spread(first: float, values: NDArray[np.float64]) -> Field:
        table = np.concatenate([[first], values])
        return np.asarray(np.interp(along, stations, table), np.float32)[:, :, None]

    return _Field(
        x=x,
        along=along[:, :, None],
        back=back[:, :, None],
        half_width=spread(size.width_upper / 2.0, half_width),
        half_depth=spread(size.depth_upper / 2.0, half_depth),
        wing=spread(wing, _WING_WIDTH * wing),
    )


def _radius(place: _Field, power: float) -> Field:
    """Return 1 on the outline of the bodies, less inside."""
    power32 = np.float32(power)
    total = (np.abs(place.x) / place.half_width) ** power32 + (
        np.abs(place.back) / place.half_depth
    ) ** power32
    return np.asarray(total ** np.float32(1.0 / power), np.float32)


def _bodies(
    place: _Field, curve: SpineCurve, person: Person, style: BodyStyle
) -> Field:
    """Signed distance of the five bodies, parted by the remnants of the discs."""
    radius = _radius(place, style.squareness)
    side = (radius - 1.0) * place.half_depth
    lean = np.float32(np.tan(np.radians(person.sacrum.table_deg)))
    dish = 0.7 * style.concavity_mm * np.maximum(1.0 - radius**2, 0.0)
    top = curve.stations[0] - place.along - lean * place.back + dish
    end = place.along - curve.stations[-1]
    solid = smooth_max(side, np.asarray(np.maximum(top, end), np.float32), 3.0)
    for border, height in zip(_borders(curve), person.sacrum.remnant_mm, strict=True):
        # Small remnants end inside the bone, large ones reach its surface.
        reach = 0.6 + 0.5 * min(height / 4.0, 1.0)
        lens = height / 2.0 * np.sqrt(np.maximum(1.0 - (radius / reach) ** 4, 0.0))
        gap = np.abs(place.along - border) - lens
        gap = np.where(lens > 0.0, gap, FAR_MM)
        solid = np.asarray(np.maximum(solid, -gap), np.float32)
        # A groove marks the border on the front.
        groove = np.hypot(side, place.along - border) - 1.5
        solid = np.asarray(np.maximum(solid, -groove), np.float32)
    return solid


def _wings(place: _Field, curve: SpineCurve, person: Person) -> Field:
    """Signed distance of the lateral masses."""
    wing = place.wing * (1.0 - 0.12 * person.variant.lumbarised)
    share = np.clip(np.abs(place.x) / wing, 0.0, 1.2)
    middle = place.half_depth * (0.15 + 0.55 * share)
    thick = place.half_depth * (0.85 - 0.25 * share) + 1.5
    across = np.abs(place.back - middle) - thick
    beyond = np.abs(place.x) - wing
    # The upper border of the ala falls off sideways.
    top = curve.stations[0] + 4.0 + 7.0 * share**2 - place.along
    end = place.along - curve.stations[-1]
    solid = smooth_max(
        np.asarray(across, np.float32), np.asarray(beyond, np.float32), 8.0
    )
    return smooth_max(solid, np.asarray(np.maximum(top, end), np.float32), 5.0)


def _canal(place: _Field) -> Field:
    """Signed distance of the sacral canal, which narrows downward."""
    half_depth = 0.55 * place.half_depth
    half_width = 0.62 * place.half_width
    back = place.back - place.half_depth - half_depth * 0.95
    radius = np.sqrt((place.x / half_width) ** 2 + (back / half_depth) ** 2)
    return np.asarray((radius - 1.0) * half_depth, np.float32)


def _arch(place: _Field) -> Field:
    """Signed distance of the laminae and the median crest."""
    wall = np.maximum(_canal(place) - 5.0, place.half_depth * 0.9 - place.back)
    crest_back = place.back - (place.half_depth * 2.1 + 8.0)
    crest = np.maximum(np.abs(place.x) - 3.0, np.abs(crest_back) - 6.0)
    joined = smooth_min(wall, np.asarray(crest, np.float32), 3.0)
    return np.asarray(np.maximum(joined, 6.0 - place.along), np.float32)


def _processes(
    axes: Axes, superior: Mapping[Side, JointShape], person: Person
) -> Field:
    """Signed distance of the two superior articular processes of S1."""
    size = person.sizes["S1"]
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
        beside = side.sign * (size.width_upper / 2.0 + 4.0)
        base = np.array([beside, size.depth_upper * 0.62, size.height * 0.5 - 12.0])
        cushion = slab(axes, middle, site.axes, half)
        stem = limb(axes, foot, base, radii_mm=(6.0, 8.0))
        surface = cylinder(axes, site.center_mm, site.axes, joint.curvature)
        process = smooth_max(
            smooth_min(cushion, stem, 4.0), joint.gap_mm / 2.0 - surface, 1.0
        )
        total = np.minimum(total, process)
    return total


def _foramina(place: _Field, curve: SpineCurve) -> Field:
    """Signed distance of the sacral foramina between the segments."""
    total: Field = np.full((1, 1, 1), FAR_MM, np.float32)
    for upper, lower in pairwise(_centers(curve)):
        middle = (upper + lower) / 2.0
        radius = 0.2 * (lower - upper)
        out = np.abs(place.x) - (place.half_width + radius * 0.9)
        hole = np.sqrt(out**2 + (place.along - middle) ** 2) - radius
        total = np.minimum(total, np.asarray(hole, np.float32))
    return total
