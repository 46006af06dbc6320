"""Find the facet joints of every step of the chain on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import JOINT_BEHIND_MM, JOINT_BESIDE_MM, Level, Side
from facetgrade.findings import JointFrame, LocatedJoint
from facetgrade.localize.heatmaps import Evidence, Peak, find_peaks
from facetgrade.localize.levels import Chain, Numbering
from facetgrade.localize.settings import LocalizeSettings

SEARCH_MM = 17.0
PRIOR_SPREAD_MM = 8.0
# Facets of one level lie 20.8-40.6 mm apart (Panjabi 1993), and each center is found
# within about 2.5 mm. A slab that ends between them draws the missing one inward.
NEVER_APART_MM = 16.0
SELDOM_APART_MM = 21.0
WEAK_SHARE = 0.5


def find_joints(
    chain: Chain, numbering: Numbering, evidence: Evidence, settings: LocalizeSettings
) -> tuple[LocatedJoint, ...]:
    """Assign facet peaks to the steps between neighboring bodies.

    Parameters
    ----------
    chain, numbering : Chain, Numbering
        The named bodies.
    evidence : Evidence
        Heatmaps of left and right joints.
    settings : LocalizeSettings
        Smallest score of a joint.

    Returns
    -------
    tuple of LocatedJoint
        From the top, left first; steps without a peak are left out.
    """
    peaks = {
        Side.LEFT: find_peaks(
            evidence.left, evidence.grid, min_score=settings.min_joint_score
        ),
        Side.RIGHT: find_peaks(
            evidence.right, evidence.grid, min_score=settings.min_joint_score
        ),
    }
    assigned = _without_echoes(
        {side: _assign(chain, side, peaks[side]) for side in Side}
    )
    found = []
    for number in range(len(chain.scores) - 1):
        names = f"{numbering.names[number]}-{numbering.names[number + 1]}"
        level = Level(names) if names in set(Level) else None
        if level is None and numbering.ranks[number] <= 2:
            continue
        cranial = _cranial(chain.centers_lps_mm, number)
        for side in Side:
            peak = assigned[side].get(number)
            if peak is None:
                continue
            found.append(
                LocatedJoint(
                    number=number + 1,
                    level=level,
                    side=side,
                    frame=joint_frame(np.array(peak.lps_mm), cranial, side),
                    score=peak.score,
                    level_probability=numbering.probability,
                )
            )
    return tuple(found)


def joint_frame(
    center_lps_mm: NDArray[np.float64], cranial: NDArray[np.float64], side: Side
) -> JointFrame:
    """Build the axes of a joint from its cranio-caudal direction and its side."""
    outward = np.array([float(side.sign), 0.0, 0.0])
    lateral = outward - cranial * (outward @ cranial)
    lateral /= np.linalg.norm(lateral)
    return JointFrame(
        center_lps_mm=center_lps_mm,
        cranial=cranial,
        posterior=np.cross(cranial, lateral) * side.sign,
        lateral=lateral,
    )


def _cranial(centers: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    """Return the direction of the chain at a step, smoothed with its neighbors."""
    first, last = max(0, number - 1), min(len(centers) - 1, number + 2)
    near = centers[number] - centers[number + 1]
    wide = (centers[first] - centers[last]) / (last - first)
    direction = 2.0 * near + wide
    unit: NDArray[np.float64] = direction / np.linalg.norm(direction)
    return unit


def _expected(
    chain: Chain, number: int, cranial: NDArray[np.float64], side: Side
) -> NDArray[np.float64]:
    """Return where the joint of a step usually lies."""
    middle = chain.centers_lps_mm[number : number + 2].mean(axis=0)
    frame = joint_frame(middle, cranial, side)
    return np.asarray(
        middle + JOINT_BEHIND_MM * frame.posterior + JOINT_BESIDE_MM * frame.lateral
    )


def _assign(chain: Chain, side: Side, peaks: Sequence[Peak]) -> dict[int, Peak]:
    """Give each step its best peak by score and nearness; no peak is used twice."""
    pairs = []
    for number in range(len(chain.scores) - 1):
        expected = _expected(
            chain, number, _cranial(chain.centers_lps_mm, number), side
        )
        for k, peak in enumerate(peaks):
            distance_mm = float(np.linalg.norm(np.array(peak.lps_mm) - expected))
            if distance_mm <= SEARCH_MM:
                near = np.exp(-((distance_mm / PRIOR_SPREAD_MM) ** 2) / 2)
                pairs.append((float(peak.score * near), number, k))
    chosen: dict[int, Peak] = {}
    used: set[int] = set()
    for _, number, k in sorted(pairs, reverse=True):
        if number not in chosen and k not in used:
            chosen[number] = peaks[k]
            used.add(k)
    return chosen


def _without_echoes(
    assigned: Mapping[Side, Mapping[int, Peak]],
) -> dict[Side, dict[int, Peak]]:
    """Leave out joints too near to their partner: theirs lies outside the images."""
    kept = {side: dict(peaks) for side, peaks in assigned.items()}
    for number in set(assigned[Side.LEFT]) & set(assigned[Side.RIGHT]):
        pair = {side: assigned[side][number] for side in Side}
        weak, strong = sorted(Side, key=lambda side: pair[side].score)
        apart_mm = pair[Side.LEFT].lps_mm[0] - pair[Side.RIGHT].lps_mm[0]
        is_weak = pair[weak].score < WEAK_SHARE * pair[strong].score
        if is_weak and apart_mm < SELDOM_APART_MM:
            del kept[weak][number]
        elif apart_mm < NEVER_APART_MM:
            del kept[weak][number], kept[strong][number]
    return kept
