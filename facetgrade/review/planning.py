"""Work lists: every reader gets all cases in an order of his or her own."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256

import numpy as np

from facetgrade.review.charter import Charter
from facetgrade.review.people import Role
from facetgrade.review.records import Case, Purpose, Visit, WorkItem


def plan_items(
    cases: Sequence[Case], charter: Charter, *, batch: int, taken: int
) -> list[WorkItem]:
    """Plan the work of everybody for some cases.

    Parameters
    ----------
    cases : sequence of Case
        New ones; the plan depends on their order, not on their random names.
    charter : Charter
        People, seed, share of repeats.
    batch : int
        Number of batches planned before.
    taken : int
        Entries that every list has already.

    Returns
    -------
    list of WorkItem
        By person and position. Repeats come after all first reads. An adjudicator
        has every case; what needs no adjudication is hidden later.
    """
    items: list[WorkItem] = []
    for reader in charter.names(Role.READER):
        draw = _generator(charter.seed, reader, batch)
        order = draw.permutation(len(cases)).tolist()
        repeats = draw.permutation(len(cases)).tolist()[: _repeats(cases, charter)]
        plan = [(index, Purpose.READ) for index in order]
        plan += [(index, Purpose.REPEAT) for index in repeats]
        items += _items(reader, cases, plan, draw, charter, taken)
    for adjudicator in charter.names(Role.ADJUDICATOR):
        draw = _generator(charter.seed, adjudicator, batch)
        order = draw.permutation(len(cases)).tolist()
        plan = [(index, Purpose.ADJUDICATION) for index in order]
        items += _items(adjudicator, cases, plan, draw, charter, taken)
    return items


def _generator(seed: int, name: str, batch: int) -> np.random.Generator:
    """Return the generator of one person."""
    digest = sha256(f"{seed}/{name}/{batch}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def _repeats(cases: Sequence[Case], charter: Charter) -> int:
    """Return how many cases are read twice."""
    share = charter.repeats.share
    return max(1, round(share * len(cases))) if share and cases else 0


def _items(
    reader: str,
    cases: Sequence[Case],
    plan: Sequence[tuple[int, Purpose]],
    draw: np.random.Generator,
    charter: Charter,
    taken: int,
) -> list[WorkItem]:
    """Make the entries of one list."""
    return [
        WorkItem(
            item_id=secrets.token_hex(12),
            reader=reader,
            position=taken + place,
            case_id=cases[index].case_id,
            purpose=purpose,
            visits=_visits(cases[index], draw, charter),
            joints=cases[index].joints,
        )
        for place, (index, purpose) in enumerate(plan, start=1)
    ]


def _visits(
    case: Case, draw: np.random.Generator, charter: Charter
) -> tuple[Visit, ...]:
    """Draw which visit is shown as A."""
    visits = tuple(study.visit for study in case.studies)
    swap = bool(draw.integers(2))
    return visits[::-1] if swap and charter.time_order == "masked" else visits
