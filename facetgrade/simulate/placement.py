"""Where the patient lies and where the slices are put."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.protocols import Protocol
from facetgrade.simulate.scene import Scene, SceneGrid, VertebraTruth

_CAUDAL_LIMIT = "S1"
_STEEPEST_DEG = 36.0  # blocks are angled no more; steeper ones would be coronal


def move_scene(
    scene: Scene, *, rotation: Rotation, shift_mm: NDArray[np.float64]
) -> Scene:
    """Lay the patient down differently: rotate about the middle, then shift.

    Parameters
    ----------
    scene : Scene
        Patient; labels are kept, only positions change.
    rotation : Rotation
        About the mean joint center.
    shift_mm : (3,) float64 ndarray
        LPS displacement.

    Returns
    -------
    Scene
        The same patient in another position.
    """
    matrix = rotation.as_matrix()
    pivot = _middle(scene)

    def point(lps_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        moved: NDArray[np.float64] = matrix @ (lps_mm - pivot) + pivot + shift_mm
        return moved

    def grid(part: SceneGrid) -> SceneGrid:
        affine = part.geometry.index_to_lps.copy()
        affine[:3, :3] = matrix @ affine[:3, :3]
        affine[:3, 3] = point(affine[:3, 3])
        moved = VolumeGeometry(shape=part.geometry.shape, index_to_lps=affine)
        return replace(part, geometry=moved)

    return replace(
        scene,
        body=grid(scene.body),
        column=grid(scene.column),
        vertebrae=tuple(
            VertebraTruth(
                name=vertebra.name,
                center_lps_mm=point(vertebra.center_lps_mm),
                cranial=matrix @ vertebra.cranial,
                posterior=matrix @ vertebra.posterior,
                left=matrix @ vertebra.left,
            )
            for vertebra in scene.vertebrae
        ),
        joints={
            joint: JointFrame(
                center_lps_mm=point(frame.center_lps_mm),
                cranial=matrix @ frame.cranial,
                posterior=matrix @ frame.posterior,
                lateral=matrix @ frame.lateral,
            )
            for joint, frame in scene.joints.items()
        },
    )


def sagittal_stack(
    scene: Scene, protocol: Protocol, rng: np.random.Generator
) -> VolumeGeometry:
    """Place sagittal slices along the lumbar spine, from right to left.

    Parameters
    ----------
    scene : Scene
        Patient in the scanner.
    protocol : Protocol
        Slices, matrix, spacing.
    rng : Generator
        Small misplacements by the technologist.
    """
    lumbar = _lumbar(scene)
    normal = np.mean([vertebra.left for vertebra in lumbar], axis=0)
    normal = Rotation.from_rotvec(rng.normal(0.0, np.deg2rad(1.5), 3)).apply(normal)
    normal /= np.linalg.norm(normal)
    down = _unit(np.array([0.0, 0.0, -1.0]), normal)
    bodies = np.mean([vertebra.center_lps_mm for vertebra in lumbar], axis=0)
    aside, behind, up = rng.normal([0.0, 22.0, 12.0], [1.5, 8.0, 8.0])
    center = bodies + aside * normal + np.array([0.0, behind, up])
    return VolumeGeometry.centered(
        center_lps_mm=center,
        axes=np.stack([normal, down, np.cross(normal, down)]),
        spacing_mm=protocol.spacing_mm,
        shape=(protocol.slices, protocol.matrix, protocol.matrix),
    )


def axial_stack(
    scene: Scene, protocol: Protocol, rng: np.random.Generator
) -> VolumeGeometry:
    """Place one straight axial stack over the lower lumbar levels, upward.

    Parameters
    ----------
    scene : Scene
        Patient in the scanner.
    protocol : Protocol
        Slices, matrix, spacing; slices are added where they do not reach from the
        third-lowest lumbar body to the sacrum, as a technologist would.
    rng : Generator
        Small misplacements by the technologist.
    """
    lowest = _lumbar(scene)[-4:]
    normal = np.mean([vertebra.cranial for vertebra in lowest], axis=0)
    center = np.mean([vertebra.center_lps_mm for vertebra in lowest], axis=0)
    ends = lowest[0].center_lps_mm - lowest[-1].center_lps_mm
    extent_mm = float(ends @ normal) / np.linalg.norm(normal)
    slices = max(protocol.slices, int(np.ceil(extent_mm / protocol.spacing_mm[0])))
    shifted = center + np.array([0.0, 0.0, rng.normal(0.0, 4.0)])
    return _axial(shifted, normal, protocol, slices, rng)


def axial_blocks(
    scene: Scene, protocol: Protocol, *, blocks: int, rng: np.random.Generator
) -> tuple[VolumeGeometry, ...]:
    """Place axial blocks along the lowest discs, from the top.

    Parameters
    ----------
    scene : Scene
        Patient in the scanner.
    protocol : Protocol
        Slices of all blocks together.
    blocks : int
        Number of discs, counted from the sacrum.
    rng : Generator
        Small misplacements by the technologist.
    """
    lumbar = _lumbar(scene)
    pairs = list(pairwise(lumbar))[-blocks:]
    slices = protocol.slices // len(pairs)
    placed = []
    for upper, lower in pairs:
        normal = _flattened(upper.cranial + lower.cranial)
        center = (upper.center_lps_mm + lower.center_lps_mm) / 2.0
        shift = rng.normal(-1.0, 2.0) * normal
        placed.append(_axial(center + shift, normal, protocol, slices, rng))
    return tuple(placed)


def _flattened(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit normal, turned toward the table's axis if it is too steep."""
    unit: NDArray[np.float64] = normal / np.linalg.norm(normal)
    level = np.array([unit[0], unit[1], 0.0])
    sine = float(np.linalg.norm(level))
    limit = np.deg2rad(_STEEPEST_DEG)
    if sine <= np.sin(limit):
        return unit
    upright = np.array([0.0, 0.0, np.cos(limit)])
    flattened: NDArray[np.float64] = level / sine * np.sin(limit) + upright
    return flattened


def _axial(
    center: NDArray[np.float64],
    normal: NDArray[np.float64],
    protocol: Protocol,
    slices: int,
    rng: np.random.Generator,
) -> VolumeGeometry:
    """Center slices a little behind the bodies, across a normal."""
    tilted = Rotation.from_rotvec(rng.normal(0.0, np.deg2rad(2.0), 3)).apply(normal)
    up = tilted / np.linalg.norm(tilted)
    back = _unit(np.array([0.0, 1.0, 0.0]), up)
    behind = rng.normal(25.0, 5.0)
    return VolumeGeometry.centered(
        center_lps_mm=center + behind * back,
        axes=np.stack([up, back, np.cross(back, up)]),
        spacing_mm=protocol.spacing_mm,
        shape=(slices, protocol.matrix, protocol.matrix),
    )


def _unit(
    direction: NDArray[np.float64], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the unit vector nearest to a direction and across a normal."""
    across = direction - (direction @ normal) * normal
    unit: NDArray[np.float64] = across / np.linalg.norm(across)
    return unit


def _lumbar(scene: Scene) -> list[VertebraTruth]:
    """List the lumbar vertebrae and the first sacral one, from the top."""
    return [v for v in scene.vertebrae if v.name[0] == "L" or v.name == _CAUDAL_LIMIT]


def _middle(scene: Scene) -> NDArray[np.float64]:
    """Return the mean vertebral center."""
    centers = [vertebra.center_lps_mm for vertebra in scene.vertebrae]
    middle: NDArray[np.float64] = np.mean(centers, axis=0)
    return middle
