"""A block-shaped patient: five vertebrae, discs, canal, fat and muscle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import VERTEBRAE, FacetJoint, Lesion, Level, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue, VertebraTruth

NAMES = ("L2", "L3", "L4", "L5", "S1")
STEP_MM = 36.0
ORIGIN = np.array([7.0, -11.0, 23.0])


def toy_scene(*, edema: float = 0.0) -> Scene:
    """Stack box vertebrae along z; boxes beside the canal are joints."""
    joints = {
        FacetJoint(level, side): JointFrame(
            center_lps_mm=_at(16.0 * side.sign, 29.0, _joint_z(level)),
            cranial=np.array([0.0, 0.0, 1.0]),
            posterior=np.array([0.0, 1.0, 0.0]),
            lateral=np.array([float(side.sign), 0.0, 0.0]),
        )
        for level in (Level.L2_L3, Level.L3_L4, Level.L4_L5, Level.L5_S1)
        for side in Side
    }
    vertebrae = tuple(
        VertebraTruth(
            name=name,
            center_lps_mm=_at(0.0, 0.0, STEP_MM * (2 - k)),
            cranial=np.array([0.0, 0.0, 1.0]),
            posterior=np.array([0.0, 1.0, 0.0]),
            left=np.array([1.0, 0.0, 0.0]),
        )
        for k, name in enumerate(NAMES)
    )
    body = _grid(np.array([180.0, 130.0, 230.0]), 2.5, edema)
    column = _grid(np.array([80.0, 84.0, 190.0]), 1.0, edema)
    return Scene(
        body=body,
        column=column,
        vertebrae=vertebrae,
        joints=joints,
        provenance={"anatomy": "toy"},
    )


def _at(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Place a point of the patient in LPS."""
    return ORIGIN + np.array([x, y, z])


def _joint_z(level: Level) -> float:
    """Height of the disc of a level."""
    return STEP_MM * (2 - NAMES.index(level.upper_vertebra) - 0.5)


def _grid(size_mm: NDArray[np.float64], step_mm: float, edema: float) -> SceneGrid:
    """Label a box whose middle lies a little behind the bodies."""
    shape = tuple(int(n) for n in size_mm[::-1] / step_mm)
    geometry = VolumeGeometry.centered(
        center_lps_mm=_at(0.0, 15.0, 0.0),
        axes=np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        spacing_mm=[step_mm] * 3,
        shape=(shape[0], shape[1], shape[2]),
    )
    x, y, z = np.moveaxis(geometry.voxel_centers_lps_mm() - ORIGIN, -1, 0)
    tissue = np.full(geometry.shape, Tissue.MUSCLE, np.uint8)
    structure = np.zeros(geometry.shape, np.uint8)
    vertebra = np.zeros(geometry.shape, np.uint8)
    tissue[y > 55.0] = Tissue.SUBCUTANEOUS_FAT
    tissue[(y > 75.0) | (np.abs(x) > 85.0)] = Tissue.AIR
    tissue[y < -20.0] = Tissue.ABDOMINAL_FAT
    inside = (np.abs(x) < 22.0) & (np.abs(y) < 17.0)
    for k, name in enumerate(NAMES):
        height = z - STEP_MM * (2 - k)
        body = inside & (np.abs(height) < 13.0)
        disc = inside & (height <= -13.0) & (height > -23.0)
        sacral = name == "S1"
        tissue[body] = Tissue.SACRAL_MARROW if sacral else Tissue.MARROW
        structure[body] = Structure.VERTEBRAL_BODY
        tissue[disc] = Tissue.NUCLEUS_PULPOSUS
        structure[disc] = Structure.DISC
        vertebra[body | disc] = 1 + VERTEBRAE.index(name)
    canal = (np.abs(x) < 10.0) & (y > 17.0) & (y < 30.0)
    tissue[canal] = Tissue.CSF
    structure[canal] = Structure.CANAL
    around = _joints(x, y, z, tissue, structure, vertebra)
    lesions = {}
    if edema:
        muscle = around & (tissue == Tissue.MUSCLE)
        lesions[Lesion.SOFT_TISSUE_EDEMA] = np.where(muscle, edema, 0).astype("f4")
    return SceneGrid(
        geometry=geometry,
        tissue=tissue,
        structure=structure,
        vertebra=vertebra,
        lesions=lesions,
    )


def _joints(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    tissue: NDArray[np.uint8],
    structure: NDArray[np.uint8],
    vertebra: NDArray[np.uint8],
) -> NDArray[np.bool_]:
    """Label medial and lateral processes with a gap; return where edema may be."""
    around = np.zeros(x.shape, bool)
    for k, name in enumerate(NAMES[:-1]):
        height = np.abs(z - STEP_MM * (1.5 - k)) < 8.0
        band = height & (np.abs(y - 29.0) < 8.0)
        aside = np.abs(x) - 16.0
        inferior = band & (aside > -6.0) & (aside <= -1.0)
        superior = band & (aside >= 1.0) & (aside < 8.0)
        gap = band & (np.abs(aside) < 1.0)
        tissue[inferior | superior] = Tissue.MARROW
        tissue[gap] = Tissue.JOINT_FLUID
        structure[inferior] = Structure.INFERIOR_ARTICULAR_PROCESS
        structure[superior] = Structure.SUPERIOR_ARTICULAR_PROCESS
        structure[gap] = Structure.JOINT_SPACE
        vertebra[inferior] = 1 + VERTEBRAE.index(name)
        vertebra[superior] = 2 + VERTEBRAE.index(name)
        around |= height & (np.hypot(aside, y - 29.0) < 18.0) & (x > 0.0)
    return around
