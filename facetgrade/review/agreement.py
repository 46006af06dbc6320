"""Agreement of readers with each other, themselves, the result and facetgrade."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations

from facetgrade.anatomy import FacetJoint
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.summary import Bootstrap, Section, grade_section
from facetgrade.review.charter import Charter, Statistics
from facetgrade.review.people import Role
from facetgrade.review.records import (
    AdjudicatedResult,
    Basis,
    Case,
    Purpose,
    ReadRecord,
    Visit,
)

AI, RESULT = "facetgrade", "result"

Place = tuple[str, Visit, FacetJoint]
Grades = Mapping[Place, int]


class Kind(StrEnum):
    """Whose grades are compared."""

    READERS = "reader-reader"
    RESULT = "reader-adjudicated"
    AI = "ai-reader"
    AI_RESULT = "ai-adjudicated"
    REPEAT = "intra-reader"


@dataclass(frozen=True, kw_only=True, slots=True)
class GradePair:
    """Two grades of one joint; -1 is ungradable."""

    patient: str
    case_id: str
    visit: Visit
    joint: FacetJoint
    first: int
    second: int


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Comparison:
    """Two columns of grades.

    Attributes
    ----------
    kind : Kind
        What is compared.
    first, second : str
        Whose grades; `first` stands for the truth. A reader's name, `RESULT`, `AI`,
        or the reader's name twice for repeats.
    pairs : tuple of GradePair
        Joints that both have read.
    """

    kind: Kind
    first: str
    second: str
    pairs: tuple[GradePair, ...]

    @property
    def differences(self) -> tuple[GradePair, ...]:
        """Pairs of unequal grades, farthest first."""
        unequal = [pair for pair in self.pairs if pair.first != pair.second]
        return tuple(sorted(unequal, key=lambda p: -abs(p.first - p.second)))


def compare_grades(
    cases: Sequence[Case],
    reads: Sequence[ReadRecord],
    results: Sequence[AdjudicatedResult],
    charter: Charter,
) -> tuple[Comparison, ...]:
    """Put side by side everything that is to agree.

    Parameters
    ----------
    cases : sequence of Case
        All of the review.
    reads : sequence of ReadRecord
        Current ones, from `Store.current_reads`.
    results : sequence of AdjudicatedResult
        From `Store.results`; pending ones are left out.
    charter : Charter
        Names the readers.

    Returns
    -------
    tuple of Comparison
        Readers pairwise, readers with result, facetgrade with readers, facetgrade with
        result, readers with themselves; those without a common joint are left out.
    """
    readers = charter.names(Role.READER)
    first = {name: _of_reader(reads, name, Purpose.READ) for name in readers}
    again = {name: _of_reader(reads, name, Purpose.REPEAT) for name in readers}
    result = _of_results(results)
    ai = _of_ai(cases)
    wanted: list[tuple[Kind, str, str, Grades, Grades]] = []
    for one, other in combinations(readers, 2):
        wanted.append((Kind.READERS, one, other, first[one], first[other]))
    for name in readers:
        wanted.append((Kind.RESULT, RESULT, name, result, first[name]))
    for name in readers:
        wanted.append((Kind.AI, name, AI, first[name], ai))
    wanted.append((Kind.AI_RESULT, RESULT, AI, result, ai))
    for name in readers:
        wanted.append((Kind.REPEAT, name, name, first[name], again[name]))
    patients = {case.case_id: case.patient for case in cases}
    found = [
        Comparison(kind=k, first=a, second=b, pairs=_pairs(x, y, patients))
        for k, a, b, x, y in wanted
    ]
    return tuple(one for one in found if one.pairs)


def agreement_section(comparison: Comparison, charter: Charter) -> Section:
    """Summarize a comparison, pooled and by level.

    Returns
    -------
    dict
        kind, first, second, pooled and levels (by name): sections of
        `facetgrade.evaluate.summary.grade_section` with exact and within-one
        agreement, linear and quadratic weighted kappa, Gwet AC2 with intervals that
        resample patients, the confusion matrix and the prevalence of each grade.
    """
    how = charter.statistics
    levels = sorted({pair.joint.level for pair in comparison.pairs})
    return {
        "kind": comparison.kind.value,
        "first": comparison.first,
        "second": comparison.second,
        "pooled": _section(comparison.pairs, how),
        "levels": {
            level.value: _section(
                tuple(one for one in comparison.pairs if one.joint.level is level),
                how,
            )
            for level in levels
        },
    }


def adjudication_rate(results: Iterable[AdjudicatedResult]) -> Section:
    """Count how the results came about, and the share that needed an adjudicator."""
    counts = {basis.value: 0 for basis in Basis}
    for result in results:
        counts[result.basis.value] += 1
    decided = sum(counts.values()) - counts[Basis.PENDING.value]
    adjudicated = counts[Basis.ADJUDICATED.value]
    share = round(adjudicated / decided, 6) if decided else None
    return {"counts": counts, "adjudicated_share": share}


@lru_cache(maxsize=512)
def _section(pairs: tuple[GradePair, ...], how: Statistics) -> Section:
    """Summarize pairs; remembered, since a page asks again while nothing changed."""
    bootstrap = Bootstrap(resamples=how.resamples, seed=how.seed, coverage=how.coverage)
    return grade_section(
        [pair.first for pair in pairs],
        [pair.second for pair in pairs],
        [pair.patient for pair in pairs],
        bootstrap,
    )


def _pairs(
    first: Grades, second: Grades, patients: Mapping[str, str]
) -> tuple[GradePair, ...]:
    """Pair the grades of the joints that both have."""
    return tuple(
        GradePair(
            patient=patients[place[0]],
            case_id=place[0],
            visit=place[1],
            joint=place[2],
            first=grade,
            second=second[place],
        )
        for place, grade in sorted(first.items(), key=lambda item: item[0])
        if place in second
    )


def _of_reader(reads: Sequence[ReadRecord], reader: str, purpose: Purpose) -> Grades:
    """Return the grades of one reader."""
    return {
        (read.case_id, visit, read.joint): _number(read.finding_at(visit).grade)
        for read in reads
        if read.reader == reader and read.purpose is purpose
        for visit in read.visits
    }


def _of_results(results: Sequence[AdjudicatedResult]) -> Grades:
    """Return the grades of the decided results."""
    return {
        (one.case_id, one.visit, one.joint): _number(one.grade)
        for one in results
        if one.basis is not Basis.PENDING
    }


def _of_ai(cases: Sequence[Case]) -> Grades:
    """Return the grades of facetgrade."""
    return {
        (case.case_id, one.visit, one.joint): _number(one.grade)
        for case in cases
        for one in case.ai
    }


def _number(grade: int | None) -> int:
    return UNGRADABLE if grade is None else grade
