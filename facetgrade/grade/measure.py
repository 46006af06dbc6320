"""Masks of one joint to its measured extents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import BONES, ExtensionSite, Lesion, Structure
from facetgrade.findings import Extents, Interval, JointMasks
from facetgrade.grade.effusion import effusion_width_mm, shift_threshold
from facetgrade.grade.perimeter import (
    SOFT_STRUCTURES,
    PerimeterShare,
    joint_outline,
    measure_sectors,
    perimeter_share,
)
from facetgrade.grade.settings import MeasureSettings

_MASK_PROBABILITY = 0.5
_EVERY_NEIGHBOR = np.ones((3, 3, 3), bool)
_ARTICULAR = (
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
)
_SITES = {
    ExtensionSite.FORAMEN: Structure.FORAMEN,
    ExtensionSite.LIGAMENTUM_FLAVUM: Structure.LIGAMENTUM_FLAVUM,
    ExtensionSite.PEDICLE: Structure.PEDICLE,
    ExtensionSite.TRANSVERSE_PROCESS: Structure.TRANSVERSE_PROCESS,
    ExtensionSite.VERTEBRAL_BODY: Structure.VERTEBRAL_BODY,
}


def measure_extents(masks: JointMasks, settings: MeasureSettings) -> Extents:
    """Measure effusion, edema, perimeter and extension of one joint on one contrast.

    Volumes add up probabilities, not voxels above 0.5: a voxel that is one third fluid
    counts one third, which keeps thin films from being lost. They are taken inside the
    lesion grown by one voxel, so that faint probabilities elsewhere add nothing.

    Parameters
    ----------
    masks : JointMasks
        Structures and lesion probabilities on the joint-aligned grid.
    settings : MeasureSettings
        Thresholds and distances.

    Returns
    -------
    Extents
        All zero, with an empty sector map, where no joint space was outlined.
    """
    signals = _separate_signals(masks, settings)
    shares = _perimeter(masks, signals, settings)
    value = shares[1]
    height_30 = _interval([share.height_30 for share in shares])
    worst_plane = _interval([share.worst_plane for share in shares])
    by_height = settings.perimeter.combine == "height_30"
    voxel_mm3 = masks.geometry.voxel_volume_mm3
    volume_mm3 = partial(_volume_mm3, voxel_mm3=voxel_mm3, settings=settings)
    connected, possible = signals.connected, signals.possible
    articular, fluid = signals.articular, signals.effusion > 0.0
    cyst = signals.cyst > 0.0
    return Extents(
        effusion_mm3=volume_mm3(signals.effusion, fluid, fluid),
        effusion_width_mm=effusion_width_mm(
            masks.structures, signals.effusion, masks.geometry.spacing_mm, settings
        ),
        soft_tissue_edema_mm3=volume_mm3(signals.soft, connected, possible),
        marrow_edema_mm3=volume_mm3(signals.marrow, connected, possible),
        articular_marrow_edema_mm3=volume_mm3(
            signals.marrow, connected & articular, possible & articular
        ).value,
        cyst_mm3=volume_mm3(signals.cyst, cyst, cyst).value,
        perimeter_fraction=height_30 if by_height else worst_plane,
        perimeter_fraction_all_sectors=(
            value.height_30_all_sectors if by_height else value.worst_plane_all_sectors
        ),
        perimeter_fraction_worst_plane=worst_plane,
        perimeter_fraction_height_30=height_30,
        sector_map=value.sector_map,
        extension_mm3=_extension_mm3(masks.structures, signals, voxel_mm3),
    )


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Signals:
    """Lesion probabilities in the places where each lesion can be.

    `connected` holds the masks that belong to this joint, grown by a voxel; `possible`
    the same at the probability of the upper limits.
    """

    outline: NDArray[np.bool_]
    articular: NDArray[np.bool_]
    beyond_recess: NDArray[np.bool_]
    connected: NDArray[np.bool_]
    possible: NDArray[np.bool_]
    effusion: NDArray[np.float32]
    soft: NDArray[np.float32]
    marrow: NDArray[np.float32]
    cyst: NDArray[np.float32]


def _separate_signals(masks: JointMasks, settings: MeasureSettings) -> _Signals:
    """Assign every lesion voxel to joint, soft tissue, marrow or cyst of this joint."""
    spacing_mm = masks.geometry.spacing_mm
    structures = masks.structures
    outline = joint_outline(structures, spacing_mm, settings.perimeter)
    to_outline_mm = _distance_mm(outline, spacing_mm)
    cyst = _lesion(masks, Lesion.CYST)
    solid = cyst < _MASK_PROBABILITY
    soft_place = np.isin(structures, SOFT_STRUCTURES) & ~outline & solid
    soft = _within(_lesion(masks, Lesion.SOFT_TISSUE_EDEMA), soft_place)
    marrow_place = np.isin(structures, BONES) & solid
    marrow = _within(_lesion(masks, Lesion.MARROW_EDEMA), marrow_place)
    effusion = _within(_lesion(masks, Lesion.EFFUSION), solid)
    effusion = _within(effusion, _grown(_touching(effusion, outline)) | outline)
    articular = np.isin(structures, _ARTICULAR)
    articular &= to_outline_mm <= settings.process_reach_mm
    near = to_outline_mm <= settings.perimeter.reach_mm
    edema_seeds = (near & soft_place) | articular
    connected, possible = (
        _continuous(
            effusion,
            np.maximum(soft, marrow),
            edema_seeds,
            threshold,
            spacing_mm,
            settings.bridge_mm,
        )
        for threshold in (_MASK_PROBABILITY, settings.high_threshold)
    )
    near_cyst = _touching(cyst, to_outline_mm <= settings.bridge_mm)
    return _Signals(
        outline=outline,
        articular=articular,
        beyond_recess=to_outline_mm > settings.flaval_recess_mm,
        connected=connected,
        possible=possible,
        effusion=effusion,
        soft=soft,
        marrow=marrow,
        cyst=_within(cyst, _grown(near_cyst)),
    )


def _lesion(masks: JointMasks, lesion: Lesion) -> NDArray[np.float32]:
    """Return the probability of a lesion, zeros where the map is absent."""
    probability = masks.lesions.get(lesion)
    if probability is None:
        return np.zeros(masks.geometry.shape, np.float32)
    return probability


def _within(
    probability: NDArray[np.float32], place: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Set a probability to 0 outside a place."""
    return np.where(place, probability, np.float32(0.0))


def _distance_mm(
    region: NDArray[np.bool_], spacing_mm: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Distance of voxel centers to the edge of a region in three dimensions."""
    if not region.any():
        return np.full(region.shape, np.inf, np.float32)
    to_center = ndimage.distance_transform_edt(~region, sampling=spacing_mm)
    edge_mm = spacing_mm[1:].mean() / 2.0
    return np.asarray(np.maximum(to_center - edge_mm, 0.0), np.float32)


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow a region by one voxel in every direction."""
    return np.asarray(ndimage.binary_dilation(region, _EVERY_NEIGHBOR))


def _touching(
    probability: NDArray[np.float32], place: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the pieces of a lesion that reach into a place."""
    labels, count = ndimage.label(probability >= _MASK_PROBABILITY, _EVERY_NEIGHBOR)
    keep = np.zeros(count + 1, bool)
    keep[labels[place]] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _continuous(
    effusion: NDArray[np.float32],
    edema: NDArray[np.float32],
    edema_seeds: NDArray[np.bool_],
    threshold: float,
    spacing_mm: NDArray[np.float64],
    bridge_mm: float,
) -> NDArray[np.bool_]:
    """Find the signal continuous with the joint, across cortex; grown by a voxel."""
    fluid, signal = effusion >= threshold, edema >= threshold
    seeds = fluid | (signal & edema_seeds)
    if not seeds.any():
        return seeds
    bridged = _distance_mm(fluid | signal, spacing_mm) <= bridge_mm / 2.0
    labels, count = ndimage.label(bridged, _EVERY_NEIGHBOR)
    keep = np.zeros(count + 1, bool)
    keep[labels[seeds]] = True
    return _grown((fluid | signal) & keep[labels])


def _volume_mm3(
    probability: NDArray[np.float32],
    place: NDArray[np.bool_],
    possible_place: NDArray[np.bool_],
    voxel_mm3: float,
    settings: MeasureSettings,
) -> Interval:
    """Sum probabilities to a volume, with the sums shifted to the thresholds."""
    counted = probability >= settings.volume_floor
    value, low, high = (
        float(shift_threshold(probability[counted & where], threshold).sum())
        * voxel_mm3
        for where, threshold in (
            (place, _MASK_PROBABILITY),
            (place, settings.low_threshold),
            (possible_place, settings.high_threshold),
        )
    )
    return Interval(value, low, high)


def _perimeter(
    masks: JointMasks, signals: _Signals, settings: MeasureSettings
) -> list[PerimeterShare]:
    """Measure the perimeter at the low, the mask and the high threshold."""
    soft_tissue = np.isin(masks.structures, SOFT_STRUCTURES) & masks.in_view
    thickness = measure_sectors(
        signals.outline,
        soft_tissue,
        _within(signals.soft, signals.possible),
        masks.geometry.spacing_mm,
        thresholds=(
            settings.low_threshold,
            _MASK_PROBABILITY,
            settings.high_threshold,
        ),
        settings=settings.perimeter,
    )
    return [perimeter_share(thickness, i, settings.perimeter) for i in range(3)]


def _interval(low_value_high: list[float]) -> Interval:
    """Make an interval of the shares at the three thresholds."""
    low, value, high = low_value_high
    return Interval(value, min(low, value), max(high, value))


def _extension_mm3(
    structures: NDArray[np.uint8], signals: _Signals, voxel_mm3: float
) -> dict[ExtensionSite, float]:
    """Measure the connected edema in each site that makes grade 4."""
    edema = np.maximum(signals.soft, signals.marrow)
    volumes = {}
    for site, structure in _SITES.items():
        place = signals.connected & (structures == structure)
        if site is ExtensionSite.LIGAMENTUM_FLAVUM:
            place &= signals.beyond_recess
        volumes[site] = float((edema[place] >= _MASK_PROBABILITY).sum()) * voxel_mm3
    return volumes
