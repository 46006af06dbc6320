"""From stacks to fused heatmaps: one forward pass per series, logits averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import Volume, VolumeGeometry, block_mean
from facetgrade.localize.canonical import normalize, to_canonical

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]

HEATMAPS = 3
MULTIPLE = (8, 32, 32)  # with the smallest grid, 24, no scale is ever empty


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Evidence:
    """What the network says on the 4 mm grid, all series fused.

    Attributes
    ----------
    grid : VolumeGeometry
        The 4 mm grid.
    body, left, right : (X, Z, Y) float32 ndarray
        Probability of a body center, a left and a right facet joint.
    rank_logits : (K, X, Z, Y) float32 ndarray
        Votes for the rank classes, background first.
    seen : (X, Z, Y) bool ndarray
        Where any series covers the grid.
    """

    grid: VolumeGeometry
    body: NDArray[np.float32]
    left: NDArray[np.float32]
    right: NDArray[np.float32]
    rank_logits: NDArray[np.float32]
    seen: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Peak:
    """A local maximum of a heatmap, in LPS mm, with its probability."""

    lps_mm: tuple[float, float, float]
    score: float


def gather_evidence(
    series: Sequence[Sequence[Volume]], grid: VolumeGeometry, network: Network
) -> Evidence:
    """Run the localizer on every series and fuse the answers.

    Parameters
    ----------
    series : sequence of sequence of Volume
        The stacks of each series.
    grid : VolumeGeometry
        Localizer grid from `canonical_geometry` or `crop_geometry`.
    network : callable
        Maps (B, 2, X, Z, Y) to logits as `SpineLocalizer` does.
    """
    total: NDArray[np.float32] | None = None
    weight = np.zeros(0, np.float32)
    for volumes in series:
        image, coverage = to_canonical(volumes, grid)
        if not coverage.any():
            continue
        logits = _forward(normalize(image, coverage), coverage, network)
        share = _halve(coverage.astype(np.float32))
        total = logits * share if total is None else total + logits * share
        weight = share if weight.size == 0 else weight + share
    half = half_geometry(grid)
    if total is None:
        empty = np.zeros(half.shape, np.float32)
        return Evidence(
            grid=half,
            body=empty,
            left=empty,
            right=empty,
            rank_logits=np.zeros((2, *half.shape), np.float32),
            seen=empty > 0,
        )
    fused = total / np.maximum(weight, 1e-3)
    seen = weight > 0.2
    heat = np.where(seen, 1.0 / (1.0 + np.exp(-fused[:HEATMAPS])), 0.0)
    heat = heat.astype(np.float32)
    return Evidence(
        grid=half,
        body=heat[0],
        left=heat[1],
        right=heat[2],
        rank_logits=np.asarray(fused[HEATMAPS:], np.float32),
        seen=seen,
    )


def find_peaks(
    heat: NDArray[np.float32], grid: VolumeGeometry, *, min_score: float
) -> list[Peak]:
    """Return local maxima with sub-voxel positions, best first.

    Parameters
    ----------
    heat : (X, Z, Y) float32 ndarray
        Probabilities on `grid`.
    grid : VolumeGeometry
        The 4 mm grid.
    min_score : float
        Smaller maxima are noise.
    """
    highest = ndimage.maximum_filter(heat, size=3, mode="constant")
    indices = np.argwhere((heat == highest) & (heat >= min_score))
    peaks = [
        Peak(_point(grid.to_lps(_centroid(heat, index))), float(heat[tuple(index)]))
        for index in indices
    ]
    return sorted(peaks, key=lambda peak: -peak.score)


def _point(lps_mm: NDArray[np.float64]) -> tuple[float, float, float]:
    return (float(lps_mm[0]), float(lps_mm[1]), float(lps_mm[2]))


def _centroid(
    heat: NDArray[np.float32], index: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return the probability-weighted position around a maximum."""
    low = np.maximum(index - 1, 0)
    high = np.minimum(index + 2, heat.shape)
    block = heat[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    weight = block.astype(np.float64) ** 2
    steps = np.meshgrid(
        *[np.arange(a, b) for a, b in zip(low, high, strict=True)], indexing="ij"
    )
    return np.array([(step * weight).sum() / weight.sum() for step in steps])


def _forward(
    image: NDArray[np.float32], coverage: NDArray[np.bool_], network: Network
) -> NDArray[np.float32]:
    """Pad to the network's strides, run it, cut back."""
    shape = image.shape
    pad = [(-n) % m for n, m in zip(shape, MULTIPLE, strict=True)]
    stacked = np.stack([image, coverage.astype(np.float32)])
    padded = np.pad(stacked, [(0, 0), *((0, p) for p in pad)])
    answer = network(padded[None])[0]
    kept: NDArray[np.float32] = answer[:, : shape[0], : shape[1] // 2, : shape[2] // 2]
    return kept


def _halve(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average 2 x 2 voxels in the plane of rows and columns."""
    return block_mean(coverage, (1, 2, 2))


def half_geometry(grid: VolumeGeometry) -> VolumeGeometry:
    """Return the 4 mm grid on which the network answers."""
    return VolumeGeometry.from_axes(
        origin_lps_mm=grid.to_lps((0.0, 0.5, 0.5)),
        axes=grid.axes,
        spacing_mm=grid.spacing_mm * [1, 2, 2],
        shape=(grid.shape[0], grid.shape[1] // 2, grid.shape[2] // 2),
    )
