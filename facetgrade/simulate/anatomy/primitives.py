"""Signed distances of simple solids on open grids, in mm, negative inside."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Field = NDArray[np.float32]
Axes = tuple[Field, Field, Field]


def smooth_min(a: Field, b: Field, radius_mm: float) -> Field:
    """Join two solids with a fillet."""
    blend = np.maximum(radius_mm - np.abs(a - b), 0.0) / radius_mm
    joined: Field = np.minimum(a, b) - blend * blend * np.float32(radius_mm / 4.0)
    return joined


def smooth_max(a: Field, b: Field, radius_mm: float) -> Field:
    """Cut two solids with a rounded edge."""
    return -smooth_min(-a, -b, radius_mm)


def limb(
    axes: Axes,
    start_mm: ArrayLike,
    end_mm: ArrayLike,
    *,
    radii_mm: tuple[float, float],
    stretch: float = 1.0,
) -> Field:
    """Round bar between two points.

    Parameters
    ----------
    axes : tuple of three arrays
        x, y, z that broadcast against each other.
    start_mm, end_mm : (3,) array
        End points.
    radii_mm : tuple of float
        Horizontal radius at the start and at the end.
    stretch : float
        Vertical radius divided by the horizontal one.
    """
    start, end = (np.array(p, np.float64) for p in (start_mm, end_mm))
    start[2], end[2] = start[2] / stretch, end[2] / stretch
    run = end - start
    x, y, z = axes
    dx, dy, dz = x - start[0], y - start[1], z / stretch - start[2]
    t = np.clip((dx * run[0] + dy * run[1] + dz * run[2]) / (run @ run), 0.0, 1.0)
    distance = np.sqrt(
        (dx - t * run[0]) ** 2 + (dy - t * run[1]) ** 2 + (dz - t * run[2]) ** 2
    )
    solid: Field = (distance - (radii_mm[0] + t * (radii_mm[1] - radii_mm[0]))).astype(
        np.float32
    )
    return solid


def plate(
    axes: Axes,
    start_mm: ArrayLike,
    end_mm: ArrayLike,
    *,
    half_thickness_mm: float,
    half_heights_mm: tuple[float, float],
    lean: float = 0.0,
) -> Field:
    """Upright plate over a horizontal line.

    Parameters
    ----------
    axes : tuple of three arrays
        x, y, z that broadcast against each other.
    start_mm, end_mm : (3,) array
        Ends of the middle line.
    half_thickness_mm : float
        Half of the thickness across the line.
    half_heights_mm : tuple of float
        Half of the height at the start and at the end.
    lean : float
        How far the plate moves backward per mm of descent.
    """
    start, end = np.asarray(start_mm, float), np.asarray(end_mm, float)
    run = end - start
    x, y, z = axes
    dx = x - start[0]
    dy = y - start[1] + lean * (z - start[2])
    flat = max(run[0] ** 2 + run[1] ** 2, 1e-6)
    t = np.clip((dx * run[0] + dy * run[1]) / flat, 0.0, 1.0)
    beside = np.sqrt((dx - t * run[0]) ** 2 + (dy - t * run[1]) ** 2)
    half = half_heights_mm[0] + t * (half_heights_mm[1] - half_heights_mm[0])
    over = np.abs(z - start[2] - t * run[2]) - half + half_thickness_mm
    solid: Field = (
        np.sqrt(beside**2 + np.maximum(over, 0.0) ** 2) - half_thickness_mm
    ).astype(np.float32)
    return solid


def slab(
    axes: Axes, center_mm: ArrayLike, frame: ArrayLike, half_mm: ArrayLike
) -> Field:
    """Cushion with rounded corners; rows of `frame` are its unit axes."""
    center, half = np.asarray(center_mm, float), np.asarray(half_mm, float)
    x, y, z = (a - c for a, c in zip(axes, center, strict=True))
    total = np.zeros((), np.float32)
    for row, extent in zip(np.asarray(frame, float), half, strict=True):
        along = (x * row[0] + y * row[1] + z * row[2]) / extent
        total = total + np.abs(along) ** np.float32(3.0)
    solid: Field = ((total ** np.float32(1 / 3.0)) - 1.0) * np.float32(half.min())
    return solid


def cylinder(
    axes: Axes, center_mm: ArrayLike, frame: ArrayLike, curvature: float
) -> Field:
    """Signed distance to the curved surface of a joint.

    The surface passes through `center_mm`, bends around an axis parallel to the
    third row of `frame` that lies on the negative side of the first row, and is
    flat for zero curvature. Values are positive on the side of the first row.
    """
    center, frame = np.asarray(center_mm, float), np.asarray(frame, float)
    x, y, z = (a - c for a, c in zip(axes, center, strict=True))
    depth = x * frame[0, 0] + y * frame[0, 1] + z * frame[0, 2]
    across = x * frame[1, 0] + y * frame[1, 1] + z * frame[1, 2]
    if curvature < 1e-4:
        flat: Field = depth.astype(np.float32)
        return flat
    radius = 1.0 / curvature
    curved: Field = (np.sqrt((depth + radius) ** 2 + across**2) - radius).astype(
        np.float32
    )
    return curved
