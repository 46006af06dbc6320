"""Fluid and thickened synovium inside the capsule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Lesion, Structure
from facetgrade.simulate.pathology.region import (
    Field,
    JointRegion,
    distance_mm,
    smooth_noise,
)
from facetgrade.simulate.scene import Tissue

_CARTILAGE_MM = 0.5
_CORTEX_MM = 0.7
_LARGEST_RETREAT_MM = 1.0
_CAPSULE_MM = 1.0
_BOX_MARGIN_MM = 7.0
_FORBIDDEN = (Structure.CANAL, Structure.FORAMEN, Structure.DISC)


@dataclass(frozen=True, kw_only=True, slots=True)
class EffusionPlan:
    """What to draw inside the capsule.

    Attributes
    ----------
    width_mm : float
        Greatest width of the fluid between the articular surfaces; below 1 mm a
        physiologic film.
    recess_mm : tuple of 4 float
        Distension of the dorsal, ventral (flaval), superior and inferior recess.
    synovium_mm : float
        Thickness of the lining of the recesses.
    patchiness : float
        How much the film varies along the joint, 0 even to 1 irregular.
    """

    width_mm: float
    recess_mm: tuple[float, ...]
    synovium_mm: float
    patchiness: float


def paint_effusion(
    region: JointRegion, plan: EffusionPlan, rng: np.random.Generator
) -> None:
    """Fill the joint with fluid, widen it and distend its recesses.

    The joint space is emptied first, so that the painted fluid is all there is. The
    bones give way by at most 1 mm each; the capsule is pushed outward as a shell.

    Parameters
    ----------
    region : JointRegion
        Changed in place: tissue, structure, vertebra and the effusion fraction.
    plan : EffusionPlan
        Widths.
    rng : numpy.random.Generator
        Source of randomness.
    """
    box = _joint_box(region)
    inner = _subregion(region, box)
    own = _own_joint_space(inner)
    _empty(inner, own)
    across_mm = _signed_distance_across(inner)
    width = _local_width_mm(inner, plan, rng)
    slit = _slit_fraction(inner, own, across_mm, width)
    _widen(inner, own, across_mm, width)
    _write_fluid(inner, slit)
    if max(plan.recess_mm) > 0.0:
        _distend(inner, own, slit, plan)


def _own_joint_space(region: JointRegion) -> NDArray[np.bool_]:
    """Keep the piece of joint space nearest the joint center."""
    space = np.asarray(region.structure == Structure.JOINT_SPACE)
    pieces, count = ndimage.label(space, np.ones((3, 3, 3)))
    if count <= 1:
        return space
    away = region.height_mm**2 + region.posterior_mm**2 + region.lateral_mm**2
    mean = ndimage.mean(away, pieces, np.arange(1, count + 1))
    size = ndimage.sum_labels(space, pieces, np.arange(1, count + 1))
    score = np.where(size * region.voxel_mm**3 >= 10.0, mean, np.inf)
    if np.isinf(score).all():
        score = -size
    return np.asarray(pieces == 1 + int(np.argmin(score)))


def _joint_box(region: JointRegion) -> tuple[slice, slice, slice]:
    """Bound the joint space with room for recesses."""
    space = _own_joint_space(region)
    margin = int(np.ceil(_BOX_MARGIN_MM / region.voxel_mm))
    found = ndimage.find_objects(space.astype(np.int8))
    if not found:
        raise ValueError("region must hold joint space, got none")
    bounds = [
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, n in zip(found[0], space.shape, strict=True)
    ]
    return bounds[0], bounds[1], bounds[2]


def _subregion(region: JointRegion, box: tuple[slice, slice, slice]) -> JointRegion:
    """View a block of the region; writing to the view writes to the region."""
    tissue = region.tissue[box]
    start = (box[0].start, box[1].start, box[2].start)
    return JointRegion(
        window=box,
        geometry=region.geometry.crop(start, tissue.shape),
        tissue=tissue,
        structure=region.structure[box],
        vertebra=region.vertebra[box],
        lesions={lesion: values[box] for lesion, values in region.lesions.items()},
        height_mm=region.height_mm[box],
        posterior_mm=region.posterior_mm[box],
        lateral_mm=region.lateral_mm[box],
    )


def _empty(region: JointRegion, own: NDArray[np.bool_]) -> None:
    """Turn fluid and synovium of the joint into cartilage and capsule."""
    wet = region.labeled("tissue", (Tissue.JOINT_FLUID, Tissue.SYNOVIUM))
    region.tissue[wet & own] = Tissue.CARTILAGE
    region.tissue[wet & (region.structure == Structure.CAPSULE)] = Tissue.CAPSULE
    region.lesions[Lesion.EFFUSION][...] = 0.0


def _signed_distance_across(region: JointRegion) -> Field:
    """Position between the articular surfaces: 0 in the middle, + toward the IAP."""
    superior = region.structure == Structure.SUPERIOR_ARTICULAR_PROCESS
    inferior = region.structure == Structure.INFERIOR_ARTICULAR_PROCESS
    to_superior = distance_mm(superior, region.voxel_mm)
    to_inferior = distance_mm(inferior, region.voxel_mm)
    inside_superior = distance_mm(~superior, region.voxel_mm)
    inside_inferior = distance_mm(~inferior, region.voxel_mm)
    across = (to_superior - inside_superior - to_inferior + inside_inferior) / 2.0
    return np.asarray(ndimage.gaussian_filter(across, 0.8), np.float32)


def _local_width_mm(
    region: JointRegion, plan: EffusionPlan, rng: np.random.Generator
) -> Field:
    """Vary the width of the fluid along the joint, up to the planned width."""
    grain = 4.0 / region.voxel_mm
    noise = smooth_noise(rng, region.tissue.shape, (grain, grain, grain))
    share = 1.0 - plan.patchiness * np.clip(0.5 + 0.6 * noise, 0.0, 1.0)
    return np.asarray(plan.width_mm * share, np.float32)


def _slit_fraction(
    region: JointRegion, own: NDArray[np.bool_], across_mm: Field, width_mm: Field
) -> Field:
    """Fraction of every voxel that the fluid between the surfaces fills."""
    near = distance_mm(own, region.voxel_mm) <= _LARGEST_RETREAT_MM
    allowed = near & _may_be_joint(region)
    fraction = np.clip(
        0.5 + (width_mm / 2.0 - np.abs(across_mm)) / region.voxel_mm, 0.0, 1.0
    )
    return np.where(allowed & (width_mm > 0.05), fraction, 0.0).astype(np.float32)


def _may_be_joint(region: JointRegion) -> NDArray[np.bool_]:
    """Tell where fluid of this joint may lie: its space and the bone beside it."""
    return region.labeled(
        "structure",
        (
            Structure.JOINT_SPACE,
            Structure.SUPERIOR_ARTICULAR_PROCESS,
            Structure.INFERIOR_ARTICULAR_PROCESS,
        ),
    )


def _widen(
    region: JointRegion, own: NDArray[np.bool_], across_mm: Field, width_mm: Field
) -> None:
    """Let the bones retreat where fluid and cartilage need more than the gap."""
    bone = region.labeled(
        "structure",
        (Structure.SUPERIOR_ARTICULAR_PROCESS, Structure.INFERIOR_ARTICULAR_PROCESS),
    )
    near_mm = distance_mm(own, region.voxel_mm)
    needed = np.abs(across_mm) <= width_mm / 2.0 + _CARTILAGE_MM
    gone = bone & needed & (near_mm <= _LARGEST_RETREAT_MM) & (width_mm >= 1.0)
    if not gone.any():
        return
    region.tissue[gone] = Tissue.CARTILAGE
    region.structure[gone] = Structure.JOINT_SPACE
    region.vertebra[gone] = 0
    cortex = distance_mm(gone, region.voxel_mm) <= _CORTEX_MM
    marrow = region.tissue == Tissue.MARROW
    region.tissue[bone & ~gone & cortex & marrow] = Tissue.CORTICAL_BONE


def _write_fluid(region: JointRegion, fraction: Field) -> None:
    """Write fluid where it fills most of a voxel of the joint space."""
    space = region.structure == Structure.JOINT_SPACE
    kept = np.where(space, fraction, 0.0)
    effusion = region.lesions[Lesion.EFFUSION]
    np.maximum(effusion, kept, out=effusion)
    region.tissue[space & (fraction >= 0.5)] = Tissue.JOINT_FLUID


def _distend(
    region: JointRegion, own: NDArray[np.bool_], slit: Field, plan: EffusionPlan
) -> None:
    """Bulge the recesses at the rim of the joint and push the capsule outward."""
    soft = _may_give_way(region)
    mouth = (slit >= 0.5) & ndimage.binary_dilation(soft, iterations=2)
    if not mouth.any():
        mouth = own & ndimage.binary_dilation(soft, iterations=2)
    from_mouth_mm = distance_mm(mouth, region.voxel_mm)
    reach_mm = _recess_reach_mm(region, own, plan)
    fluid = soft & (from_mouth_mm <= reach_mm)
    joint = own | fluid | (region.structure == Structure.JOINT_SPACE)
    fluid &= _connected(joint, own)
    outer_mm = distance_mm(fluid, region.voxel_mm)
    shell = soft & ~fluid & (outer_mm <= _CAPSULE_MM)
    region.structure[fluid | shell] = Structure.CAPSULE
    region.tissue[shell] = Tissue.CAPSULE
    inward_mm = distance_mm(shell, region.voxel_mm)
    lining = fluid & (inward_mm <= plan.synovium_mm) & (from_mouth_mm > 1.0)
    region.tissue[fluid] = Tissue.JOINT_FLUID
    region.tissue[lining] = Tissue.SYNOVIUM
    region.lesions[Lesion.EFFUSION][fluid] = 1.0


def _may_give_way(region: JointRegion) -> NDArray[np.bool_]:
    """Tell which voxels a swollen capsule may take: soft, outside canal and foramen."""
    soft = region.labeled(
        "structure",
        (Structure.SOFT_TISSUE, Structure.CAPSULE, Structure.LIGAMENTUM_FLAVUM),
    )
    hard = region.labeled(
        "tissue", (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.CSF, Tissue.NERVE)
    )
    closed = ndimage.binary_dilation(region.labeled("structure", _FORBIDDEN))
    closed |= region.lesions[Lesion.CYST] > 0.0
    return np.asarray(soft & ~hard & ~closed)


def _connected(mask: NDArray[np.bool_], seed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the pieces of a mask that touch the seed."""
    pieces, _ = ndimage.label(mask)
    kept = np.unique(pieces[seed & mask])
    return np.isin(pieces, kept[kept > 0])


def _recess_reach_mm(
    region: JointRegion, own: NDArray[np.bool_], plan: EffusionPlan
) -> Field:
    """Blend the distension of the four recesses by the direction from the joint."""
    dorsal, ventral, superior, inferior = plan.recess_mm
    height = region.height_mm - float(region.height_mm[own].mean())
    posterior = region.posterior_mm - float(region.posterior_mm[own].mean())
    half_height = max(float(np.ptp(region.height_mm[own])) / 2.0, 1.0)
    vertical = np.clip(height / half_height, -1.2, 1.2)
    polar = np.clip((np.abs(vertical) - 0.6) / 0.4, 0.0, 1.0)
    backward = np.clip(0.5 + posterior / 6.0, 0.0, 1.0)
    around = dorsal * backward + ventral * (1.0 - backward)
    ends = np.where(vertical > 0, superior, inferior)
    taper = np.clip(1.6 - np.abs(vertical), 0.0, 1.0)
    reach = (1.0 - polar) * around * taper + polar * ends
    return np.asarray(reach, np.float32)
