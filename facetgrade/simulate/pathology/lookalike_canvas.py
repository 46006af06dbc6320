"""The grids of one patient, open for findings that must never count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.findings import JointFrame
from facetgrade.simulate.pathology.blobs import (
    Blob,
    Field,
    Window,
    blob_depth,
    blob_window,
    draw_blob,
)
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue


@dataclass(frozen=True, eq=False, slots=True)
class Canvas:
    """Writable grids of one patient, with their source of randomness.

    Attributes
    ----------
    scene : Scene
        The patient, for positions.
    grids : tuple of SceneGrid
        Body and column, from `copy_grid`; changed in place.
    rng : Generator
        Source of all draws.
    """

    scene: Scene
    grids: tuple[SceneGrid, ...]
    rng: np.random.Generator

    def blob(
        self,
        center_lps_mm: NDArray[np.float64],
        axes: NDArray[np.float64],
        radii_mm: NDArray[np.float64],
        roughness: float,
    ) -> Blob:
        """Draw a blob from this patient's source of randomness."""
        first, second, third = (float(r) for r in radii_mm)
        return draw_blob(
            self.rng, center_lps_mm, axes, (first, second, third), roughness
        )

    def placed(self, blob: Blob) -> Iterator[tuple[SceneGrid, Window, Field]]:
        """Yield each grid that holds some of a blob, with the depth of its voxels."""
        for grid in self.grids:
            window = blob_window(blob, grid.geometry)
            if window is not None:
                yield grid, window, blob_depth(blob, grid.geometry, window)

    def edema(
        self,
        blob: Blob,
        lesion: Lesion,
        tissues: Iterable[Tissue],
        strength: tuple[float, float] = (0.7, 1.0),
    ) -> None:
        """Write edema that fades toward the edge of a blob; its strength is drawn."""
        largest = self.rng.uniform(*strength)
        for grid, window, depth in self.placed(blob):
            fraction = largest * np.clip(0.5 + 1.5 * depth, 0.0, 1.0)
            fraction[~labeled(grid.tissue[window], tissues)] = 0.0
            if not fraction.any():
                continue
            block = lesion_map(grid, lesion)[window]
            np.maximum(block, fraction, out=block)

    def random_joint(self) -> FacetJoint:
        """Choose one joint of the patient."""
        joints = sorted(self.scene.joints)
        return joints[int(self.rng.integers(len(joints)))]

    def midline(self, joint: FacetJoint) -> NDArray[np.float64]:
        """Return the point between the two joints of a level."""
        centers = [
            frame.center_lps_mm
            for other, frame in self.scene.joints.items()
            if other.level is joint.level
        ]
        middle: NDArray[np.float64] = np.mean(centers, axis=0)
        return middle


def axes_of(frame: JointFrame) -> NDArray[np.float64]:
    """Return the axes of a joint as rows: cranial, posterior, lateral."""
    return np.stack([frame.cranial, frame.posterior, frame.lateral])


def labeled(tissue: NDArray[np.uint8], labels: Iterable[Tissue]) -> NDArray[np.bool_]:
    """Tell which voxels carry one of some labels."""
    return np.isin(tissue, [int(label) for label in labels])


def lesion_map(grid: SceneGrid, lesion: Lesion) -> Field:
    """Return the writable map of a lesion, made when first needed."""
    maps = grid.lesions
    if not isinstance(maps, dict):
        raise TypeError(f"lesions must be a dict, as copy_grid makes, got {type(maps)}")
    if lesion not in maps:
        maps[lesion] = np.zeros(grid.tissue.shape, np.float32)
    fraction: Field = maps[lesion]
    return fraction
