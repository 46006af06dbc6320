"""Sample the images of joints before somebody opens them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import chain, zip_longest

from facetgrade.anatomy import FacetJoint
from facetgrade.review.records import Case
from facetgrade.review.web.desk import Desk

Place = tuple[Case, FacetJoint]


def prepare_first(desk: Desk, announce: Callable[[str], None]) -> None:
    """Prepare what each person opens first, so that nobody waits for it.

    Parameters
    ----------
    desk : Desk
        The review.
    announce : callable
        Told that this is going on; it takes seconds for each person, once.
    """
    first = _distinct(places[0] for places in _open_places(desk) if places)
    announce(f"preparing the {len(first)} joints that are opened first")
    desk.images.prepare(first, lambda: False)


def prepare_behind(
    desk: Desk, stop: Callable[[], bool], announce: Callable[[str], None]
) -> threading.Thread:
    """Prepare all joints in reading order behind the scenes.

    Parameters
    ----------
    desk : Desk
        The review.
    stop : callable
        Asked before each image.
    announce : callable
        Told when all are ready.

    Returns
    -------
    Thread
        Started.
    """

    def work() -> None:
        places = reading_order(desk)
        ready = desk.images.prepare(places, stop)
        if not stop():
            announce(f"images of {ready} of {len(places)} joints are ready")

    thread = threading.Thread(target=work, name="prepare-images", daemon=True)
    thread.start()
    return thread


def reading_order(desk: Desk) -> list[Place]:
    """List all joints as they will be opened.

    Everybody's first open joint comes before everybody's second one. What is locked,
    or on nobody's list, comes last.
    """
    rounds = chain.from_iterable(zip_longest(*_open_places(desk)))
    rest = ((case, joint) for case in desk.store.cases() for joint in case.joints)
    return _distinct(chain(filter(None, rounds), rest))


def _open_places(desk: Desk) -> list[list[Place]]:
    """List what each person has not locked yet, in the order of the work list."""
    cases = {case.case_id: case for case in desk.store.cases()}
    return [
        [
            (cases[item.case_id], joint)
            for item in desk.store.work_list(person.name)
            for joint in item.joints
            if joint not in item.locked
        ]
        for person in desk.charter.people
    ]


def _distinct(places: Iterable[Place]) -> list[Place]:
    """Keep each joint of a case once, where it comes first."""
    return list(
        {(case.case_id, joint): (case, joint) for case, joint in places}.values()
    )
