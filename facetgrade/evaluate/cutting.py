"""The same study with the sacrum out of view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import Volume
from facetgrade.study import Stack, Study

_FEWEST_PLANES = 3


def without_sacrum(study: Study, bodies: Mapping[str, NDArray[np.float64]]) -> Study:
    """Cut every stack midway between the centers of L5 and S1.

    Parameters
    ----------
    study : Study
        With the sacrum in view.
    bodies : mapping of str to (3,) float64 ndarray
        True body centers in LPS mm, L5 (or the last lumbar one) and S1 among them.

    Returns
    -------
    Study
        Without the stacks of which hardly anything remains, and without localizers.
    """
    names = list(bodies)
    last = bodies[names[names.index("S1") - 1]]
    edge = (last + bodies["S1"]) / 2.0
    series = []
    for one in study.series:
        cut = [_cut_below(stack, edge) for stack in one.stacks]
        stacks = tuple(stack for stack in cut if stack is not None)
        if stacks:
            series.append(replace(one, stacks=stacks))
    return replace(study, series=tuple(series), scouts=())


def _cut_below(stack: Stack, edge: NDArray[np.float64]) -> Stack | None:
    """Drop the planes of voxels below a point, along the most upright axis."""
    volume = stack.volume
    geometry = volume.geometry
    upward = geometry.index_to_lps[2, :3]
    axis = int(np.abs(upward).argmax())
    count = geometry.shape[axis]
    border = int(np.clip(np.rint(geometry.to_index(edge)[axis]), 0, count))
    kept = slice(border, count) if upward[axis] > 0 else slice(0, border)
    if kept.stop - kept.start < _FEWEST_PLANES:
        return None
    start, shape = [0, 0, 0], list(geometry.shape)
    start[axis], shape[axis] = kept.start, kept.stop - kept.start
    index = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    smaller = geometry.crop(
        (start[0], start[1], start[2]), (shape[0], shape[1], shape[2])
    )
    return Stack(
        volume=Volume(geometry=smaller, voxels=volume.voxels[index]),
        slice_thickness_mm=stack.slice_thickness_mm,
    )
