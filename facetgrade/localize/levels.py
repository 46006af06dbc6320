"""Choose the chain of vertebrae and its names as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.localize.heatmaps import Evidence, Peak
from facetgrade.localize.ranks import HIGHEST_RANK, SACRUM_RANK, name_of
from facetgrade.localize.settings import LocalizeSettings

USUAL_STEP_MM = 36.0
STEP_SPREAD_MM = 6.5
SHORTEST_STEP_MM, LONGEST_STEP_MM = 16.0, 80.0
MISSED_BODY_COST = 3.0
LARGEST_SIDEWAYS = 0.55
SMALLEST_DOWN = 0.4  # a sacral slope of 65 degrees
VOTE_RADIUS_VOXELS = 1
ANCHOR_REACH_MM = 30.0  # bodies are 50 x 35 x 28 mm, the next center 34 mm away
LAST_RANKS = range(SACRUM_RANK - 1, HIGHEST_RANK + 8)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Chain:
    """Bodies from the top to the bottom, one step apart, with votes for their ranks.

    Attributes
    ----------
    centers_lps_mm : (N, 3) float64 ndarray
        Body centers; a missed one is put halfway between its neighbors.
    votes : (N, ranks) float64 ndarray
        Log probability of each rank class, background left out.
    scores : (N,) float64 ndarray
        Probability of the detection; 0 for a missed body.
    """

    centers_lps_mm: NDArray[np.float64]
    votes: NDArray[np.float64]
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Numbering:
    """Names of a chain and how sure they are.

    Attributes
    ----------
    ranks : tuple of int
        Rank of each body, from the top.
    probability : float
        Probability of this numbering.
    alternative : tuple of str
        Names under the next best numbering.
    alternative_probability : float
        Its probability.
    decided : bool
        The sacrum was seen or an anchor was given, and the probability is high.
    totals : mapping of str to float
        Sum of the log votes for each possible numbering, by its name of the lowest
        body; numberings that an anchor forbids are left out.
    sacrum_vote : float
        Probability of sacral classes at the lowest named sacral body.
    """

    ranks: tuple[int, ...]
    probability: float
    alternative: tuple[str, ...]
    alternative_probability: float
    decided: bool
    totals: Mapping[str, float]
    sacrum_vote: float

    @property
    def names(self) -> tuple[str, ...]:
        """Vertebra names from the top."""
        return tuple(name_of(rank) for rank in self.ranks)


def choose_chain(peaks: Sequence[Peak], evidence: Evidence) -> Chain:
    """Find the most plausible path down the bodies.

    Every peak earns the log odds of its score; a step costs by its distance from the
    usual one, and a step of twice that length costs the missed body.

    Parameters
    ----------
    peaks : sequence of Peak
        Candidates for bodies.
    evidence : Evidence
        Holds the rank votes.
    """
    ordered = sorted(peaks, key=lambda peak: -peak.lps_mm[2])
    if not ordered:
        empty = np.zeros((0, 3))
        return Chain(centers_lps_mm=empty, votes=empty, scores=empty[:, 0])
    centers = np.array([peak.lps_mm for peak in ordered])
    gains = np.array([_log_odds(peak.score) + 1.5 for peak in ordered])
    path = _best_path(centers, gains)
    return _fill_gaps([ordered[k] for k in path], evidence)


def choose_numbering(
    chain: Chain, settings: LocalizeSettings, anchors: Mapping[str, NDArray[np.float64]]
) -> Numbering:
    """Name the whole chain at once from the votes of all its bodies, or an anchor.

    Parameters
    ----------
    chain : Chain
        From `choose_chain`, not empty.
    settings : LocalizeSettings
        Temperature of the votes and the thresholds of a decision.
    anchors : mapping of str to (3,) float64 ndarray
        Vertebra name to an LPS point inside its body, from the user. Points outside
        of every body, or names that contradict each other, decide nothing.
    """
    totals = vote_totals(chain)
    kept = np.ones(len(totals), bool)
    for name, point in anchors.items():
        kept &= _keeps_anchor(chain, name, point)
    if kept.any():
        totals = np.where(kept, totals, -np.inf)
    numbering = most_probable(chain, totals, settings)
    if anchors:
        return replace(numbering, decided=bool(kept.any()))
    return numbering


def vote_totals(chain: Chain) -> NDArray[np.float64]:
    """Sum the votes of a chain for each of `LAST_RANKS` as rank of its lowest body."""
    return np.array([total_vote(chain, last) for last in LAST_RANKS])


def most_probable(
    chain: Chain, totals: NDArray[np.float64], settings: LocalizeSettings
) -> Numbering:
    """Choose the numbering with the most votes, decided if the sacrum is in view.

    Parameters
    ----------
    chain : Chain
        From `choose_chain`, not empty.
    totals : (N,) float64 ndarray
        Votes for each of `LAST_RANKS`, as from `vote_totals`.
    settings : LocalizeSettings
        Temperature of the votes and the thresholds of a decision.
    """
    count = len(chain.scores)
    weights = np.exp((totals - totals.max()) / settings.vote_temperature)
    weights /= weights.sum()
    order = np.argsort(-weights)
    best, other = (tuple(ranks_of(count, LAST_RANKS[k])) for k in order[:2])
    probability = float(weights[order[0]])
    sacrum = sacrum_vote(chain, best)
    sure = probability >= settings.min_numbering_probability
    return Numbering(
        ranks=best,
        probability=probability,
        alternative=tuple(name_of(rank) for rank in other),
        alternative_probability=float(weights[order[1]]),
        decided=bool(sure and sacrum >= settings.min_sacrum_vote),
        totals={
            name_of(last): float(total)
            for last, total in zip(LAST_RANKS, totals, strict=True)
            if np.isfinite(total)
        },
        sacrum_vote=sacrum,
    )


def _log_odds(score: float) -> float:
    clipped = min(max(score, 1e-3), 1 - 1e-3)
    return float(np.log(clipped / (1 - clipped)))


def _best_path(centers: NDArray[np.float64], gains: NDArray[np.float64]) -> list[int]:
    """Return the indices of the best path, top first (dynamic programming)."""
    count = len(gains)
    totals, before = gains.copy(), np.full(count, -1)
    for here in range(count):
        for above in range(here):
            cost = _step_cost(centers[here] - centers[above])
            total = totals[above] + gains[here] - cost
            if total > totals[here]:
                totals[here], before[here] = total, above
    path = [int(totals.argmax())]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return path[::-1]


def _step_cost(step: NDArray[np.float64]) -> float:
    """Return the cost of going from one body to the next."""
    length = float(np.linalg.norm(step))
    if not SHORTEST_STEP_MM <= length <= LONGEST_STEP_MM:
        return np.inf
    if abs(step[0]) > LARGEST_SIDEWAYS * length or -step[2] < SMALLEST_DOWN * length:
        return np.inf
    single = ((length - USUAL_STEP_MM) / STEP_SPREAD_MM) ** 2 / 2
    double = ((length / 2 - USUAL_STEP_MM) / STEP_SPREAD_MM) ** 2 / 2
    return min(single, double + MISSED_BODY_COST)


def _fill_gaps(peaks: Sequence[Peak], evidence: Evidence) -> Chain:
    """Put a missed body into every step of about twice the usual length."""
    centers, scores = [np.array(peaks[0].lps_mm)], [peaks[0].score]
    for peak in peaks[1:]:
        here = np.array(peak.lps_mm)
        length = float(np.linalg.norm(here - centers[-1]))
        if abs(length / 2 - USUAL_STEP_MM) < abs(length - USUAL_STEP_MM):
            centers.append((here + centers[-1]) / 2)
            scores.append(0.0)
        centers.append(here)
        scores.append(peak.score)
    points = np.array(centers)
    return Chain(
        centers_lps_mm=points,
        votes=np.array([_vote(point, evidence) for point in points]),
        scores=np.array(scores),
    )


def _vote(point: NDArray[np.float64], evidence: Evidence) -> NDArray[np.float64]:
    """Average the log probabilities of the ranks around a point."""
    index = np.rint(evidence.grid.to_index(point)).astype(int)
    low = np.maximum(index - VOTE_RADIUS_VOXELS, 0)
    high = np.minimum(index + VOTE_RADIUS_VOXELS + 1, evidence.grid.shape)
    block = tuple(slice(a, max(a + 1, b)) for a, b in zip(low, high, strict=True))
    logits = evidence.rank_logits[(slice(1, None), *block)].astype(np.float64)
    if logits.size == 0:
        return np.zeros(evidence.rank_logits.shape[0] - 1)
    logits = logits.reshape(logits.shape[0], -1)
    logs = logits - np.logaddexp.reduce(logits, axis=0)
    return np.asarray(np.maximum(logs.mean(axis=1), -8.0))


def ranks_of(count: int, last: int) -> range:
    """Return the ranks of a chain, from the top, whose last body has rank `last`."""
    return range(last + count - 1, last - 1, -1)


def total_vote(chain: Chain, last: int) -> float:
    """Sum the votes of all bodies for the numbering that ends with rank `last`."""
    ranks = np.array(ranks_of(len(chain.scores), last))
    column = np.clip(ranks, 1, chain.votes.shape[1]) - 1
    votes = chain.votes[np.arange(len(ranks)), column]
    return float((votes * (0.3 + 0.7 * chain.scores)).sum())


def _keeps_anchor(
    chain: Chain, name: str, point: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Tell which numberings give the body that holds the anchor its name."""
    distance_mm = np.linalg.norm(chain.centers_lps_mm - point, axis=1)
    nearest = distance_mm.argmin()
    if distance_mm[nearest] > ANCHOR_REACH_MM:
        return np.zeros(len(LAST_RANKS), bool)
    count = len(chain.scores)
    named = [name_of(ranks_of(count, last)[nearest]) for last in LAST_RANKS]
    return np.array([found == name for found in named])


def sacrum_vote(chain: Chain, ranks: Sequence[int]) -> float:
    """Return the probability of sacral classes at the lowest named sacral body."""
    sacral = [k for k, rank in enumerate(ranks) if rank <= SACRUM_RANK]
    if not sacral:
        return 0.0
    return float(np.exp(chain.votes[sacral[0], :SACRUM_RANK]).sum())
