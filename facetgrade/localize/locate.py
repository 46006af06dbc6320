"""The localize stage: the usual place first, else the whole volume and a crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.findings import Localization, LocatedVertebra
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.localize.canonical import (
    CROP_SHAPE,
    canonical_geometry,
    crop_geometry,
)
from facetgrade.localize.heatmaps import (
    Evidence,
    Network,
    find_peaks,
    gather_evidence,
)
from facetgrade.localize.joints import find_joints
from facetgrade.localize.levels import (
    Chain,
    Numbering,
    choose_chain,
    choose_numbering,
)
from facetgrade.localize.scouts import consult_scout
from facetgrade.localize.settings import LocalizeSettings
from facetgrade.scouts import ScoutReading
from facetgrade.study import Plane, Study

Point = tuple[float, float, float]
Stacks = Sequence[Sequence[Volume]]
POSTERIOR_SHIFT = np.array([0.0, 25.0, 0.0])  # mm, from the bodies to the arches
FEWEST_USUAL_BODIES = 5


def locate_joints(
    study: Study,
    localizer: Network,
    settings: LocalizeSettings,
    anchors: Mapping[str, Point] | None = None,
) -> Localization:
    """Locate and name every vertebra and facet joint in view.

    Parameters
    ----------
    study : Study
        Any mixture of planes and contrasts; all usable series are fused.
    localizer : callable
        Maps (B, 2, X, Z, Y) to logits as `SpineLocalizer` does.
    settings : LocalizeSettings
        Thresholds.
    anchors : mapping of str to tuple of float
        Vertebra name to an LPS point in mm inside that body, from the user.

    Returns
    -------
    Localization
        Empty when no spine was found; `level_assumed` when the numbering is a guess.
    """
    series = [[stack.volume for stack in one.stacks] for one in study.series]
    if not series:
        return _nothing()
    grid = crop_geometry(_usual_center_lps_mm(study))
    evidence = gather_evidence(series, grid, localizer)
    chain = _chain(evidence, settings)
    if not _is_usual(chain, grid, settings):
        evidence, chain = _search(series, localizer, settings)
    if not len(chain.scores):
        return _nothing()
    if anchors or not study.scouts:
        return name_chain(chain, evidence, settings, anchors or {})
    scouts = [[stack.volume for stack in one.stacks] for one in study.scouts]
    _, scout = _search(scouts, localizer, settings)
    uids = tuple(one.uid for one in study.scouts)
    return name_with_scout(chain, evidence, settings, scout=scout, scout_uids=uids)


def _usual_center_lps_mm(study: Study) -> NDArray[np.float64]:
    """Return the middle of the sagittal images, or of all if there are none."""
    sagittal = [one for one in study.series if one.plane is Plane.SAGITTAL]
    centers = [
        stack.volume.geometry.center_lps_mm
        for one in sagittal or study.series
        for stack in one.stacks
    ]
    return np.asarray(np.median(centers, axis=0))


def _is_usual(chain: Chain, grid: VolumeGeometry, settings: LocalizeSettings) -> bool:
    """Tell whether a crop held a lumbar spine that ends in a sacrum, and no less."""
    if (chain.scores > 0).sum() < FEWEST_USUAL_BODIES:
        return False
    middle = chain.centers_lps_mm.mean(axis=0) + POSTERIOR_SHIFT
    away_mm = np.abs(middle - grid.center_lps_mm)
    near = bool((away_mm <= settings.usual_distance_mm).all())
    return near and choose_numbering(chain, settings, {}).decided


def _search(
    series: Stacks, localizer: Network, settings: LocalizeSettings
) -> tuple[Evidence, Chain]:
    """Look at the whole volume, then once more around what was found."""
    volumes = [volume.geometry for group in series for volume in group]
    evidence = gather_evidence(series, canonical_geometry(volumes), localizer)
    chain = _chain(evidence, settings)
    if not len(chain.scores):
        return evidence, chain
    center = chain.centers_lps_mm.mean(axis=0) + POSTERIOR_SHIFT
    if evidence.grid.shape[1] * 2 > CROP_SHAPE[1] * 1.2:
        center[2] = _lumbar_height_mm(chain, evidence)
    refined = gather_evidence(series, crop_geometry(center), localizer)
    again = _chain(refined, settings)
    if len(again.scores) >= min(3, len(chain.scores)):
        return refined, again
    return evidence, chain


def _chain(evidence: Evidence, settings: LocalizeSettings) -> Chain:
    """Find the chain of bodies in fused heatmaps."""
    peaks = find_peaks(evidence.body, evidence.grid, min_score=settings.min_body_score)
    return choose_chain(peaks, evidence)


def _lumbar_height_mm(chain: Chain, evidence: Evidence) -> float:
    """Return the height at which a crop holds the lowest lumbar bodies."""
    votes = np.exp(chain.votes[:, :7]).sum(axis=1) * chain.scores
    heights: NDArray[np.float64] = chain.centers_lps_mm[:, 2]
    lowest = float(heights.min()) + 100.0
    if votes.max() < 0.5:
        return min(lowest, float(evidence.grid.to_lps((0, 0, 0))[2]))
    return float((heights * votes).sum() / votes.sum())


def name_chain(
    chain: Chain,
    evidence: Evidence,
    settings: LocalizeSettings,
    anchors: Mapping[str, Point],
) -> Localization:
    """Name the chain, find its joints, and say what is uncertain."""
    points = {name: np.array(point) for name, point in anchors.items()}
    numbering = choose_numbering(chain, settings, points)
    note = ""
    if anchors and not numbering.decided:
        note = (
            f"The anchor of {', '.join(anchors)} was not used: an anchor must lie in "
            "a vertebra that was found, and several must fit each other."
        )
    return _named(chain, evidence, settings, numbering, note)


def name_with_scout(
    chain: Chain,
    evidence: Evidence,
    settings: LocalizeSettings,
    *,
    scout: Chain,
    scout_uids: tuple[str, ...],
) -> Localization:
    """Name the chain with the bodies of a scout as prior; no joint moves."""
    own = choose_numbering(chain, settings, {})
    consulted = consult_scout(chain, own, scout, settings)
    found = _named(chain, evidence, settings, consulted.numbering, consulted.note)
    return replace(found, scout=ScoutReading(scout_uids, consulted.verdict))


def _named(
    chain: Chain,
    evidence: Evidence,
    settings: LocalizeSettings,
    numbering: Numbering,
    note: str,
) -> Localization:
    """Find the joints of a named chain; without a note say if the names are assumed."""
    if not note and not numbering.decided:
        note = (
            "The numbering of the levels is assumed: the sacrum is not in view or the "
            "lumbosacral junction is ambiguous; give an anchor to settle it."
        )
    vertebrae = tuple(
        LocatedVertebra(
            name=name, center_lps_mm=center, probability=float(numbering.probability)
        )
        for name, center in zip(numbering.names, chain.centers_lps_mm, strict=True)
    )
    return Localization(
        vertebrae=vertebrae,
        joints=find_joints(chain, numbering, evidence, settings),
        numbering_probability=numbering.probability,
        alternative=numbering.alternative,
        alternative_probability=numbering.alternative_probability,
        level_assumed=not numbering.decided,
        numbering_totals=numbering.totals,
        sacrum_vote=numbering.sacrum_vote,
        notes=(note,) if note else (),
    )


def _nothing() -> Localization:
    """Return the result for a study without a spine in view."""
    return Localization(
        vertebrae=(),
        joints=(),
        numbering_probability=0.0,
        notes=("No lumbar spine was found in any series.",),
    )
