"""Findings that look like facet synovitis and must never count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.simulate.pathology.blobs import (
    Blob,
    Field,
    Window,
    blob_depth,
    blob_window,
    draw_blob,
)
from facetgrade.simulate.pathology.hardware import fuse_segments
from facetgrade.simulate.pathology.region import copy_grid
from facetgrade.simulate.pathology.settings import LookalikeSettings
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue, VertebraTruth
from facetgrade.simulate.streams import side_stream

_SOFT = (
    Tissue.MUSCLE,
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.EPIDURAL_FAT,
    Tissue.FORAMINAL_FAT,
    Tissue.LIGAMENT,
    Tissue.LIGAMENTUM_FLAVUM,
    Tissue.FASCIA,
)
_MARROW = (Tissue.MARROW, Tissue.SACRAL_MARROW)
_CLEAR_OF_JOINT_MM = 24.0
_ENDPLATE_DEPTH_MM = (4.0, 9.0)
_PER_JOINT = ("synovial_cyst", "facet_fat_pad", "perineural_cyst")
_PER_PATIENT = (
    "epidural_veins",
    "remote_muscle_edema",
    "subcutaneous_edema",
    "interspinous_bursitis",
    "endplate_edema",
    "hemangioma",
    "fatty_multifidus",
)
PROVENANCE_KEY = "lookalikes"


def add_lookalikes(
    scene: Scene, rng: np.random.Generator, chances: LookalikeSettings
) -> Scene:
    """Draw findings that look like facet synovitis and must never count.

    Call it once per patient, before `add_pathology`; both visits of a patient then
    show the same.

    Parameters
    ----------
    scene : Scene
        Patient without pathology.
    rng : numpy.random.Generator
        Source of randomness.
    chances : LookalikeSettings
        How often each finding occurs.

    Returns
    -------
    Scene
        With changed tissue and lesions of both grids; ``provenance["lookalikes"]``
        names what was drawn, separated by ``;``.
    """
    grids = (copy_grid(scene.body), copy_grid(scene.column))
    painter = _Painter(scene, grids, rng)
    drawn = []
    for name in _PER_JOINT:
        for joint in sorted(scene.joints):
            if rng.random() < getattr(chances, name):
                getattr(painter, name)(scene.joints[joint])
                drawn.append(f"{name} {joint}")
    for name in _PER_PATIENT:
        if rng.random() < getattr(chances, name):
            getattr(painter, name)()
            drawn.append(name)
    apart = side_stream(rng)
    if apart.random() < chances.pedicle_screws:
        fused = fuse_segments(grids, scene.vertebrae, apart)
        drawn += [f"pedicle_screws {fused}"] if fused else []
    provenance = {**scene.provenance, PROVENANCE_KEY: ";".join(drawn)}
    return replace(scene, body=grids[0], column=grids[1], provenance=provenance)


class _Painter:
    """The grids of one patient, open for painting, with their source of randomness."""

    def __init__(
        self, scene: Scene, grids: tuple[SceneGrid, ...], rng: np.random.Generator
    ) -> None:
        self.scene = scene
        self.grids = grids
        self.rng = rng

    def synovial_cyst(self, frame: JointFrame) -> None:
        """Draw a walled cyst on the capsule, behind the joint or toward the canal."""
        rng = self.rng
        behind = rng.random() < 0.75
        angle = rng.normal(0.2, 0.4) if behind else rng.normal(-2.6, 0.2)
        radius_mm = rng.uniform(2.5, 6.0 if behind else 4.0)
        outward = np.cos(angle) * frame.posterior + np.sin(angle) * frame.lateral
        middle = frame.center_lps_mm + rng.uniform(-4.0, 4.0) * frame.cranial
        center = self._first_soft(middle, outward) + 0.8 * radius_mm * outward
        radii = radius_mm * rng.uniform(0.8, 1.2, 3)
        blob = self._blob(center, _axes(frame), radii, 0.05)
        soft = (*_SOFT, Tissue.CSF) if not behind else _SOFT
        for grid, window, depth in self._placed(blob):
            free = _labeled(grid.tissue[window], soft)
            inside = free & (depth > 0.8 / radius_mm)
            grid.tissue[window][free & (depth > 0.0)] = Tissue.CAPSULE
            grid.tissue[window][inside] = Tissue.JOINT_FLUID
            _lesion_map(grid, Lesion.CYST)[window][inside] = 1.0

    def facet_fat_pad(self, frame: JointFrame) -> None:
        """Draw a fat pad at the upper or lower pole of the joint."""
        rng = self.rng
        pole = 1.0 if rng.random() < 0.5 else -1.0
        center = frame.center_lps_mm + pole * rng.uniform(7.0, 10.0) * frame.cranial
        center = center + rng.uniform(2.0, 6.0) * frame.posterior
        radii = rng.uniform(2.5, 5.5, 3)
        for grid, window, depth in self._placed(
            self._blob(center, _axes(frame), radii, 0.2)
        ):
            free = _labeled(grid.tissue[window], _SOFT) & (depth > 0.0)
            free &= grid.structure[window] == Structure.SOFT_TISSUE
            grid.tissue[window][free] = Tissue.INTRAMUSCULAR_FAT

    def perineural_cyst(self, frame: JointFrame) -> None:
        """Draw a cyst of the root sheath in the foramen of the joint."""
        rng = self.rng
        near = frame.center_lps_mm - 14.0 * frame.posterior + 6.0 * frame.cranial
        root = self._nearest_root(near)
        if root is None:
            return
        radius_mm = rng.uniform(2.5, 4.5)
        radii = radius_mm * rng.uniform(0.8, 1.2, 3)
        for grid, window, depth in self._placed(
            self._blob(root, _axes(frame), radii, 0.08)
        ):
            free = grid.structure[window] == Structure.FORAMEN
            grid.tissue[window][free & (depth > 0.0)] = Tissue.CSF

    def epidural_veins(self) -> None:
        """Widen epidural veins beside the dural sac over two or three levels."""
        rng = self.rng
        frames = [self.scene.joints[joint] for joint in sorted(self.scene.joints)]
        for index in rng.permutation(len(frames))[:5]:
            frame = frames[index]
            center = frame.center_lps_mm - rng.uniform(4.0, 12.0) * frame.posterior
            center = center - rng.uniform(4.0, 10.0) * frame.lateral
            radii = np.array([rng.uniform(8.0, 16.0), *rng.uniform(1.2, 2.5, 2)])
            for grid, window, depth in self._placed(
                self._blob(center, _axes(frame), radii, 0.3)
            ):
                fat = _labeled(
                    grid.tissue[window], (Tissue.EPIDURAL_FAT, Tissue.FORAMINAL_FAT)
                )
                grid.tissue[window][fat & (depth > 0.0)] = Tissue.VESSEL

    def remote_muscle_edema(self) -> None:
        """Draw edema in the back muscles far from every joint."""
        rng = self.rng
        joint = self._random_joint()
        frame = self.scene.joints[joint]
        center = frame.center_lps_mm + rng.uniform(32.0, 50.0) * frame.posterior
        center = center + rng.uniform(0.0, 25.0) * frame.lateral
        center = center + rng.uniform(-15.0, 15.0) * frame.cranial
        centers = np.stack([f.center_lps_mm for f in self.scene.joints.values()])
        gap_mm = float(np.linalg.norm(centers - center, axis=1).min())
        largest_mm = (gap_mm - _CLEAR_OF_JOINT_MM) / 1.6
        if largest_mm < 3.0:
            return
        radii = np.minimum(rng.uniform(4.0, 14.0, 3), largest_mm)
        self._edema(
            self._blob(center, _axes(frame), radii, 0.3),
            Lesion.SOFT_TISSUE_EDEMA,
            (Tissue.MUSCLE, Tissue.INTRAMUSCULAR_FAT),
        )

    def subcutaneous_edema(self) -> None:
        """Draw the dependent edema of the subcutaneous fat behind the sacrum."""
        rng = self.rng
        joint = max(self.scene.joints)
        frame = self.scene.joints[joint]
        middle = self._midline(joint) + rng.uniform(35.0, 60.0) * frame.posterior
        middle = middle + rng.uniform(-10.0, 50.0) * frame.cranial
        radii = np.array(rng.uniform([25.0, 10.0, 20.0], [60.0, 20.0, 45.0]))
        self._edema(
            self._blob(middle, _axes(frame), radii, 0.4),
            Lesion.SOFT_TISSUE_EDEMA,
            (Tissue.SUBCUTANEOUS_FAT,),
        )

    def interspinous_bursitis(self) -> None:
        """Draw fluid between two spinous processes."""
        rng = self.rng
        joint = self._random_joint()
        frame = self.scene.joints[joint]
        center = self._midline(joint) + rng.uniform(10.0, 20.0) * frame.posterior
        radii = np.array(rng.uniform([2.5, 4.0, 1.5], [5.0, 9.0, 3.0]))
        for grid, window, depth in self._placed(
            self._blob(center, _axes(frame), radii, 0.2)
        ):
            free = _labeled(grid.tissue[window], _SOFT) & (depth > 0.0)
            free &= grid.structure[window] == Structure.SOFT_TISSUE
            grid.tissue[window][free] = Tissue.JOINT_FLUID

    def endplate_edema(self) -> None:
        """Draw Modic 1 changes on both sides of one disc."""
        rng = self.rng
        index = int(rng.integers(max(1, len(self.scene.vertebrae) - 1)))
        lateral_mm, forward_mm = rng.uniform(-8.0, 8.0), rng.uniform(0.0, 10.0)
        for vertebra, pole in zip(
            self.scene.vertebrae[index : index + 2], (-1.0, 1.0), strict=False
        ):
            edge = self._endplate(vertebra, pole)
            if edge is None:
                continue
            center = edge + lateral_mm * vertebra.left - forward_mm * vertebra.posterior
            depth_mm = rng.uniform(*_ENDPLATE_DEPTH_MM)
            radii = np.array([depth_mm, *rng.uniform(8.0, 16.0, 2)])
            axes = np.stack([vertebra.cranial, vertebra.posterior, vertebra.left])
            self._edema(
                self._blob(center, axes, radii, 0.15), Lesion.MARROW_EDEMA, _MARROW
            )

    def hemangioma(self) -> None:
        """Draw a hemangioma, fat and vessels, within one vertebral body."""
        rng = self.rng
        if not self.scene.vertebrae:
            return
        vertebra = self.scene.vertebrae[int(rng.integers(len(self.scene.vertebrae)))]
        axes = np.stack([vertebra.cranial, vertebra.posterior, vertebra.left])
        center = vertebra.center_lps_mm + rng.uniform(-6.0, 6.0, 3) @ axes
        blob = self._blob(center, axes, rng.uniform(4.0, 8.0, 3), 0.1)
        for grid, window, depth in self._placed(blob):
            inside = _labeled(grid.tissue[window], _MARROW) & (depth > 0.0)
            inside &= grid.structure[window] == Structure.VERTEBRAL_BODY
            trabecula = self.rng.random(inside.shape) < 0.4
            grid.tissue[window][inside] = Tissue.SUBCUTANEOUS_FAT
            grid.tissue[window][inside & trabecula] = Tissue.SYNOVIUM

    def fatty_multifidus(self) -> None:
        """Replace patches of the deep back muscles beside some levels by fat."""
        rng = self.rng
        for joint, frame in sorted(self.scene.joints.items()):
            if rng.random() < 0.4:
                continue
            center = frame.center_lps_mm + rng.uniform(12.0, 20.0) * frame.posterior
            inward = -4.0 if joint.side is Side.LEFT else -3.0
            center = center + inward * frame.lateral
            radii = np.array(rng.uniform([14.0, 6.0, 6.0], [22.0, 14.0, 12.0]))
            blob = self._blob(center, _axes(frame), radii, 0.6)
            for grid, window, depth in self._placed(blob):
                muscle = grid.tissue[window] == Tissue.MUSCLE
                fatty = muscle & (depth > 0.0)
                grid.tissue[window][fatty] = Tissue.INTRAMUSCULAR_FAT

    def _blob(
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

    def _placed(self, blob: Blob) -> Iterator[tuple[SceneGrid, Window, Field]]:
        """Yield each grid that holds some of a blob, with the depth of its voxels."""
        for grid in self.grids:
            window = blob_window(blob, grid.geometry)
            if window is not None:
                yield grid, window, blob_depth(blob, grid.geometry, window)

    def _edema(self, blob: Blob, lesion: Lesion, tissues: Iterable[Tissue]) -> None:
        """Write edema that fades toward the edge of a blob."""
        strength = self.rng.uniform(0.7, 1.0)
        for grid, window, depth in self._placed(blob):
            fraction = np.clip(0.5 + 1.5 * depth, 0.0, strength)
            fraction[~_labeled(grid.tissue[window], tissues)] = 0.0
            if not fraction.any():
                continue
            block = _lesion_map(grid, lesion)[window]
            np.maximum(block, fraction, out=block)

    def _random_joint(self) -> FacetJoint:
        """Choose one joint of the patient."""
        joints = sorted(self.scene.joints)
        return joints[int(self.rng.integers(len(joints)))]

    def _midline(self, joint: FacetJoint) -> NDArray[np.float64]:
        """Return the point between the two joints of a level."""
        centers = [
            frame.center_lps_mm
            for other, frame in self.scene.joints.items()
            if other.level is joint.level
        ]
        middle: NDArray[np.float64] = np.mean(centers, axis=0)
        return middle

    def _first_soft(
        self, start_lps_mm: NDArray[np.float64], direction: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Walk outward from a joint to the first soft tissue behind its capsule."""
        column = self.grids[-1]
        points = start_lps_mm + np.arange(0.0, 16.0, 0.5)[:, None] * direction
        index = np.rint(column.geometry.to_index(points)).astype(int)
        index = np.clip(index, 0, np.array(column.tissue.shape) - 1)
        soft = _labeled(column.tissue[tuple(index.T)], (*_SOFT, Tissue.CSF))
        return np.asarray(points[int(np.argmax(soft))])

    def _nearest_root(
        self, point_lps_mm: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """Find the nerve in the foramen near a point."""
        column = self.grids[-1]
        search = draw_blob(self.rng, point_lps_mm, np.eye(3), (12.0, 12.0, 12.0), 0.0)
        window = blob_window(search, column.geometry)
        if window is None:
            return None
        root = column.structure[window] == Structure.FORAMEN
        root &= column.tissue[window] == Tissue.NERVE
        found = np.argwhere(root) + [s.start for s in window]
        if len(found) == 0:
            return None
        points = column.geometry.to_lps(found)
        away = np.linalg.norm(points - point_lps_mm, axis=1)
        return np.asarray(points[int(np.argmin(away))])

    def _endplate(
        self, vertebra: VertebraTruth, pole: float
    ) -> NDArray[np.float64] | None:
        """Walk from the middle of a body to its upper (1) or lower (-1) endplate."""
        body = self.grids[0]
        steps_mm = np.arange(0.0, 25.0, 0.5)[:, None] * pole
        points = vertebra.center_lps_mm + steps_mm * vertebra.cranial
        points = points[body.geometry.contains(points)]
        index = np.rint(body.geometry.to_index(points)).astype(int)
        inside = body.structure[tuple(index.T)] == Structure.VERTEBRAL_BODY
        if not inside.any() or inside.all():
            return None
        return np.asarray(points[int(np.flatnonzero(inside)[-1])])


def _axes(frame: JointFrame) -> NDArray[np.float64]:
    """Return the axes of a joint as rows: cranial, posterior, lateral."""
    return np.stack([frame.cranial, frame.posterior, frame.lateral])


def _labeled(tissue: NDArray[np.uint8], labels: Iterable[Tissue]) -> NDArray[np.bool_]:
    """Tell which voxels carry one of some labels."""
    return np.isin(tissue, [int(label) for label in labels])


def _lesion_map(grid: SceneGrid, lesion: Lesion) -> Field:
    """Return the writable map of a lesion, made when first needed."""
    maps = grid.lesions
    if not isinstance(maps, dict):
        raise TypeError(f"lesions must be a dict, as copy_grid makes, got {type(maps)}")
    if lesion not in maps:
        maps[lesion] = np.zeros(grid.tissue.shape, np.float32)
    fraction: Field = maps[lesion]
    return fraction
