"""What a sagittal scout adds to the numbering: bodies that other series do not show.

A scout is read by itself and never moves a joint. A numbering that the other series
decide stays, unless the scout is as sure of another one; then a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from facetgrade.localize.levels import (
    LAST_RANKS,
    Chain,
    Numbering,
    choose_numbering,
    most_probable,
    ranks_of,
    sacrum_vote,
    total_vote,
    vote_totals,
)
from facetgrade.localize.ranks import RANKS, name_of
from facetgrade.localize.settings import LocalizeSettings
from facetgrade.scouts import ScoutVerdict

SAME_BODY_MM = 15.0  # less than half a step: slices of a scout are thick, patients move
FEWEST_SAME_BODIES = 3
MOVED_MM = 7.0  # backward or along the spine; sideways the slices are too thick to tell


@dataclass(frozen=True, eq=False, slots=True)
class Consulted:
    """Numbering after a look at the scout, what it said, and a note for the report."""

    numbering: Numbering
    verdict: ScoutVerdict
    note: str = ""


@dataclass(frozen=True, eq=False, slots=True)
class Aligned:
    """Scout whose lower bodies are those of a chain.

    Attributes
    ----------
    scout : Chain
        Without the bodies above the first that does not fit: a body that either misses
        shifts all names above it.
    below : int
        Its bodies below the lowest of the chain, negative if it ends above.
    same_from : int
        Number of the uppermost body of the chain that is the same.
    one_ends : bool
        Nothing contradicts: above it, chain or scout has no bodies.
    """

    scout: Chain
    below: int
    same_from: int
    one_ends: bool


def consult_scout(
    chain: Chain, own: Numbering, scout: Chain, settings: LocalizeSettings
) -> Consulted:
    """Take the votes of a scout as prior for the numbering of a chain.

    Parameters
    ----------
    chain : Chain
        Bodies in the series that are graded.
    own : Numbering
        Their numbering without the scout and without anchors.
    scout : Chain
        Bodies in the scout, possibly none.
    settings : LocalizeSettings
        Weight of the scout, thresholds of a decision.
    """
    aligned = align_scout(chain, scout)
    if aligned is None:
        return Consulted(own, ScoutVerdict.NOT_MATCHED)
    alone = choose_numbering(aligned.scout, settings, {})
    lowest = alone.ranks[-1] + aligned.below
    differs = lowest != own.ranks[-1]
    if own.decided and not (differs and alone.decided):
        agrees = alone.decided and not differs
        return Consulted(own, ScoutVerdict.AGREES if agrees else ScoutVerdict.UNCLEAR)
    both = _numbering_of_both(chain, aligned, settings)
    least = settings.min_numbering_probability
    if differs and min(own.probability, alone.probability) >= least:
        note = _contradiction(own, lowest)
        unsure = replace(own, decided=False)
        return Consulted(unsure, ScoutVerdict.DISAGREES, note)
    if not both.decided or _misses_lumbar(both, aligned):
        return Consulted(own, ScoutVerdict.UNCLEAR)
    note = (
        "The numbering of the levels was decided by what the scout shows beside the "
        "other series."
    )
    return Consulted(both, ScoutVerdict.DECIDES, note)


def align_scout(chain: Chain, scout: Chain) -> Aligned | None:
    """Find the bodies of a chain in a scout, from the lowest that both show upward.

    Returns
    -------
    Aligned or None
        None when fewer than three bodies from the lowest on are the same, or the
        patient has moved so far that they may be the next ones. Who moved by a whole
        step looks as if not at all.
    """
    last, end = len(chain.scores) - 1, len(scout.scores) - 1
    nearest = _nearest(chain, scout)
    ends = [
        number for number, other in nearest.items() if last == number or other == end
    ]
    if not ends:
        return None
    lowest = max(ends)
    shift = nearest[lowest] - lowest
    top = lowest
    while top > 0 and nearest.get(top - 1) == top - 1 + shift:
        top -= 1
    if lowest - top + 1 < FEWEST_SAME_BODIES:
        return None
    same = slice(top, lowest + 1)
    others = scout.centers_lps_mm[top + shift : lowest + shift + 1]
    away_mm = np.median(others - chain.centers_lps_mm[same], axis=0)
    if np.abs(away_mm[1:]).max() > MOVED_MM:
        return None
    fits = top == 0 or top + shift == 0
    first = top + shift if top > 0 else 0
    kept = Chain(
        centers_lps_mm=scout.centers_lps_mm[first:],
        votes=scout.votes[first:],
        scores=scout.scores[first:],
    )
    return Aligned(kept, end - shift - last, same_from=top, one_ends=fits)


def _misses_lumbar(both: Numbering, aligned: Aligned) -> bool:
    """Tell whether scout and series show different bodies below the thoracic ones."""
    return not aligned.one_ends and both.ranks[aligned.same_from] < RANKS["L1"]


def _nearest(chain: Chain, scout: Chain) -> dict[int, int]:
    """Return the number of the same body in the scout for bodies of the chain."""
    if not len(scout.scores):
        return {}
    apart_mm = np.linalg.norm(
        chain.centers_lps_mm[:, None] - scout.centers_lps_mm[None], axis=2
    )
    return {
        number: int(row.argmin())
        for number, row in enumerate(apart_mm)
        if row.min() <= SAME_BODY_MM
    }


def _numbering_of_both(
    chain: Chain, aligned: Aligned, settings: LocalizeSettings
) -> Numbering:
    """Add the votes of the scout; it decides where it alone shows the sacrum."""
    scout, below = aligned.scout, aligned.below
    lowest = [last - below for last in LAST_RANKS]
    prior = [total_vote(scout, last) if last > 0 else -np.inf for last in lowest]
    totals = vote_totals(chain) + settings.scout_weight * np.array(prior)
    both = most_probable(chain, totals, settings)
    ranks = ranks_of(len(scout.scores), both.ranks[-1] - below)
    sacrum = sacrum_vote(scout, ranks)
    sure = both.probability >= settings.min_numbering_probability
    seen = sacrum >= settings.min_sacrum_vote
    # Where the series see the sacrum themselves, the scout shows the same once more.
    new = both.sacrum_vote < settings.min_sacrum_vote
    return replace(both, sacrum_vote=sacrum, decided=bool(sure and seen and new))


def _contradiction(own: Numbering, rank: int) -> str:
    """Say how scout and other series name the lowest vertebra."""
    return (
        "The numbering of the levels is assumed: the lowest vertebra of the series "
        f"that are graded is {name_of(own.ranks[-1])} by these series and "
        f"{name_of(rank)} by the scout; give an anchor to settle it."
    )
