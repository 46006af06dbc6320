"""Frame, sizes and facets of a vertebra given as a surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.meshes import Surface
from facetgrade.simulate.anatomy.template import FacetSite

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class BodyMeasures:
    """Frame and sizes of a body.

    Attributes
    ----------
    center_mm : (3,) float64 ndarray
        Middle of the body in the frame of the surface.
    axes : (3, 3) float64 ndarray
        Left, posterior and cranial directions as rows.
    width, depth, height : float
        Extents in mm.
    wedge_deg : float
        Angle between the endplates, positive when the front is higher.
    """

    center_mm: Array
    axes: Array
    width: float
    depth: float
    height: float
    wedge_deg: float


def measure_body(surface: Surface) -> BodyMeasures:
    """Find the body of a vertebra and its endplates.

    Parameters
    ----------
    surface : Surface
        Vertebra within some 40 degrees of upright, facing -y.
    """
    points, normals, areas = surface.samples()
    front = float(points[:, 1].min())
    middle = float(np.median(points[points[:, 1] < front + 25.0, 0]))
    upper = _endplate(points, normals, areas, 1, front=front, middle=middle)
    lower = _endplate(points, normals, areas, -1, front=front, middle=middle)
    cranial = upper[1] - lower[1]
    cranial /= np.linalg.norm(cranial)
    left = np.array([1.0, 0.0, 0.0]) - cranial * cranial[0]
    left /= np.linalg.norm(left)
    axes = np.stack([left, np.cross(cranial, left), cranial])
    local = (points - (upper[0] + lower[0]) / 2.0) @ axes.T
    facing = normals @ axes.T
    waist = (np.abs(local[:, 2]) < 8.0) & (np.abs(local[:, 0]) < 7.0)
    anterior = local[waist & (facing[:, 1] < -0.7) & (local[:, 1] < 0.0), 1]
    back = waist & (facing[:, 1] > 0.7) & (np.abs(local[:, 1] - 16.0) < 10.0)
    ends = float(np.median(anterior)), float(np.median(local[back, 1]))
    shift = (ends[0] + ends[1]) / 2.0
    sides = np.abs(local[(np.abs(local[:, 1] - shift) < 8.0), 0])
    lean = np.arctan2(-upper[1] @ axes[1], upper[1] @ axes[2]) - np.arctan2(
        lower[1] @ axes[1], -lower[1] @ axes[2]
    )
    center = (upper[0] + lower[0]) / 2.0 + shift * axes[1]
    gap = (upper[0] - lower[0]) @ cranial
    return BodyMeasures(
        center_mm=center,
        axes=axes,
        width=2.0 * float(np.percentile(sides, 95)),
        depth=ends[1] - ends[0] + 2.0,
        height=float(gap),
        wedge_deg=float(-np.degrees(lean)),
    )


def _endplate(
    points: Array,
    normals: Array,
    areas: Array,
    sign: int,
    *,
    front: float,
    middle: float,
) -> tuple[Array, Array]:
    """Return middle and outward normal of the upper (1) or lower (-1) endplate."""
    chosen = (
        (sign * normals[:, 2] > 0.7)
        & (points[:, 1] < front + 27.0)
        & (points[:, 1] > front + 5.0)
        & (np.abs(points[:, 0] - middle) < 16.0)
    )
    center, normal = np.zeros(3), np.zeros(3)
    for _ in range(3):
        weight = areas[chosen] / areas[chosen].sum()
        center = weight @ points[chosen]
        offset = (points[chosen] - center) * np.sqrt(weight)[:, None]
        normal = np.linalg.svd(offset, full_matrices=False)[2][2]
        normal *= sign * np.sign(normal[2])
        away = np.abs((points - center) @ normal)
        chosen = (
            (normals @ normal > 0.75)
            & (away < 3.0)
            & (points[:, 1] < front + 34.0)
            & (np.abs(points[:, 0] - middle) < 18.0)
        )
    return center, normal


def to_frame(surface: Surface, body: BodyMeasures) -> Surface:
    """Express a surface in the frame of its body."""
    return Surface(
        vertices_mm=(surface.vertices_mm - body.center_mm) @ body.axes.T,
        faces=surface.faces,
    )


def facet_patch(
    surface: Surface, body: BodyMeasures, side: Side, *, superior: bool
) -> FacetSite:
    """Find one articular surface of a vertebra in its own frame.

    Parameters
    ----------
    surface : Surface
        Vertebra in the frame of its body.
    body : BodyMeasures
        Its sizes.
    side : Side
        Side of the patient.
    superior : bool
        True for the superior articular process.
    """
    points, normals, areas = surface.samples()
    sign = side.sign
    facing = np.array([0.75 * sign, -0.66, 0.0]) * (-1.0 if superior else 1.0)
    beside = sign * points[:, 0]
    chosen = (normals @ facing > 0.6) & (beside > 5.0) & (beside < 30.0)
    chosen &= points[:, 1] > body.depth / 2.0 + 7.0
    height = points[:, 2]
    if superior:
        chosen &= (height > 0.2 * body.height) & (height < body.height)
    else:
        tip = height[points[:, 1] > body.depth / 2.0 + 7.0]
        lowest = float(tip[np.argsort(tip)[: max(len(tip) // 100, 1)]].mean())
        chosen &= height < min(-0.35 * body.height, lowest + 18.0)
    return _site(
        points[chosen], normals[chosen], areas[chosen], side, superior=superior
    )


def contact_patch(
    upper: Surface, lower: Surface, body: BodyMeasures, side: Side, *, reach_mm: float
) -> FacetSite | None:
    """Find where the arches of two neighbors nearly touch on one side.

    Parameters
    ----------
    upper, lower : Surface
        Neighbors in their natural places.
    body : BodyMeasures
        Body of the upper one.
    side : Side
        Side of the patient.
    reach_mm : float
        Largest distance of the bones.

    Returns
    -------
    FacetSite or None
        In the common frame of the surfaces; None if they are apart.
    """
    points, normals, areas = upper.samples()
    others, facing, _ = lower.samples()
    distance, nearest = cKDTree(others).query(points, distance_upper_bound=reach_mm)
    local = (points - body.center_mm) @ body.axes.T
    close = np.isfinite(distance) & (side.sign * local[:, 0] > 5.0)
    close &= (local[:, 1] > body.depth / 2.0 + 6.0) & (np.abs(normals[:, 2]) < 0.7)
    close[close] &= np.einsum("ij,ij->i", normals[close], facing[nearest[close]]) < -0.5
    if close.sum() < 20:
        return None
    middle = (points[close] + others[nearest[close]]) / 2.0
    return _site(middle, normals[close], areas[close], side, superior=False)


def _site(
    points: Array, normals: Array, areas: Array, side: Side, *, superior: bool
) -> FacetSite:
    """Make a site from the triangles of an articular surface."""
    weight = areas / areas.sum()
    center = weight @ points
    normal = weight @ normals * (-1.0 if superior else 1.0)
    normal /= np.linalg.norm(normal)
    cranial = np.array([0.0, 0.0, 1.0]) - normal * normal[2]
    cranial /= np.linalg.norm(cranial)
    across = np.cross(cranial, normal) * side.sign
    spread = (points - center) @ np.stack([across, cranial]).T
    extent = 4.0 * np.sqrt(weight @ spread**2)
    return FacetSite(
        center_mm=center,
        normal=normal,
        across=across,
        cranial=cranial,
        width_mm=float(extent[0]),
        height_mm=float(extent[1]),
    )
