"""Unrolled perimeter at two time points: what went, what came, what stayed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.report.perimeter_map import SECTORS, cells_path


@dataclass(frozen=True, kw_only=True, slots=True)
class PerimeterChange:
    """Difference of two unrolled perimeters, as SVG paths 72 units wide.

    Attributes
    ----------
    planes : int
        Planes of the joint's height that were compared.
    resolved, new, both, unknown : str
        Cells abnormal at baseline only, at follow-up only, at both, and without soft
        tissue at either.
    resolved_share, new_share, both_share : float
        Shares of the cells that have soft tissue at both time points.
    """

    planes: int
    resolved: str
    new: str
    both: str
    unknown: str
    resolved_share: float
    new_share: float
    both_share: float


def compare_perimeters(
    before: NDArray[np.int8], after: NDArray[np.int8]
) -> PerimeterChange | None:
    """Compare two sector maps plane by plane, at the same share of the joint's height.

    Parameters
    ----------
    before, after : (H, 72) int8 ndarray
        1 abnormal, 0 normal, -1 no soft tissue; rows from the bottom. The heights may
        differ by a plane or two.

    Returns
    -------
    PerimeterChange or None
        None when one of them is empty.
    """
    if not before.size or not after.size:
        return None
    planes = max(len(before), len(after))
    first, second = (_at_height(one, planes)[::-1] for one in (before, after))
    unknown = (first < 0) | (second < 0)
    resolved = (first == 1) & (second == 0)
    new = (first == 0) & (second == 1)
    both = (first == 1) & (second == 1)
    cells = max(int((~unknown).sum()), 1)
    return PerimeterChange(
        planes=planes,
        resolved=cells_path(resolved),
        new=cells_path(new),
        both=cells_path(both),
        unknown=cells_path(unknown),
        resolved_share=float(resolved.sum() / cells),
        new_share=float(new.sum() / cells),
        both_share=float(both.sum() / cells),
    )


def _at_height(sector_map: NDArray[np.int8], planes: int) -> NDArray[np.int8]:
    """Take the nearest plane at each share of the height."""
    if sector_map.shape[1] != SECTORS:
        raise ValueError(f"a sector map has {SECTORS} columns, got {sector_map.shape}")
    rows = ((np.arange(planes) + 0.5) * len(sector_map) / planes).astype(int)
    chosen: NDArray[np.int8] = sector_map[rows]
    return chosen
