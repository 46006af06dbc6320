"""Simulated patients as the localizer learns from them, cached on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import VERTEBRAE, Side, Structure
from facetgrade.geometry import VolumeGeometry, resample
from facetgrade.localize.ranks import rank_of
from facetgrade.simulate.scene import Scene


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class LocalizerCase:
    """One cached patient.

    Attributes
    ----------
    geometry : VolumeGeometry
        Isotropic grid of about 1.5 mm.
    tissue, rank : (S, R, C) uint8 ndarray
        `Tissue`, and the rank class of vertebral bodies (`ranks.RANKS`).
    points : tuple of (N, 3) float64 ndarray
        LPS mm of bodies, left facets, right facets.
    """

    geometry: VolumeGeometry
    tissue: NDArray[np.uint8]
    rank: NDArray[np.uint8]
    points: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def make_case(scene: Scene) -> LocalizerCase:
    """Merge the two grids of a scene and keep what the localizer learns."""
    grid, column = scene.body, scene.column
    inside = resample(
        np.ones(column.tissue.shape, np.uint8), column.geometry, grid.geometry, order=0
    ).astype(bool)
    merged = {}
    for name in ("tissue", "structure", "vertebra"):
        fine = resample(getattr(column, name), column.geometry, grid.geometry, order=0)
        merged[name] = np.where(inside, fine, getattr(grid, name)).astype(np.uint8)
    table = np.zeros(256, np.uint8)
    for index, vertebra in enumerate(VERTEBRAE):
        table[index + 1] = rank_of(vertebra)
    body = merged["structure"] == Structure.VERTEBRAL_BODY
    bodies = [v.center_lps_mm for v in scene.vertebrae if v.name != "S2"]
    facets = {
        side: [f.center_lps_mm for j, f in scene.joints.items() if j.side is side]
        for side in Side
    }
    return LocalizerCase(
        geometry=grid.geometry,
        tissue=merged["tissue"],
        rank=np.where(body, table[merged["vertebra"]], 0).astype(np.uint8),
        points=(
            np.array(bodies).reshape(-1, 3),
            np.array(facets[Side.LEFT]).reshape(-1, 3),
            np.array(facets[Side.RIGHT]).reshape(-1, 3),
        ),
    )


def write_case(case: LocalizerCase, path: Path) -> None:
    """Write one case as compressed arrays."""
    bodies, left, right = case.points
    np.savez_compressed(
        path,
        index_to_lps=case.geometry.index_to_lps,
        tissue=case.tissue,
        rank=case.rank,
        bodies=bodies,
        left=left,
        right=right,
    )


def read_case(path: Path) -> LocalizerCase:
    """Read what `write_case` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        shape = kept["tissue"].shape
        return LocalizerCase(
            geometry=VolumeGeometry(
                shape=(shape[0], shape[1], shape[2]), index_to_lps=kept["index_to_lps"]
            ),
            tissue=kept["tissue"],
            rank=kept["rank"],
            points=(kept["bodies"], kept["left"], kept["right"]),
        )
