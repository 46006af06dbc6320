"""Edema of one joint as planned: around it, in its bones, into the grade 4 sites."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import (
    VERTEBRAE,
    ExtensionSite,
    FacetJoint,
    Structure,
)
from facetgrade.simulate.pathology.edema import (
    bridge,
    marrow_fraction,
    site_fraction,
    soft_tissue_fraction,
)
from facetgrade.simulate.pathology.plan import JointPlan
from facetgrade.simulate.pathology.region import Field, JointRegion, distance_mm
from facetgrade.simulate.pathology.surroundings import Surroundings

_MASK = 0.5
_BRIDGE_MM = 12.0
_CLEAR_OF_SITE_MM = 2.0
_SOFT_SITES = {
    ExtensionSite.FORAMEN: Structure.FORAMEN,
    ExtensionSite.LIGAMENTUM_FLAVUM: Structure.LIGAMENTUM_FLAVUM,
}
_BONE_SITES = {
    ExtensionSite.PEDICLE: (Structure.PEDICLE,),
    ExtensionSite.TRANSVERSE_PROCESS: (Structure.TRANSVERSE_PROCESS,),
    ExtensionSite.VERTEBRAL_BODY: (Structure.VERTEBRAL_BODY, Structure.PEDICLE),
}


def planned_soft_tissue(
    region: JointRegion,
    plan: JointPlan,
    around: Surroundings,
    thickness_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> Field:
    """Draw the soft-tissue edema of one joint, its sites included.

    Parameters
    ----------
    region : JointRegion
        Block with the effusion in place; not changed.
    plan : JointPlan
        What to draw.
    around : Surroundings
        Outline, sectors and distances.
    thickness_mm : (P, 72) float64 ndarray
        Wanted thickness, negative where none.
    rng : numpy.random.Generator
        Source of the texture.

    Returns
    -------
    (S, R, C) float32 ndarray
        Fraction of each voxel.
    """
    if plan.perimeter_fraction == 0.0:
        return np.zeros(region.tissue.shape, np.float32)
    soft = soft_tissue_fraction(region, around, thickness_mm, plan.texture, rng)
    closed = [s for site, s in _SOFT_SITES.items() if site not in plan.sites]
    if closed:
        soft[ndimage.binary_dilation(region.labeled("structure", closed))] = 0.0
    for site, structure in _SOFT_SITES.items():
        if site in plan.sites:
            extra = _soft_site(region, around, structure, soft, plan, rng)
            soft = np.maximum(soft, extra)
    return soft


def planned_marrow(
    region: JointRegion,
    joint: FacetJoint,
    plan: JointPlan,
    around: Surroundings,
    rng: np.random.Generator,
) -> Field:
    """Draw the marrow edema of one joint, its sites included.

    Parameters
    ----------
    region : JointRegion
        Block with the effusion in place; not changed.
    joint : FacetJoint
        Whose bones may take marrow edema.
    plan : JointPlan
        What to draw.
    around : Surroundings
        Outline and distances.
    rng : numpy.random.Generator
        Source of the texture.

    Returns
    -------
    (S, R, C) float32 ndarray
        Fraction of each voxel.
    """
    marrow = np.zeros(region.tissue.shape, np.float32)
    if plan.marrow_depth_mm > 0.0:
        marrow = _articular_marrow(region, joint, plan, around, rng)
    for site, structures in _BONE_SITES.items():
        if site in plan.sites:
            extra = _bone_site(region, joint, around, structures, plan, rng)
            marrow = np.maximum(marrow, extra)
    return marrow


def _own_bone(
    region: JointRegion,
    joint: FacetJoint,
    around: Surroundings,
    structures: Iterable[Structure],
) -> NDArray[np.bool_]:
    """Tell which voxels of some structures belong to this joint's side and bones."""
    names = (joint.level.upper_vertebra, joint.level.lower_vertebra)
    own = np.isin(region.vertebra, [1 + VERTEBRAE.index(name) for name in names])
    own |= region.vertebra == 0
    return own & around.own & region.labeled("structure", structures)


def _articular_marrow(
    region: JointRegion,
    joint: FacetJoint,
    plan: JointPlan,
    around: Surroundings,
    rng: np.random.Generator,
) -> Field:
    """Draw marrow edema of the processes, fading before it reaches a site."""
    bone = _own_bone(region, joint, around, plan.marrow_structures)
    fraction = marrow_fraction(
        region, bone, around.from_joint_mm, plan.marrow_depth_mm, plan.texture, rng
    )
    touched = {s for site in plan.sites for s in _BONE_SITES.get(site, ())}
    closed = {s for sites in _BONE_SITES.values() for s in sites} - touched
    away_mm = distance_mm(region.labeled("structure", closed), region.voxel_mm)
    fade = np.clip(away_mm / _CLEAR_OF_SITE_MM - 0.25, 0.0, 1.0)
    return np.asarray(fraction * fade, np.float32)


def _soft_site(
    region: JointRegion,
    around: Surroundings,
    structure: Structure,
    soft: Field,
    plan: JointPlan,
    rng: np.random.Generator,
) -> Field:
    """Continue edema into foramen or flavum, with a strand that connects it."""
    edema = soft >= _MASK
    site = around.sites & (region.structure == structure)
    depth_mm = rng.uniform(2.5, 6.0)
    if structure == Structure.LIGAMENTUM_FLAVUM:
        depth_mm += 4.0
    extra = site_fraction(region, site, around.outline, depth_mm, plan.texture, rng)
    goal = extra >= _MASK
    steps = round(_BRIDGE_MM / region.voxel_mm)
    way = bridge(around.periarticular | around.sites, edema, goal, steps)
    if way.any():
        strand = distance_mm(way, region.voxel_mm)
        width_mm = rng.uniform(1.0, 2.0)
        fade = np.clip(0.5 + (width_mm - strand) / plan.texture.edge_mm, 0.0, 1.0)
        allowed = around.periarticular | site
        strand_fraction = np.where(allowed, fade * plan.texture.strength, 0.0)
        extra = np.maximum(extra, strand_fraction.astype(np.float32))
    return extra


def _bone_site(
    region: JointRegion,
    joint: FacetJoint,
    around: Surroundings,
    structures: tuple[Structure, ...],
    plan: JointPlan,
    rng: np.random.Generator,
) -> Field:
    """Let marrow edema run from the superior process into a bony site."""
    site = _own_bone(region, joint, around, structures[:1])
    lower = 1 + VERTEBRAE.index(joint.level.lower_vertebra)
    site &= (region.vertebra == lower) | (region.vertebra == 0)
    if not site.any():
        return np.zeros(region.tissue.shape, np.float32)
    way = (Structure.SUPERIOR_ARTICULAR_PROCESS, *structures)
    bone = _own_bone(region, joint, around, way) & (region.vertebra == lower)
    depth_mm = float(np.quantile(around.from_joint_mm[site], 0.03)) + rng.uniform(
        3.5, 8.0
    )
    return marrow_fraction(
        region, bone, around.from_joint_mm, depth_mm, plan.texture, rng
    )
