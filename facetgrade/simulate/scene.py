"""The simulated patient: tissues, structures, lesions and truth in LPS mm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry


class Tissue(IntEnum):
    """Materials with their own MR signal."""

    AIR = 0
    SKIN = 1
    SUBCUTANEOUS_FAT = 2
    FASCIA = 3
    MUSCLE = 4
    INTRAMUSCULAR_FAT = 5
    CORTICAL_BONE = 6
    MARROW = 7
    SACRAL_MARROW = 8
    ENDPLATE = 9
    NUCLEUS_PULPOSUS = 10
    ANNULUS_FIBROSUS = 11
    CSF = 12
    NERVE = 13
    EPIDURAL_FAT = 14
    FORAMINAL_FAT = 15
    LIGAMENTUM_FLAVUM = 16
    LIGAMENT = 17
    CARTILAGE = 18
    JOINT_FLUID = 19
    CAPSULE = 20
    SYNOVIUM = 21
    VESSEL = 22
    ABDOMINAL_FAT = 23
    BOWEL = 24
    ORGAN = 25
    BASIVERTEBRAL_VEIN = 26
    METAL = 27
    DENERVATED_MUSCLE = 28
    SCAR = 29


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SceneGrid:
    """Labels of one block of the patient.

    Attributes
    ----------
    geometry : VolumeGeometry
        Isotropic grid in LPS mm.
    tissue : (S, R, C) uint8 ndarray
        `Tissue` of each voxel: decides the signal.
    structure : (S, R, C) uint8 ndarray
        `Structure` of each voxel: the truth of the segmentation.
    vertebra : (S, R, C) uint8 ndarray
        1 + index into `VERTEBRAE` for bone, and for a disc that of the vertebra
        above it; 0 elsewhere.
    lesions : mapping of Lesion to (S, R, C) float32 ndarray
        Fraction 0-1 of the voxel that is abnormal; absent key = none.
    """

    geometry: VolumeGeometry
    tissue: NDArray[np.uint8]
    structure: NDArray[np.uint8]
    vertebra: NDArray[np.uint8]
    lesions: Mapping[Lesion, NDArray[np.float32]]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class VertebraTruth:
    """True pose of one vertebra.

    Attributes
    ----------
    name : str
        One of `VERTEBRAE`.
    center_lps_mm : (3,) float64 ndarray
        Middle of the vertebral body.
    cranial, posterior, left : (3,) float64 ndarray
        Orthonormal axes of the body.
    """

    name: str
    center_lps_mm: NDArray[np.float64]
    cranial: NDArray[np.float64]
    posterior: NDArray[np.float64]
    left: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Scene:
    """One simulated patient.

    Attributes
    ----------
    body : SceneGrid
        Whole field of view at about 1.25 mm.
    column : SceneGrid
        Vertebral arches, joints and neighborhood at about 0.5 mm; overrides `body`.
    vertebrae : tuple of VertebraTruth
        From the top, S1 included.
    joints : mapping of FacetJoint to JointFrame
        Center is the centroid of the joint space between the articular surfaces.
    provenance : mapping of str to str
        Anatomy source, seed and every drawn parameter worth keeping.
    """

    body: SceneGrid
    column: SceneGrid
    vertebrae: tuple[VertebraTruth, ...]
    joints: Mapping[FacetJoint, JointFrame]
    provenance: Mapping[str, str]
