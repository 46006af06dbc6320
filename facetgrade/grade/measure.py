"""Masks of one joint to its measured extents."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, Structure
from facetgrade.findings import Extents, Interval, JointMasks
from facetgrade.grade.effusion import effusion_width_mm
from facetgrade.grade.perimeter import (
    SOFT_STRUCTURES,
    PerimeterShare,
    measure_sectors,
    perimeter_share,
)
from facetgrade.grade.settings import MeasureSettings
from facetgrade.grade.signals import Signals, separate_signals
from facetgrade.grade.thresholds import MASK_PROBABILITY, shift_threshold

_SITES = {
    ExtensionSite.FORAMEN: Structure.FORAMEN,
    ExtensionSite.LIGAMENTUM_FLAVUM: Structure.LIGAMENTUM_FLAVUM,
    ExtensionSite.PEDICLE: Structure.PEDICLE,
    ExtensionSite.TRANSVERSE_PROCESS: Structure.TRANSVERSE_PROCESS,
    ExtensionSite.VERTEBRAL_BODY: Structure.VERTEBRAL_BODY,
}


def measure_extents(
    masks: JointMasks,
    settings: MeasureSettings,
    *,
    edema_probability: float = MASK_PROBABILITY,
) -> Extents:
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
    edema_probability : float
        From this probability on edema fills a sector of the perimeter; that of
        ``[segmented]`` for what the segmenter answered.

    Returns
    -------
    Extents
        All zero, with an empty sector map, where no joint space was outlined.
    """
    signals = separate_signals(masks, settings, edema_probability)
    shares = _perimeter(masks, signals, settings, edema_probability)
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
            (place, MASK_PROBABILITY),
            (place, settings.low_threshold),
            (possible_place, settings.high_threshold),
        )
    )
    return Interval(value, low, high)


def _perimeter(
    masks: JointMasks,
    signals: Signals,
    settings: MeasureSettings,
    edema_probability: float,
) -> list[PerimeterShare]:
    """Measure the perimeter at the low, the mask and the high threshold."""
    soft_tissue = np.isin(masks.structures, SOFT_STRUCTURES) & masks.in_view
    edema = np.where(signals.surrounding, signals.soft, np.float32(0.0))
    thickness = measure_sectors(
        signals.outline,
        soft_tissue,
        shift_threshold(edema, edema_probability),
        masks.geometry.spacing_mm,
        thresholds=(
            settings.low_threshold,
            MASK_PROBABILITY,
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
    structures: NDArray[np.uint8], signals: Signals, voxel_mm3: float
) -> dict[ExtensionSite, float]:
    """Measure the connected edema in each site that makes grade 4."""
    edema = np.maximum(signals.soft, signals.marrow)
    volumes = {}
    for site, structure in _SITES.items():
        place = signals.connected & (structures == structure)
        if site is ExtensionSite.LIGAMENTUM_FLAVUM:
            place &= signals.beyond_recess
        volumes[site] = float((edema[place] >= MASK_PROBABILITY).sum()) * voxel_mm3
    return volumes
