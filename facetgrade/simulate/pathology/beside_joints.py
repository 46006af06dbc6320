"""Cysts, fat, veins and edema near the joints that must never count as synovitis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Lesion, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.simulate.pathology.blobs import blob_window, draw_blob
from facetgrade.simulate.pathology.lookalike_canvas import (
    Canvas,
    axes_of,
    labeled,
    lesion_map,
)
from facetgrade.simulate.scene import Tissue

_SOFT = (
    Tissue.MUSCLE,
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.EPIDURAL_FAT,
    Tissue.FORAMINAL_FAT,
    Tissue.LIGAMENT,
    Tissue.LIGAMENTUM_FLAVUM,
    Tissue.FASCIA,
    Tissue.SCAR,
    Tissue.DENERVATED_MUSCLE,
)
_CLEAR_OF_JOINT_MM = 24.0


def synovial_cyst(canvas: Canvas, frame: JointFrame) -> None:
    """Draw a walled cyst on the capsule, behind the joint or toward the canal."""
    rng = canvas.rng
    behind = rng.random() < 0.75
    angle = rng.normal(0.2, 0.4) if behind else rng.normal(-2.6, 0.2)
    radius_mm = rng.uniform(2.5, 6.0 if behind else 4.0)
    outward = np.cos(angle) * frame.posterior + np.sin(angle) * frame.lateral
    middle = frame.center_lps_mm + rng.uniform(-4.0, 4.0) * frame.cranial
    center = _first_soft(canvas, middle, outward) + 0.8 * radius_mm * outward
    radii = radius_mm * rng.uniform(0.8, 1.2, 3)
    blob = canvas.blob(center, axes_of(frame), radii, 0.05)
    soft = (*_SOFT, Tissue.CSF) if not behind else _SOFT
    for grid, window, depth in canvas.placed(blob):
        free = labeled(grid.tissue[window], soft)
        inside = free & (depth > 0.8 / radius_mm)
        grid.tissue[window][free & (depth > 0.0)] = Tissue.CAPSULE
        grid.tissue[window][inside] = Tissue.JOINT_FLUID
        lesion_map(grid, Lesion.CYST)[window][inside] = 1.0


def facet_fat_pad(canvas: Canvas, frame: JointFrame) -> None:
    """Draw a fat pad at the upper or lower pole of the joint."""
    rng = canvas.rng
    pole = 1.0 if rng.random() < 0.5 else -1.0
    center = frame.center_lps_mm + pole * rng.uniform(7.0, 10.0) * frame.cranial
    center = center + rng.uniform(2.0, 6.0) * frame.posterior
    radii = rng.uniform(2.5, 5.5, 3)
    for grid, window, depth in canvas.placed(
        canvas.blob(center, axes_of(frame), radii, 0.2)
    ):
        free = labeled(grid.tissue[window], _SOFT) & (depth > 0.0)
        free &= grid.structure[window] == Structure.SOFT_TISSUE
        grid.tissue[window][free] = Tissue.INTRAMUSCULAR_FAT


def perineural_cyst(canvas: Canvas, frame: JointFrame) -> None:
    """Draw a cyst of the root sheath in the foramen of the joint."""
    rng = canvas.rng
    near = frame.center_lps_mm - 14.0 * frame.posterior + 6.0 * frame.cranial
    root = _nearest_root(canvas, near)
    if root is None:
        return
    radius_mm = rng.uniform(2.5, 4.5)
    radii = radius_mm * rng.uniform(0.8, 1.2, 3)
    for grid, window, depth in canvas.placed(
        canvas.blob(root, axes_of(frame), radii, 0.08)
    ):
        free = grid.structure[window] == Structure.FORAMEN
        grid.tissue[window][free & (depth > 0.0)] = Tissue.CSF


def epidural_veins(canvas: Canvas) -> None:
    """Widen epidural veins beside the dural sac over two or three levels."""
    rng = canvas.rng
    frames = [canvas.scene.joints[joint] for joint in sorted(canvas.scene.joints)]
    for index in rng.permutation(len(frames))[:5]:
        frame = frames[index]
        center = frame.center_lps_mm - rng.uniform(4.0, 12.0) * frame.posterior
        center = center - rng.uniform(4.0, 10.0) * frame.lateral
        radii = np.array([rng.uniform(8.0, 16.0), *rng.uniform(1.2, 2.5, 2)])
        for grid, window, depth in canvas.placed(
            canvas.blob(center, axes_of(frame), radii, 0.3)
        ):
            fat = labeled(
                grid.tissue[window], (Tissue.EPIDURAL_FAT, Tissue.FORAMINAL_FAT)
            )
            grid.tissue[window][fat & (depth > 0.0)] = Tissue.VESSEL


def remote_muscle_edema(canvas: Canvas) -> None:
    """Draw edema in the back muscles far from every joint."""
    rng = canvas.rng
    joint = canvas.random_joint()
    frame = canvas.scene.joints[joint]
    center = frame.center_lps_mm + rng.uniform(32.0, 50.0) * frame.posterior
    center = center + rng.uniform(0.0, 25.0) * frame.lateral
    center = center + rng.uniform(-15.0, 15.0) * frame.cranial
    centers = np.stack([f.center_lps_mm for f in canvas.scene.joints.values()])
    gap_mm = float(np.linalg.norm(centers - center, axis=1).min())
    largest_mm = (gap_mm - _CLEAR_OF_JOINT_MM) / 1.6
    if largest_mm < 3.0:
        return
    radii = np.minimum(rng.uniform(4.0, 14.0, 3), largest_mm)
    canvas.edema(
        canvas.blob(center, axes_of(frame), radii, 0.3),
        Lesion.SOFT_TISSUE_EDEMA,
        (Tissue.MUSCLE, Tissue.INTRAMUSCULAR_FAT),
    )


def subcutaneous_edema(canvas: Canvas) -> None:
    """Draw the dependent edema of the subcutaneous fat behind the sacrum."""
    rng = canvas.rng
    joint = max(canvas.scene.joints)
    frame = canvas.scene.joints[joint]
    middle = canvas.midline(joint) + rng.uniform(35.0, 60.0) * frame.posterior
    middle = middle + rng.uniform(-10.0, 50.0) * frame.cranial
    radii = np.array(rng.uniform([25.0, 10.0, 20.0], [60.0, 20.0, 45.0]))
    canvas.edema(
        canvas.blob(middle, axes_of(frame), radii, 0.4),
        Lesion.SOFT_TISSUE_EDEMA,
        (Tissue.SUBCUTANEOUS_FAT, Tissue.FASCIA),
        strength=(0.15, 0.6),
    )


def interspinous_bursitis(canvas: Canvas) -> None:
    """Draw fluid between two spinous processes."""
    rng = canvas.rng
    joint = canvas.random_joint()
    frame = canvas.scene.joints[joint]
    center = canvas.midline(joint) + rng.uniform(10.0, 20.0) * frame.posterior
    radii = np.array(rng.uniform([2.5, 4.0, 1.5], [5.0, 9.0, 3.0]))
    for grid, window, depth in canvas.placed(
        canvas.blob(center, axes_of(frame), radii, 0.2)
    ):
        free = labeled(grid.tissue[window], _SOFT) & (depth > 0.0)
        free &= grid.structure[window] == Structure.SOFT_TISSUE
        grid.tissue[window][free] = Tissue.JOINT_FLUID


def fatty_multifidus(canvas: Canvas) -> None:
    """Replace patches of the deep back muscles beside some levels by fat."""
    rng = canvas.rng
    for joint, frame in sorted(canvas.scene.joints.items()):
        if rng.random() < 0.4:
            continue
        center = frame.center_lps_mm + rng.uniform(12.0, 20.0) * frame.posterior
        inward = -4.0 if joint.side is Side.LEFT else -3.0
        center = center + inward * frame.lateral
        radii = np.array(rng.uniform([14.0, 6.0, 6.0], [22.0, 14.0, 12.0]))
        blob = canvas.blob(center, axes_of(frame), radii, 0.6)
        for grid, window, depth in canvas.placed(blob):
            muscle = grid.tissue[window] == Tissue.MUSCLE
            fatty = muscle & (depth > 0.0)
            grid.tissue[window][fatty] = Tissue.INTRAMUSCULAR_FAT


def denervated_multifidus(canvas: Canvas) -> None:
    """Draw the slightly bright multifidus of one side behind one or two levels."""
    rng = canvas.rng
    frame = canvas.scene.joints[canvas.random_joint()]
    center = frame.center_lps_mm + rng.uniform(16.0, 22.0) * frame.posterior
    center = center - rng.uniform(3.0, 7.0) * frame.lateral
    radii = np.array(rng.uniform([16.0, 9.0, 8.0], [36.0, 14.0, 12.0]))
    for grid, window, depth in canvas.placed(
        canvas.blob(center, axes_of(frame), radii, 0.15)
    ):
        muscle = grid.tissue[window] == Tissue.MUSCLE
        grid.tissue[window][muscle & (depth > 0.0)] = Tissue.DENERVATED_MUSCLE


def _first_soft(
    canvas: Canvas, start_lps_mm: NDArray[np.float64], direction: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Walk outward from a joint to the first soft tissue behind its capsule."""
    column = canvas.grids[-1]
    points = start_lps_mm + np.arange(0.0, 16.0, 0.5)[:, None] * direction
    index = np.rint(column.geometry.to_index(points)).astype(int)
    index = np.clip(index, 0, np.array(column.tissue.shape) - 1)
    soft = labeled(column.tissue[tuple(index.T)], (*_SOFT, Tissue.CSF))
    return np.asarray(points[int(np.argmax(soft))])


def _nearest_root(
    canvas: Canvas, point_lps_mm: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Find the nerve in the foramen near a point."""
    column = canvas.grids[-1]
    search = draw_blob(canvas.rng, point_lps_mm, np.eye(3), (12.0, 12.0, 12.0), 0.0)
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
