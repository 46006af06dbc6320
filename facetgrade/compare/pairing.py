"""Which examinations belong together: by name, or by subject and date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from facetgrade.compare.changes import Obstacle
from facetgrade.shown_dates import day_number

NO_SUBJECT = "no-subject"
NO_DATE = "no-study-date"
SAME_DATE = "same-study-date"
ONE_EXAMINATION = "only-one-examination"

ONLY_PAIR = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """What pairing needs to know of one examination.

    Attributes
    ----------
    key : str
        Unique name by which the caller finds it again.
    source, subject, date : str
        As in joints.csv; subject and date may be empty.
    """

    key: str
    source: str
    subject: str
    date: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two examinations to compare.

    Attributes
    ----------
    name : str
        Column ``pair``.
    subject : str
        Column ``subject``.
    baseline, followup : Examination
        Earlier and later.
    """

    name: str
    subject: str
    baseline: Examination
    followup: Examination


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpaired:
    """Examinations that cannot be paired, and why."""

    sources: tuple[str, ...]
    obstacle: Obstacle


@dataclass(frozen=True, slots=True)
class Pairing:
    """All pairs of a run, and what was left over."""

    pairs: tuple[Pair, ...]
    unpaired: tuple[Unpaired, ...]


def pair_by_date(examinations: Sequence[Examination]) -> Pairing:
    """Pair the first and the last examination of every subject.

    Nothing is guessed: without a subject or a date there is no pair, and two
    examinations of one day have no order.

    Parameters
    ----------
    examinations : sequence of Examination
        In any order.
    """
    pairs: list[Pair] = []
    unpaired = [
        _left_over([one], NO_SUBJECT, "it has no PatientID; name the pair in --pairs")
        for one in examinations
        if not one.subject
    ]
    for subject, own in _by_subject(examinations).items():
        obstacle = _why_no_order(own)
        if obstacle is not None:
            unpaired.append(_left_over(own, obstacle.reason, obstacle.explanation))
            continue
        ordered = sorted(own, key=lambda one: day_number(one.date) or 0)
        first, last = ordered[0], ordered[-1]
        pairs.append(Pair(name=subject, subject=subject, baseline=first, followup=last))
        unpaired += [
            _left_over([one], "between", "it lies between the first and the last one")
            for one in ordered[1:-1]
        ]
    return Pairing(tuple(pairs), tuple(unpaired))


def pair_by_subject(
    baseline: Sequence[Examination], followup: Sequence[Examination]
) -> Pairing:
    """Pair two groups of examinations; one and one always belong together.

    Parameters
    ----------
    baseline, followup : sequence of Examination
        What the user gave as BASELINE and FOLLOWUP.
    """
    if len(baseline) == 1 and len(followup) == 1:
        return Pairing((name_pair("", "", baseline[0], followup[0]),), ())
    pairs: list[Pair] = []
    unpaired: list[Unpaired] = []
    before, after = _by_subject(baseline), _by_subject(followup)
    for subject in dict.fromkeys([*before, *after]):
        first, second = before.get(subject, []), after.get(subject, [])
        if len(first) == 1 and len(second) == 1:
            pairs.append(name_pair("", "", first[0], second[0]))
            continue
        unpaired.append(
            _left_over(
                [*first, *second],
                ONE_EXAMINATION if not (first and second) else "several-examinations",
                f"{len(first)} at baseline and {len(second)} at follow-up; one of each "
                "makes a pair",
            )
        )
    unpaired += [
        _left_over([one], NO_SUBJECT, "it has no PatientID; name the pair in --pairs")
        for one in (*baseline, *followup)
        if not one.subject
    ]
    return Pairing(tuple(pairs), tuple(unpaired))


def name_pair(
    name: str, subject: str, baseline: Examination, followup: Examination
) -> Pair:
    """Name a pair: as the user says, after the subject, or ``1``."""
    subject = subject or baseline.subject or followup.subject
    return Pair(
        name=name or subject or ONLY_PAIR,
        subject=subject,
        baseline=baseline,
        followup=followup,
    )


def _by_subject(
    examinations: Sequence[Examination],
) -> dict[str, list[Examination]]:
    """Collect the examinations of each named subject."""
    subjects: dict[str, list[Examination]] = {}
    for one in examinations:
        if one.subject:
            subjects.setdefault(one.subject, []).append(one)
    return dict(sorted(subjects.items()))


def _why_no_order(own: Sequence[Examination]) -> Obstacle | None:
    """Say why the examinations of one subject have no first and last."""
    if len(own) == 1:
        return Obstacle(ONE_EXAMINATION, "the subject has no other examination")
    if any(not one.date for one in own):
        return Obstacle(
            NO_DATE, "without a study date nothing tells which is earlier; use --pairs"
        )
    if len({one.date.isdecimal() for one in own}) > 1:
        return Obstacle(
            NO_DATE, "some of its dates are masked and some are not; use --pairs"
        )
    dates = [one.date for one in own]
    if len(set(dates)) < len(dates):
        return Obstacle(
            SAME_DATE, "two examinations of one day have no order; use --pairs"
        )
    return None


def _left_over(
    examinations: Sequence[Examination], reason: str, explanation: str
) -> Unpaired:
    return Unpaired(
        sources=tuple(one.source for one in examinations),
        obstacle=Obstacle(reason, explanation),
    )
