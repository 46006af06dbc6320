"""Participants and sessions of a BIDS dataset, from subjects and dates."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from facetgrade.shown_dates import day_number

_BIDS_PLACE = re.compile(r"(?:^|/)sub-([A-Za-z0-9]+)(?:/ses-([A-Za-z0-9]+))?(?:/|$)")
_NOT_A_LABEL = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Visit:
    """Where one study stands in a BIDS dataset.

    Attributes
    ----------
    participant : str
        Label after ``sub-``, letters and digits.
    session : str
        Label after ``ses-``; empty where the source, itself BIDS, has no sessions.
    day : int or None
        Days since the participant's first study, None without dates.
    """

    participant: str
    session: str
    day: int | None

    @property
    def stem(self) -> str:
        """Start of all file names."""
        session = f"_ses-{self.session}" if self.session else ""
        return f"sub-{self.participant}{session}"

    @property
    def folder(self) -> str:
        """Folder of the images, relative to the dataset."""
        return f"{self.stem.replace('_', '/')}/anat"


def visits(records: Sequence[Mapping[str, Any]]) -> list[Visit]:
    """Name participant and session of every study.

    A study that was read from a BIDS tree keeps its labels. Else the participant is
    the subject of the tables, or the study where no patient is known, and sessions
    count from 01 in the order of time.

    Parameters
    ----------
    records : sequence of mapping
        ``source``, ``subject``, ``study_date`` and ``study_uid`` of each study, as in
        study.json.

    Returns
    -------
    list of Visit
        In the order of the records, each with its own names.
    """
    named = [_bids_labels(record) for record in records]
    known = {pair for pair in named if pair}
    if len(known) < sum(pair is not None for pair in named):
        named = [None] * len(records)
    participants = _participants(records, named)
    found: list[Visit | None] = [None] * len(records)
    for participant, members in _grouped(participants).items():
        first = _first_day([records[k] for k in members])
        taken = {pair[1] for k in members if (pair := named[k])}
        for k in _by_time(records, members):
            labels = named[k]
            session = labels[1] if labels else _next(taken)
            taken.add(session)
            found[k] = Visit(participant, session, _day(records[k], first))
    return [visit for visit in found if visit is not None]


def label(text: str) -> str:
    """Keep the letters and digits of a text, as BIDS wants labels."""
    return _NOT_A_LABEL.sub("", text)


def _bids_labels(record: Mapping[str, Any]) -> tuple[str, str] | None:
    """Read the labels of a study whose folder is that of a BIDS tree."""
    match = _BIDS_PLACE.search(record["source"])
    return (match[1], match[2] or "") if match else None


def _participants(
    records: Sequence[Mapping[str, Any]], named: Sequence[tuple[str, str] | None]
) -> list[str]:
    """Name the participant of every study; no two subjects share a label."""
    owners: dict[str, str] = {pair[0]: f"bids {pair[0]}" for pair in named if pair}
    found = []
    for record, pair in zip(records, named, strict=True):
        if pair:
            found.append(pair[0])
            continue
        who = record["subject"] or f"study {record['study_uid']}"
        wanted = label(record["subject"]) or f"study{_digest(who)}"
        if owners.setdefault(wanted, who) != who:
            wanted += _digest(who)
        found.append(wanted)
    return found


def _digest(text: str) -> str:
    return sha256(text.encode(errors="replace")).hexdigest()[:8]


def _grouped(participants: Sequence[str]) -> dict[str, list[int]]:
    """Collect the studies of each participant."""
    groups: dict[str, list[int]] = defaultdict(list)
    for k, participant in enumerate(participants):
        groups[participant].append(k)
    return groups


def _by_time(records: Sequence[Mapping[str, Any]], members: Sequence[int]) -> list[int]:
    """Order studies by time, those without a date last, else by their source."""

    def key(k: int) -> tuple[bool, int, str, str]:
        moment = day_number(records[k]["study_date"])
        unknown = moment is None
        return unknown, moment or 0, records[k]["source"], records[k]["study_uid"]

    return sorted(members, key=key)


def _first_day(records: Sequence[Mapping[str, Any]]) -> int:
    days = (day_number(record["study_date"]) for record in records)
    return min((day for day in days if day is not None), default=0)


def _day(record: Mapping[str, Any], first: int) -> int | None:
    moment = day_number(record["study_date"])
    return None if moment is None else moment - first


def _next(taken: set[str]) -> str:
    """Return the first free number of a session."""
    number = 1
    while f"{number:02d}" in taken:
        number += 1
    return f"{number:02d}"
