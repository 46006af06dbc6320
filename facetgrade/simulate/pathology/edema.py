"""Edema around the joint: soft tissue, marrow and the sites of grade 4."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.simulate.pathology.region import (
    Field,
    JointRegion,
    distance_mm,
    smooth_noise,
)
from facetgrade.simulate.pathology.surroundings import Surroundings
from facetgrade.simulate.scene import Tissue

_FAT = (
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.FORAMINAL_FAT,
    Tissue.EPIDURAL_FAT,
    Tissue.SUBCUTANEOUS_FAT,
    Tissue.ABDOMINAL_FAT,
)
_DENSE = (Tissue.LIGAMENT, Tissue.LIGAMENTUM_FLAVUM, Tissue.FASCIA, Tissue.CAPSULE)
_FAT_SPREAD = 1.25
_DENSE_SPREAD = 0.8
_MOTTLE = 0.12
_MARROW_FADE = 0.6
_LEAST_MM = 1.7


@dataclass(frozen=True, kw_only=True, slots=True)
class EdemaTexture:
    """How the edge of edema looks.

    Attributes
    ----------
    roughness : float
        Relative variation of the thickness.
    edge_mm : float
        Distance over which it fades.
    strength : float
        Largest fraction, 0.5-1.
    """

    roughness: float
    edge_mm: float
    strength: float


def soft_tissue_fraction(
    region: JointRegion,
    around: Surroundings,
    thickness_mm: NDArray[np.float64],
    texture: EdemaTexture,
    rng: np.random.Generator,
) -> Field:
    """Spread edema from the outline into fat and along muscle planes.

    Parameters
    ----------
    region : JointRegion
        The block.
    around : Surroundings
        Sectors and distances of the joint.
    thickness_mm : (P, 72) float64 ndarray
        Wanted thickness per plane and sector, negative where there is none.
    texture : EdemaTexture
        Look of the edge.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (S, R, C) float32 ndarray
        Fraction of each voxel, 0 outside periarticular soft tissue.
    """
    reach_mm = float(thickness_mm.max()) * _FAT_SPREAD * 1.6 + texture.edge_mm
    near = around.periarticular & (around.away_mm <= reach_mm)
    wanted = _lookup(thickness_mm, around, near)
    noise = _feathered_noise(region, rng)[near]
    spread = _spread(region)[near]
    edge = wanted * spread * (1.0 + texture.roughness * noise)
    edge = np.where(wanted >= _LEAST_MM, np.maximum(edge, _LEAST_MM), edge)
    edge = np.where(wanted < 0.0, wanted, edge)
    depth = (edge - around.away_mm[near]) / texture.edge_mm
    fraction = np.zeros(region.tissue.shape, np.float32)
    fraction[near] = _faded(depth, _mottled(texture.strength, noise))
    return fraction


def marrow_fraction(
    region: JointRegion,
    bone: NDArray[np.bool_],
    away_mm: Field,
    depth_mm: float,
    texture: EdemaTexture,
    rng: np.random.Generator,
) -> Field:
    """Let marrow edema fade away from the joint space within bone.

    Parameters
    ----------
    region : JointRegion
        The block.
    bone : (S, R, C) bool ndarray
        Bone that may take edema.
    away_mm : (S, R, C) float32 ndarray
        Distance from the joint space.
    depth_mm : float
        Distance from the joint space at which the fraction falls to one half.
    texture : EdemaTexture
        Look of the edge.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (S, R, C) float32 ndarray
        Fraction of each voxel, 0 outside marrow.
    """
    marrow = bone & region.labeled("tissue", (Tissue.MARROW, Tissue.SACRAL_MARROW))
    grain = 4.0 / region.voxel_mm
    noise = smooth_noise(rng, region.tissue.shape, (grain, grain, grain))
    edge = depth_mm * (1.0 + 0.5 * texture.roughness * noise)
    fade_mm = max(2.0 * texture.edge_mm, _MARROW_FADE * depth_mm)
    strength = _mottled(texture.strength, noise)
    fraction = _faded((edge - away_mm) / fade_mm, strength)
    return np.where(marrow, fraction, np.float32(0.0))


def site_fraction(
    region: JointRegion,
    site: NDArray[np.bool_],
    origin: NDArray[np.bool_],
    depth_mm: float,
    texture: EdemaTexture,
    rng: np.random.Generator,
) -> Field:
    """Continue edema from where it already is into one site of grade 4.

    Parameters
    ----------
    region : JointRegion
        The block.
    site : (S, R, C) bool ndarray
        Tissue of the site that may take edema.
    origin : (S, R, C) bool ndarray
        Where the edema comes from.
    depth_mm : float
        How far it reaches into the site from the part nearest to its origin.
    texture : EdemaTexture
        Look of the edge.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    (S, R, C) float32 ndarray
        Fraction of each voxel of the site.
    """
    if not site.any():
        return np.zeros(site.shape, np.float32)
    away_mm = distance_mm(origin, region.voxel_mm)
    gap_mm = float(away_mm[site].min())
    grain = 3.0 / region.voxel_mm
    noise = smooth_noise(rng, site.shape, (grain, grain, grain))
    edge = gap_mm + depth_mm * (1.0 + 0.5 * texture.roughness * noise)
    strength = _mottled(texture.strength, noise)
    fraction = _faded((edge - away_mm) / texture.edge_mm, strength)
    return np.where(site, fraction, np.float32(0.0))


def bridge(
    allowed: NDArray[np.bool_],
    start: NDArray[np.bool_],
    goal: NDArray[np.bool_],
    limit: int,
) -> NDArray[np.bool_]:
    """Find the shortest way through allowed tissue from edema to a site.

    Parameters
    ----------
    allowed : (S, R, C) bool ndarray
        Tissue that edema may cross.
    start, goal : (S, R, C) bool ndarray
        Edema so far, and the edematous part of the site.
    limit : int
        Largest number of steps.

    Returns
    -------
    (S, R, C) bool ndarray
        Voxels of the way, none where there is no way.
    """
    passable = allowed | start | goal
    steps = np.where(start, 0, -1).astype(np.int16)
    front = start
    for step in range(1, limit + 1):
        grown = ndimage.binary_dilation(front, mask=passable) & (steps < 0)
        if not grown.any():
            break
        steps[grown] = step
        if (grown & goal).any():
            return _traced(steps, np.argwhere(grown & goal)[0])
        front = grown
    return np.zeros(start.shape, bool)


def _traced(steps: NDArray[np.int16], end: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Walk back from the end of a flood to its start."""
    way = np.zeros(steps.shape, bool)
    at = end
    moves = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
    while steps[tuple(at)] > 0:
        way[tuple(at)] = True
        around = np.clip(at + moves, 0, np.asarray(steps.shape) - 1)
        values = steps[tuple(around.T)]
        at = around[int(np.argmax(values == steps[tuple(at)] - 1))]
    return way


def _lookup(
    table: NDArray[np.float64], around: Surroundings, where: NDArray[np.bool_]
) -> Field:
    """Interpolate a (plane, sector) table at voxels; sectors wrap around."""
    wrapped = np.concatenate([table[:, -1:], table, table[:, :1]], axis=1)
    # Column k of the table is the middle of sector k, at k + 0.5 in `around.sector`.
    positions = np.stack([around.plane[where], around.sector[where] + 0.5])
    return np.asarray(
        ndimage.map_coordinates(wrapped, positions, order=1, mode="nearest"),
        np.float32,
    )


def _feathered_noise(region: JointRegion, rng: np.random.Generator) -> Field:
    """Draw noise of fat lobules and, longer up and down, of muscle fibers."""
    voxel = region.voxel_mm
    coarse = smooth_noise(
        rng, region.tissue.shape, (5.0 / voxel, 4.0 / voxel, 4.0 / voxel)
    )
    fibers = smooth_noise(
        rng, region.tissue.shape, (9.0 / voxel, 1.6 / voxel, 1.6 / voxel)
    )
    muscle = region.labeled("tissue", (Tissue.MUSCLE, Tissue.DENERVATED_MUSCLE))
    return np.where(muscle, 0.6 * coarse + 0.8 * fibers, 0.9 * coarse + 0.3 * fibers)


def _spread(region: JointRegion) -> Field:
    """How far edema reaches in each tissue, relative to muscle."""
    spread = np.ones(region.tissue.shape, np.float32)
    spread[region.labeled("tissue", _FAT)] = _FAT_SPREAD
    spread[region.labeled("tissue", _DENSE)] = _DENSE_SPREAD
    return spread


def _mottled(strength: float, noise: Field) -> Field:
    """Vary the strength inside edema, above what counts as edema."""
    mottled = np.clip(strength * (1.0 + _MOTTLE * noise), 0.55, 1.0)
    return np.asarray(mottled, np.float32)


def _faded(depth: Field, strength: Field) -> Field:
    """Fraction at a depth behind the edge (in edge widths): one half at depth 0."""
    rise = np.clip(0.5 + depth, 0.0, 1.0)
    smooth = rise * rise * (3.0 - 2.0 * rise)
    upper = 0.5 + (smooth - 0.5) * 2.0 * (strength - 0.5)
    return np.asarray(np.where(smooth >= 0.5, upper, smooth), np.float32)
