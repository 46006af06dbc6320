"""The perimeter of a joint: unrolled (angle by height) and as a ring."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side

SECTORS = 72
MAP_HEIGHT = 20.0
_RING_INNER, _RING_OUTER = 26.0, 40.0
_COUNT_INNER, _COUNT_OUTER = 42.0, 46.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RingSector:
    """One sector of the ring.

    Attributes
    ----------
    path : str
        SVG path around (0, 0), up to 46 units away; posterior is down.
    share : float or None
        Abnormal share of the joint's height, None without soft tissue.
    """

    path: str
    share: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class PerimeterMap:
    """Drawing of the unrolled perimeter and of the ring.

    Attributes
    ----------
    planes : int
        Planes of the joint's height.
    abnormal, no_tissue : str
        SVG paths of the unrolled map: 72 units wide, one per sector, and `MAP_HEIGHT`
        high; its top is the upper end of the joint.
    ring : tuple of RingSector
        As on an axial picture: posterior down, the patient's right on the left.
    counted : str
        SVG path of the sectors that count as abnormal, outside the ring.
    lateral_on_right : bool
        Whether lateral is on the viewer's right (a left joint).
    """

    planes: int
    abnormal: str
    no_tissue: str
    ring: tuple[RingSector, ...]
    counted: str
    lateral_on_right: bool


def draw_perimeter(
    sector_map: NDArray[np.int8], side: Side, *, height_share: float | None
) -> PerimeterMap | None:
    """Draw the perimeter of one joint.

    Parameters
    ----------
    sector_map : (H, 72) int8 ndarray
        1 abnormal, 0 normal, -1 no soft tissue; rows from the bottom, columns from
        posterior over lateral.
    side : Side
        Side of the patient.
    height_share : float or None
        A sector counts when abnormal over this share of the height; None when planes
        are combined in another way.

    Returns
    -------
    PerimeterMap or None
        None when there is nothing to draw.
    """
    if sector_map.size == 0:
        return None
    from_top = sector_map[::-1]
    shares = _shares(sector_map)
    counted = (
        ""
        if height_share is None
        else "".join(
            _arc(k, side, _COUNT_INNER, _COUNT_OUTER)
            for k in range(SECTORS)
            if (sector_map[:, k] == 1).mean() >= max(height_share - 1e-6, 1e-9)
        )
    )
    return PerimeterMap(
        planes=len(sector_map),
        abnormal=cells_path(from_top == 1),
        no_tissue=cells_path(from_top == -1),
        ring=tuple(
            RingSector(path=_arc(k, side, _RING_INNER, _RING_OUTER), share=shares[k])
            for k in range(SECTORS)
        ),
        counted=counted,
        lateral_on_right=side is Side.LEFT,
    )


def _shares(sector_map: NDArray[np.int8]) -> list[float | None]:
    """Measure the abnormal share of each sector's height, None without soft tissue."""
    return [
        float((column == 1).mean()) if (column >= 0).any() else None
        for column in sector_map.T
    ]


def cells_path(chosen: NDArray[np.bool_]) -> str:
    """Draw chosen cells of the unrolled map, neighbors in a row as one box.

    Parameters
    ----------
    chosen : (planes, 72) bool ndarray
        From the top of the joint.

    Returns
    -------
    str
        SVG path, 72 units wide and `MAP_HEIGHT` high.
    """
    high = MAP_HEIGHT / len(chosen)
    boxes = []
    for row, cells in enumerate(chosen):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], cells, [0]]).astype(int)))
        for start, stop in edges.reshape(-1, 2).tolist():
            wide = stop - start
            boxes.append(f"M{start},{row * high:.3f}h{wide}v{high:.3f}h{-wide}z")
    return "".join(boxes)


def _arc(sector: int, side: Side, inner: float, outer: float) -> str:
    """Draw one sector of a ring; angle 0 is posterior (down), growing laterally."""
    start, stop = (2.0 * math.pi * (sector + gap) / SECTORS for gap in (0.06, 0.94))
    corners = [(inner, start), (outer, start), (outer, stop), (inner, stop)]
    points = [
        f"{side.sign * radius * math.sin(angle):.2f},{radius * math.cos(angle):.2f}"
        for radius, angle in corners
    ]
    return f"M{' '.join(points)}Z"
