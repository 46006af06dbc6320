"""Findings in vertebrae, discs and canal that must never count as synovitis."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import VERTEBRAE, Lesion, Structure
from facetgrade.simulate.pathology.blobs import Blob
from facetgrade.simulate.pathology.lookalike_canvas import Canvas, labeled
from facetgrade.simulate.scene import Tissue, VertebraTruth

_MARROW = (Tissue.MARROW, Tissue.SACRAL_MARROW)
_SACRAL_CANAL = (
    Tissue.EPIDURAL_FAT,
    Tissue.NERVE,
    Tissue.CSF,
    Tissue.SACRAL_MARROW,
    Tissue.CORTICAL_BONE,
)
_CUT = (
    Tissue.LIGAMENTUM_FLAVUM,
    Tissue.LIGAMENT,
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.MUSCLE,
    Tissue.FASCIA,
)
_OPERATED = ("L3", "L4", "L5")
_ENDPLATE_DEPTH_MM = (4.0, 9.0)


def endplate_edema(canvas: Canvas) -> None:
    """Draw Modic 1 changes on both sides of one disc."""
    for blob in _endplate_blobs(canvas):
        canvas.edema(blob, Lesion.MARROW_EDEMA, _MARROW)


def endplate_fat(canvas: Canvas) -> None:
    """Draw Modic 2 changes on both sides of one disc."""
    for blob in _endplate_blobs(canvas):
        for grid, window, depth in canvas.placed(blob):
            marrow = labeled(grid.tissue[window], _MARROW) & (depth > 0.0)
            grid.tissue[window][marrow] = Tissue.INTRAMUSCULAR_FAT


def hemangioma(canvas: Canvas) -> None:
    """Draw a hemangioma, fat and vessels, within one vertebral body."""
    rng = canvas.rng
    if not canvas.scene.vertebrae:
        return
    vertebra = canvas.scene.vertebrae[int(rng.integers(len(canvas.scene.vertebrae)))]
    axes = np.stack([vertebra.cranial, vertebra.posterior, vertebra.left])
    center = vertebra.center_lps_mm + rng.uniform(-6.0, 6.0, 3) @ axes
    blob = canvas.blob(center, axes, rng.uniform(4.0, 8.0, 3), 0.1)
    for grid, window, depth in canvas.placed(blob):
        inside = labeled(grid.tissue[window], _MARROW) & (depth > 0.0)
        inside &= grid.structure[window] == Structure.VERTEBRAL_BODY
        trabecula = canvas.rng.random(inside.shape) < 0.4
        grid.tissue[window][inside] = Tissue.SUBCUTANEOUS_FAT
        grid.tissue[window][inside & trabecula] = Tissue.SYNOVIUM


def high_intensity_zone(canvas: Canvas) -> None:
    """Draw fluid in a fissure of the posterior annulus of a lower disc."""
    rng = canvas.rng
    lower = list(pairwise(canvas.scene.vertebrae))[-3:]
    if not lower:
        return
    above, below = lower[int(rng.integers(len(lower)))]
    middle = (above.center_lps_mm + below.center_lps_mm) / 2.0
    edge = _last_of(canvas, middle, above.posterior, Structure.DISC)
    if edge is None:
        return
    center = edge - rng.uniform(1.5, 3.0) * above.posterior
    center = center + rng.uniform(-8.0, 8.0) * above.left
    radii = np.array(rng.uniform([1.0, 1.0, 2.0], [2.2, 2.0, 6.0]))
    axes = np.stack([above.cranial, above.posterior, above.left])
    for grid, window, depth in canvas.placed(canvas.blob(center, axes, radii, 0.15)):
        annulus = grid.tissue[window] == Tissue.ANNULUS_FIBROSUS
        grid.tissue[window][annulus & (depth > 0.0)] = Tissue.JOINT_FLUID


def tarlov_cyst(canvas: Canvas) -> None:
    """Draw a cyst of a sacral root sheath, which thins the bone around it."""
    rng = canvas.rng
    if not canvas.scene.vertebrae:
        return
    sacrum = canvas.scene.vertebrae[-1]
    center = sacrum.center_lps_mm - rng.uniform(22.0, 38.0) * sacrum.cranial
    center = center + rng.uniform(10.0, 18.0) * sacrum.posterior
    center = center + rng.uniform(-9.0, 9.0) * sacrum.left
    radii = np.array(rng.uniform([5.0, 4.0, 4.0], [14.0, 8.0, 9.0]))
    axes = np.stack([sacrum.cranial, sacrum.posterior, sacrum.left])
    for grid, window, depth in canvas.placed(canvas.blob(center, axes, radii, 0.08)):
        room = labeled(grid.tissue[window], _SACRAL_CANAL) & (depth > 0.0)
        grid.tissue[window][room] = Tissue.CSF


def laminectomy(canvas: Canvas) -> None:
    """Replace the spinous process and part of the laminae of one level by scar."""
    rng = canvas.rng
    able = [v for v in canvas.scene.vertebrae if v.name in _OPERATED]
    if not able:
        return
    vertebra = able[int(rng.integers(len(able)))]
    back_mm = rng.uniform(46.0, 54.0)
    center = vertebra.center_lps_mm + back_mm * vertebra.posterior
    center = center - rng.uniform(4.0, 10.0) * vertebra.cranial
    radii = np.array([rng.uniform(16.0, 24.0), back_mm - 27.0, rng.uniform(8.0, 11.0)])
    axes = np.stack([vertebra.cranial, vertebra.posterior, vertebra.left])
    for grid, window, depth in canvas.placed(canvas.blob(center, axes, radii, 0.08)):
        tissue, structure = grid.tissue[window], grid.structure[window]
        own = grid.vertebra[window] == 1 + VERTEBRAE.index(vertebra.name)
        removed = own & (structure == Structure.LAMINA)
        removed |= labeled(tissue, _CUT) & (structure != Structure.CANAL)
        removed &= depth > 0.0
        tissue[removed] = Tissue.SCAR
        structure[removed] = Structure.SOFT_TISSUE
        grid.vertebra[window][removed] = 0


def _endplate_blobs(canvas: Canvas) -> Iterator[Blob]:
    """Yield a region of marrow above and one below some disc."""
    rng = canvas.rng
    index = int(rng.integers(max(1, len(canvas.scene.vertebrae) - 1)))
    lateral_mm, forward_mm = rng.uniform(-8.0, 8.0), rng.uniform(0.0, 10.0)
    for vertebra, pole in zip(
        canvas.scene.vertebrae[index : index + 2], (-1.0, 1.0), strict=False
    ):
        edge = _endplate(canvas, vertebra, pole)
        if edge is None:
            continue
        center = edge + lateral_mm * vertebra.left - forward_mm * vertebra.posterior
        depth_mm = rng.uniform(*_ENDPLATE_DEPTH_MM)
        radii = np.array([depth_mm, *rng.uniform(8.0, 16.0, 2)])
        axes = np.stack([vertebra.cranial, vertebra.posterior, vertebra.left])
        yield canvas.blob(center, axes, radii, 0.15)


def _endplate(
    canvas: Canvas, vertebra: VertebraTruth, pole: float
) -> NDArray[np.float64] | None:
    """Walk from the middle of a body to its upper (1) or lower (-1) endplate."""
    return _last_of(
        canvas,
        vertebra.center_lps_mm,
        pole * vertebra.cranial,
        Structure.VERTEBRAL_BODY,
    )


def _last_of(
    canvas: Canvas,
    start_lps_mm: NDArray[np.float64],
    direction: NDArray[np.float64],
    structure: Structure,
) -> NDArray[np.float64] | None:
    """Walk to a structure and through it to its border; None if it is not left."""
    body = canvas.grids[0]
    steps_mm = np.arange(0.0, 25.0, 0.5)[:, None]
    points = start_lps_mm + steps_mm * direction
    points = points[body.geometry.contains(points)]
    index = np.rint(body.geometry.to_index(points)).astype(int)
    inside = body.structure[tuple(index.T)] == structure
    if not inside.any():
        return None
    first = int(np.argmax(inside))
    beyond = np.flatnonzero(~inside[first:])
    return np.asarray(points[first + int(beyond[0]) - 1]) if beyond.size else None
