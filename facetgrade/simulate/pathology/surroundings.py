"""Where edema may lie around a joint: outline, sectors and distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Structure
from facetgrade.findings import JointMasks
from facetgrade.geometry import VolumeGeometry, resample
from facetgrade.grade.perimeter import (
    SECTORS,
    joint_outline,
    measure_sectors,
    perimeter_share,
    plane_centers,
)
from facetgrade.grade.settings import PerimeterSettings
from facetgrade.simulate.pathology.region import Field, JointRegion, distance_mm
from facetgrade.simulate.scene import Tissue

_SITES = (Structure.LIGAMENTUM_FLAVUM, Structure.FORAMEN)
_DRY_TISSUES = (
    Tissue.AIR,
    Tissue.SKIN,
    Tissue.CORTICAL_BONE,
    Tissue.MARROW,
    Tissue.SACRAL_MARROW,
    Tissue.ENDPLATE,
    Tissue.NUCLEUS_PULPOSUS,
    Tissue.ANNULUS_FIBROSUS,
    Tissue.CSF,
    Tissue.NERVE,
    Tissue.CARTILAGE,
    Tissue.JOINT_FLUID,
    Tissue.VESSEL,
    Tissue.BOWEL,
    Tissue.ORGAN,
    Tissue.METAL,
)
_PROCESS_DEPTH_MM = 8.0
# Edema of two joints never touches: twice this is more than the grade stage bridges.
_APART_MM = 1.75
_SITES_APART_MM = 4.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Surroundings:
    """Sectors of a joint and the tissue outside them, seen from the painted block.

    Attributes
    ----------
    plane_heights_mm : (P,) float64 ndarray
        Height of each plane of the joint, rising.
    room_mm : (P, 72) float64 ndarray
        Radial thickness of tissue within reach that may take periarticular edema.
    counted : (72,) bool ndarray
        Sectors in the denominator of the perimeter fraction.
    fillable : (72,) bool ndarray
        Counted sectors that can be made abnormal without entering a grade 4 site.
    outline : (S, R, C) bool ndarray
        The joint, on the block.
    away_mm : (S, R, C) float32 ndarray
        Distance from the outline and from the processes that continue it.
    sector : (S, R, C) float32 ndarray
        Fractional sector 0-72 of each voxel of the block.
    plane : (S, R, C) float32 ndarray
        Fractional index into `plane_heights_mm` of each voxel.
    from_joint_mm : (S, R, C) float32 ndarray
        Distance from the joint space.
    periarticular, sites : (S, R, C) bool ndarray
        Soft tissue outside and inside the soft-tissue sites of grade 4.
    own : (S, R, C) bool ndarray
        Closer to this joint than to any other, with a gap between the two.
    fine : VolumeGeometry
        Joint-aligned grid of the next two.
    fine_outline, fine_soft : (H, R, C) bool ndarray
        The joint, and the soft tissue in which sectors are counted.
    """

    plane_heights_mm: NDArray[np.float64]
    room_mm: NDArray[np.float64]
    counted: NDArray[np.bool_]
    fillable: NDArray[np.bool_]
    outline: NDArray[np.bool_]
    away_mm: Field
    sector: Field
    plane: Field
    periarticular: NDArray[np.bool_]
    sites: NDArray[np.bool_]
    from_joint_mm: Field
    own: NDArray[np.bool_]
    fine: VolumeGeometry
    fine_outline: NDArray[np.bool_]
    fine_soft: NDArray[np.bool_]


def survey(
    region: JointRegion,
    masks: JointMasks,
    settings: PerimeterSettings,
    *,
    own_mm: Field,
) -> Surroundings:
    """Outline the joint and find the tissue that edema may take.

    Parameters
    ----------
    region : JointRegion
        Block to be painted, effusion already in place.
    masks : JointMasks
        The same joint on the fine joint-aligned grid.
    settings : PerimeterSettings
        Outline and sectors of the grade stage.
    own_mm : (S, R, C) float32 ndarray
        From `own_side_mm`: edema of one joint does not reach the next one's.

    Returns
    -------
    Surroundings
        Sector table and fields on the block.

    Raises
    ------
    ValueError
        If no joint space is outlined.
    """
    spacing_mm = masks.geometry.spacing_mm
    outline = joint_outline(masks.structures, spacing_mm, settings)
    if not outline.any():
        raise ValueError("masks must hold joint space, got none")
    fine_soft = np.isin(masks.structures, (Structure.SOFT_TISSUE, *_SITES))
    room_mm, available = _room(masks, outline, fine_soft, settings)
    planes = np.flatnonzero(outline.any(axis=(1, 2)))
    heights_mm = (planes - (masks.geometry.shape[0] - 1) / 2.0) * spacing_mm[0]
    needed = max(1.0, settings.height_share * len(planes))
    wide = room_mm >= settings.minimum_thickness_mm + 0.5
    plane, sector = _coordinates(region, masks, outline, heights_mm)
    share = resample(outline.astype(np.float32), masks.geometry, region.geometry)
    inside = share >= 0.5
    joint_space = inside & (region.structure == Structure.JOINT_SPACE)
    soft = ~region.labeled("tissue", _DRY_TISSUES)
    soft &= own_mm > _APART_MM
    sites = region.labeled("structure", _SITES) & soft
    sites &= own_mm > _SITES_APART_MM
    counted = available.sum(axis=0) >= needed
    return Surroundings(
        plane_heights_mm=heights_mm,
        room_mm=room_mm,
        counted=counted,
        fillable=counted & (wide.sum(axis=0) >= needed + 1.0),
        outline=inside,
        away_mm=_away_mm(region, inside),
        sector=sector,
        plane=plane,
        periarticular=(region.structure == Structure.SOFT_TISSUE) & soft,
        sites=sites,
        from_joint_mm=distance_mm(joint_space, region.voxel_mm),
        own=own_mm > _APART_MM,
        fine=masks.geometry,
        fine_outline=outline,
        fine_soft=fine_soft,
    )


def fraction_of_perimeter(
    region: JointRegion,
    around: Surroundings,
    soft_tissue_edema: Field,
    settings: PerimeterSettings,
) -> float:
    """Measure the share of the perimeter that drawn edema surrounds.

    Parameters
    ----------
    region : JointRegion
        The block.
    around : Surroundings
        Outline and soft tissue on the fine grid.
    soft_tissue_edema : (S, R, C) float32 ndarray
        Drawn fraction on the block.
    settings : PerimeterSettings
        Sectors of the grade stage.

    Returns
    -------
    float
        The fraction by which the joint is graded.
    """
    edema = resample(soft_tissue_edema, region.geometry, around.fine)
    thickness = measure_sectors(
        around.fine_outline,
        around.fine_soft,
        edema,
        around.fine.spacing_mm,
        thresholds=(0.5,),
        settings=settings,
    )
    share = perimeter_share(thickness, 0, settings)
    by_height = settings.combine == "height_30"
    return share.height_30 if by_height else share.worst_plane


def _room(
    masks: JointMasks,
    outline: NDArray[np.bool_],
    soft: NDArray[np.bool_],
    settings: PerimeterSettings,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Measure what each sector could hold outside the sites, and what counts."""
    free = (masks.structures == Structure.SOFT_TISSUE).astype(np.float32)
    thickness = measure_sectors(
        outline,
        soft,
        free,
        masks.geometry.spacing_mm,
        thresholds=(0.5,),
        settings=settings,
    )
    counted = thickness.available_mm >= settings.minimum_thickness_mm
    return thickness.abnormal_mm[0], counted


def _coordinates(
    region: JointRegion,
    masks: JointMasks,
    outline: NDArray[np.bool_],
    heights_mm: NDArray[np.float64],
) -> tuple[Field, Field]:
    """Return the fractional plane and sector of every voxel of the block."""
    centers = plane_centers(outline)
    centers = centers[~np.isnan(centers[:, 0])]
    middle = (np.asarray(masks.geometry.shape[1:]) - 1.0) / 2.0
    centers_mm = (centers - middle) * masks.geometry.spacing_mm[1:]
    table = np.arange(len(heights_mm))
    plane = np.interp(region.height_mm, heights_mm, table).astype(np.float32)
    posterior = region.posterior_mm - np.interp(plane, table, centers_mm[:, 0])
    lateral = region.lateral_mm - np.interp(plane, table, centers_mm[:, 1])
    turn = np.arctan2(lateral, posterior) / (2.0 * np.pi) % 1.0
    return plane, (turn * SECTORS).astype(np.float32)


def _away_mm(region: JointRegion, outline: NDArray[np.bool_]) -> Field:
    """Distance from the joint and the articular processes that carry it."""
    processes = region.labeled(
        "structure",
        (Structure.SUPERIOR_ARTICULAR_PROCESS, Structure.INFERIOR_ARTICULAR_PROCESS),
    )
    steps = max(1, round(_PROCESS_DEPTH_MM / region.voxel_mm))
    shape = np.ones((3, 3, 3), bool)
    beside = ndimage.binary_dilation(
        outline, shape, iterations=min(steps, 16), mask=processes | outline
    )
    return distance_mm(beside, region.voxel_mm)
