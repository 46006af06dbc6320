"""Which lesion voxels belong to the joint, and to which of its tissues."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import BONES, Lesion, Structure
from facetgrade.findings import JointMasks
from facetgrade.grade.perimeter import SOFT_STRUCTURES, joint_outline
from facetgrade.grade.settings import MeasureSettings
from facetgrade.grade.thresholds import MASK_PROBABILITY, shift_back
from facetgrade.grade.window import window_around

_EVERY_NEIGHBOR = np.ones((3, 3, 3), bool)
_ARTICULAR = (
    Structure.SUPERIOR_ARTICULAR_PROCESS,
    Structure.INFERIOR_ARTICULAR_PROCESS,
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Signals:
    """Lesion probabilities in the places where each lesion can be.

    `connected` holds the masks that belong to this joint, grown by a voxel; `possible`
    the same at the probability of the upper limits, `surrounding` at that of the upper
    limit of the perimeter.
    """

    outline: NDArray[np.bool_]
    articular: NDArray[np.bool_]
    beyond_recess: NDArray[np.bool_]
    connected: NDArray[np.bool_]
    possible: NDArray[np.bool_]
    surrounding: NDArray[np.bool_]
    effusion: NDArray[np.float32]
    soft: NDArray[np.float32]
    marrow: NDArray[np.float32]
    cyst: NDArray[np.float32]


def separate_signals(
    masks: JointMasks,
    settings: MeasureSettings,
    edema_probability: float = MASK_PROBABILITY,
) -> Signals:
    """Assign every lesion voxel to joint, soft tissue, marrow or cyst of this joint.

    Fluid belongs to the joint where it is continuous with the outlined joint. Edema
    belongs to it where it is continuous, across gaps as thin as cortex, with fluid of
    the joint, with edema of its articular processes, or with soft-tissue edema beside
    it; soft-tissue edema well above or below belongs to the next level.

    Parameters
    ----------
    masks : JointMasks
        Structures and lesion probabilities on the joint-aligned grid.
    settings : MeasureSettings
        Thresholds and distances.
    edema_probability : float
        From this probability on edema counts for the perimeter.

    Returns
    -------
    Signals
        Probabilities and places on the same grid.
    """
    spacing_mm = masks.geometry.spacing_mm
    structures = masks.structures
    outline = joint_outline(structures, spacing_mm, settings.perimeter)
    reach_mm = settings.perimeter.reach_mm
    farthest_mm = max(reach_mm, settings.process_reach_mm, settings.flaval_recess_mm)
    to_outline_mm = _distance_mm(outline, spacing_mm, farthest_mm)
    cyst = _lesion(masks, Lesion.CYST)
    solid = np.asarray(cyst < MASK_PROBABILITY)
    level = _height_of(outline, reach_mm, spacing_mm)
    soft_place = np.isin(structures, SOFT_STRUCTURES) & ~outline & solid & level
    soft = _within(_lesion(masks, Lesion.SOFT_TISSUE_EDEMA), soft_place)
    marrow_place = np.isin(structures, BONES) & solid
    marrow = _within(_lesion(masks, Lesion.MARROW_EDEMA), marrow_place)
    effusion = _within(_lesion(masks, Lesion.EFFUSION), solid)
    effusion = _within(effusion, _grown(_touching(effusion, outline)) | outline)
    articular = _own_processes(structures, outline)
    articular &= to_outline_mm <= settings.process_reach_mm
    beside = outline.any(axis=(1, 2), keepdims=True) & (to_outline_mm <= reach_mm)
    edema_seeds = (beside & soft_place) | articular
    edema = np.maximum(soft, marrow)
    bridges = (spacing_mm, settings.bridge_mm)
    least = shift_back(settings.high_threshold, edema_probability)
    thresholds = {MASK_PROBABILITY, settings.high_threshold, least}
    places = {
        threshold: _continuous(effusion, edema, edema_seeds, threshold, *bridges)
        for threshold in thresholds
    }
    near_cyst = _touching(cyst, to_outline_mm <= settings.bridge_mm)
    return Signals(
        outline=outline,
        articular=articular,
        beyond_recess=to_outline_mm > settings.flaval_recess_mm,
        connected=places[MASK_PROBABILITY],
        possible=places[settings.high_threshold],
        surrounding=places[least],
        effusion=effusion,
        soft=soft,
        marrow=marrow,
        cyst=_within(cyst, _grown(near_cyst)),
    )


def _own_processes(
    structures: NDArray[np.uint8], outline: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the articular processes of this joint, not those of the next level."""
    own = np.zeros(structures.shape, bool)
    for process in _ARTICULAR:
        own |= _pieces_reaching(structures == process, outline)
    return own


def _height_of(
    outline: NDArray[np.bool_], margin_mm: float, spacing_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which planes lie at the height of the joint or little above or below."""
    planes = np.arange(outline.shape[0])
    own = np.flatnonzero(outline.any(axis=(1, 2)))
    if own.size == 0:
        return np.zeros((len(planes), 1, 1), bool)
    margin = margin_mm / spacing_mm[0]
    near = (planes >= own[0] - margin) & (planes <= own[-1] + margin)
    return np.asarray(near[:, None, None])


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
    region: NDArray[np.bool_], spacing_mm: NDArray[np.float64], farthest_mm: float
) -> NDArray[np.float32]:
    """Distance of voxel centers to the edge of a region, infinite if far from it."""
    distance_mm = np.full(region.shape, np.inf, np.float32)
    if not region.any():
        return distance_mm
    window = window_around(region, spacing_mm, farthest_mm + spacing_mm.max())
    to_center = ndimage.distance_transform_edt(~region[window], sampling=spacing_mm)
    edge_mm = spacing_mm[1:].mean() / 2.0
    distance_mm[window] = np.maximum(to_center - edge_mm, 0.0)
    return distance_mm


def _grown(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Grow a region by one voxel in every direction, diagonals included."""
    for axis in range(3):
        along = np.moveaxis(region, axis, 0)
        grown = along.copy()
        grown[1:] |= along[:-1]
        grown[:-1] |= along[1:]
        region = np.moveaxis(grown, 0, axis)
    return region


def _touching(
    probability: NDArray[np.float32], place: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the pieces of a lesion that reach into a place."""
    return _pieces_reaching(probability >= MASK_PROBABILITY, place)


def _pieces_reaching(
    region: NDArray[np.bool_], place: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Keep the pieces of a region that reach into a place."""
    reaching = np.zeros(region.shape, bool)
    if not region.any():
        return reaching
    window = window_around(region, np.ones(3), 0.0)
    labels, count = ndimage.label(region[window], _EVERY_NEIGHBOR)
    keep = np.zeros(count + 1, bool)
    keep[labels[place[window]]] = True
    keep[0] = False
    reaching[window] = keep[labels]
    return reaching


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
    away_mm = _distance_mm(fluid | signal, spacing_mm, bridge_mm)
    bridged = away_mm <= bridge_mm / 2.0
    return _grown((fluid | signal) & _pieces_reaching(bridged, seeds))
