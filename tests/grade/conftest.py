"""A hand-built joint: a round pillar of two processes around a straight joint space.

In every plane, in mm posterior (p) and lateral (l) of the center: joint space |l| <= 1
and |p| <= 6, capsule closing it to the circle of 9 mm, superior process lateral and
inferior process medial of it inside the same circle. The pillar is 15 mm high. Its
outline takes 4 mm of each process, so posteriorly it ends at 9 mm.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, Lesion, Structure
from facetgrade.findings import Extents, Interval, JointMasks
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.settings import GradeSettings
from facetgrade.study import Sequence

CONFIG = Path(__file__).parents[2] / "configs" / "grade.toml"
CALIBRATION = CONFIG.with_name("calibrate.toml")
Paint = Callable[["Grid"], NDArray]


@dataclass(frozen=True)
class Grid:
    """Coordinates in mm from the middle of the joint, each (H, R, C)."""

    up: NDArray
    posterior: NDArray
    lateral: NDArray
    voxel_mm: float

    @property
    def radius(self) -> NDArray:
        return np.hypot(self.posterior, self.lateral)

    @property
    def degrees(self) -> NDArray:
        return np.degrees(np.arctan2(self.lateral, self.posterior)) % 360.0

    @property
    def in_pillar_height(self) -> NDArray:
        return np.abs(self.up) <= 7.5

    def ring(self, inner_mm: float, outer_mm: float) -> NDArray:
        """Fraction of each voxel between two circles, over the pillar's height."""
        middle, half = (inner_mm + outer_mm) / 2.0, (outer_mm - inner_mm) / 2.0
        depth_mm = half - np.abs(self.radius - middle)
        return np.clip(depth_mm / self.voxel_mm + 0.5, 0.0, 1.0) * self.in_pillar_height

    def slab(self, width_mm: float, shift_mm: float = 0.0) -> NDArray:
        """Fraction of each voxel within a film along the joint space."""
        half_mm, offset_mm = self.voxel_mm / 2.0, self.lateral - shift_mm
        overlap_mm = np.minimum(offset_mm + half_mm, width_mm / 2.0) - np.maximum(
            offset_mm - half_mm, -width_mm / 2.0
        )
        film = np.maximum(overlap_mm, 0.0) / self.voxel_mm
        return film * self.in_pillar_height * (np.abs(self.posterior) <= 6.0)


def build_joint(
    *,
    edema: Paint | None = None,
    marrow: Paint | None = None,
    effusion: Paint | None = None,
    cyst: Paint | None = None,
    label: Mapping[Structure, Paint] | None = None,
    in_view: Paint | None = None,
    turned_degrees: float = 0.0,
    spacing_mm: tuple[float, float, float] = (1.5, 0.7, 0.7),
    shape: tuple[int, int, int] = (20, 68, 68),
    axes: NDArray | None = None,
    sequence: Sequence = Sequence.T2_FS,
) -> JointMasks:
    """Build the pillar, relabel places, then paint lesions as fractions of voxels."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=(12.0, -34.0, 56.0),
        axes=np.eye(3)[::-1] if axes is None else axes,
        spacing_mm=spacing_mm,
        shape=shape,
    )
    grid = _coordinates(spacing_mm, shape, turned_degrees)
    structures = _pillar(grid)
    for structure, place in (label or {}).items():
        structures[place(grid).astype(bool)] = structure
    painted = {
        Lesion.SOFT_TISSUE_EDEMA: edema,
        Lesion.MARROW_EDEMA: marrow,
        Lesion.EFFUSION: effusion,
        Lesion.CYST: cyst,
    }
    return JointMasks(
        geometry=geometry,
        structures=structures,
        lesions={
            lesion: np.asarray(paint(grid), np.float32)
            for lesion, paint in painted.items()
            if paint is not None
        },
        in_view=np.ones(shape, bool) if in_view is None else in_view(grid).astype(bool),
        sequence=sequence,
    )


def build_extents(**changes: object) -> Extents:
    """Extents of a healthy joint, with changes; numbers become narrow intervals."""
    values: dict[str, object] = {
        "effusion_mm3": 80.0,
        "effusion_width_mm": 0.5,
        "soft_tissue_edema_mm3": 0.0,
        "marrow_edema_mm3": 0.0,
        "articular_marrow_edema_mm3": 0.0,
        "cyst_mm3": 0.0,
        "perimeter_fraction": 0.0,
        "perimeter_fraction_all_sectors": 0.0,
        "perimeter_fraction_worst_plane": 0.0,
        "sector_map": np.zeros((10, 72), np.int8),
        "extension_mm3": dict.fromkeys(ExtensionSite, 0.0),
    }
    values |= changes
    for name, kind in Extents.__annotations__.items():
        if kind == "Interval" and isinstance(values[name], float):
            value = float(values[name])
            values[name] = Interval(value, value, value)
    return Extents(**values)


def _coordinates(
    spacing_mm: tuple[float, float, float],
    shape: tuple[int, int, int],
    turned_degrees: float,
) -> Grid:
    axes_mm = [
        (np.arange(n) - (n - 1) / 2.0) * s
        for n, s in zip(shape, spacing_mm, strict=True)
    ]
    up, row, column = np.meshgrid(*axes_mm, indexing="ij")
    cos, sin = np.cos(np.radians(turned_degrees)), np.sin(np.radians(turned_degrees))
    return Grid(up, cos * row + sin * column, cos * column - sin * row, spacing_mm[1])


def _pillar(grid: Grid) -> NDArray[np.uint8]:
    pillar = grid.in_pillar_height & (grid.radius <= 9.0)
    structures = np.zeros(grid.up.shape, np.uint8)
    structures[pillar & (grid.lateral > 0)] = Structure.SUPERIOR_ARTICULAR_PROCESS
    structures[pillar & (grid.lateral <= 0)] = Structure.INFERIOR_ARTICULAR_PROCESS
    middle = pillar & (np.abs(grid.lateral) <= 1.0)
    structures[middle] = Structure.CAPSULE
    structures[middle & (np.abs(grid.posterior) <= 6.0)] = Structure.JOINT_SPACE
    return structures


@pytest.fixture(name="build_joint", scope="session")
def _build_joint() -> Callable[..., JointMasks]:
    return build_joint


@pytest.fixture(name="build_extents", scope="session")
def _build_extents() -> Callable[..., Extents]:
    return build_extents


@pytest.fixture(scope="session")
def shipped() -> GradeSettings:
    """Return configs/grade.toml with what calibration fits put back to its start."""
    values = tomllib.loads(CONFIG.read_text("utf-8"))
    values["confidence"] = tomllib.loads(CALIBRATION.read_text("utf-8"))["start"][
        "confidence"
    ]
    values["acceptance"] |= {"minimum_typicality": 0.30, "flagged_typicality": 0.50}
    return GradeSettings.model_validate(values)


@pytest.fixture(scope="session")
def change_settings(
    shipped: GradeSettings,
) -> Callable[..., GradeSettings]:
    """Return a function that changes keys like ``rules.majority`` of the settings."""

    def changed(**keys: object) -> GradeSettings:
        values = shipped.model_dump()
        for key, value in keys.items():
            *sections, name = key.split("__")
            section = values
            for part in sections:
                section = section[part]
            section[name] = value
        return GradeSettings.model_validate(values)

    return changed
