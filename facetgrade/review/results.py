"""The result of a joint by the rule of the charter: agreed, adjudicated, pending."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from facetgrade.anatomy import FacetJoint
from facetgrade.review.charter import Charter
from facetgrade.review.people import Role
from facetgrade.review.records import (
    AdjudicatedResult,
    Basis,
    Case,
    Finding,
    Purpose,
    ReadRecord,
    Visit,
)

JointReads = Mapping[str, ReadRecord]


def first_reads(
    reads: Sequence[ReadRecord],
) -> dict[tuple[str, FacetJoint], JointReads]:
    """Sort current reads by case and joint, then by reader; repeats are left out."""
    sorted_reads: dict[tuple[str, FacetJoint], dict[str, ReadRecord]] = {}
    for read in reads:
        if read.purpose is not Purpose.REPEAT:
            place = sorted_reads.setdefault((read.case_id, read.joint), {})
            place[read.reader] = read
    return dict(sorted_reads)


def needs_adjudication(
    reads: JointReads, visits: Sequence[Visit], charter: Charter
) -> bool:
    """Tell whether the readers differ at any visit, once all of them have read."""
    readers = charter.names(Role.READER)
    if any(name not in reads for name in readers):
        return False
    return any(
        _differ([reads[name].finding_at(visit) for name in readers], charter)
        for visit in visits
    )


def results_of(
    cases: Sequence[Case], reads: Sequence[ReadRecord], charter: Charter
) -> tuple[AdjudicatedResult, ...]:
    """Decide every joint of every case.

    Parameters
    ----------
    cases : sequence of Case
        All of the review.
    reads : sequence of ReadRecord
        Current ones: corrected reads are replaced by their correction.
    charter : Charter
        Readers and rule.

    Returns
    -------
    tuple of AdjudicatedResult
        One per case, joint and visit, in this order.
    """
    by_joint = first_reads(reads)
    return tuple(
        _result(
            case, joint, study.visit, by_joint.get((case.case_id, joint), {}), charter
        )
        for case in cases
        for joint in case.joints
        for study in case.studies
    )


def _result(
    case: Case, joint: FacetJoint, visit: Visit, reads: JointReads, charter: Charter
) -> AdjudicatedResult:
    """Decide one joint at one visit."""
    readers = charter.names(Role.READER)
    own = [reads[name] for name in readers if name in reads]
    adjudicator = [reads[n] for n in charter.names(Role.ADJUDICATOR) if n in reads]
    finding, basis = _decide(
        [read.finding_at(visit) for read in own],
        [read.finding_at(visit) for read in adjudicator],
        charter,
    )
    behind = [*own, *(adjudicator if basis is Basis.ADJUDICATED else ())]
    return AdjudicatedResult(
        case_id=case.case_id,
        visit=visit,
        joint=joint,
        grade=finding.grade if finding else None,
        reason=finding.reason if finding else "",
        basis=basis,
        reads=tuple(read.read_id for read in behind),
    )


def _decide(
    findings: Sequence[Finding], adjudicated: Sequence[Finding], charter: Charter
) -> tuple[Finding | None, Basis]:
    """Apply the rule to the findings of all readers."""
    if len(findings) < len(charter.names(Role.READER)):
        return None, Basis.PENDING
    if len(findings) == 1:
        return findings[0], Basis.SINGLE_READER
    if len({finding.grade for finding in findings}) == 1:
        return findings[0], Basis.AGREED
    if _differ(findings, charter):
        if adjudicated:
            return adjudicated[0], Basis.ADJUDICATED
        return None, Basis.PENDING
    return _of_minor_difference(findings, charter), Basis.MINOR_DIFFERENCE


def _differ(findings: Sequence[Finding], charter: Charter) -> bool:
    """Tell whether findings of one visit need an adjudicator."""
    rule = charter.adjudication.rule
    grades = {finding.grade for finding in findings}
    if rule == "none" or len(grades) == 1:
        return False
    graded = [grade for grade in grades if grade is not None]
    if rule == "any-difference" or len(graded) < len(grades):
        return True
    return max(graded) - min(graded) > 1


def _of_minor_difference(findings: Sequence[Finding], charter: Charter) -> Finding:
    """Choose among findings that differ without being adjudicated."""
    chosen = charter.adjudication.minor_difference
    graded = [finding for finding in findings if finding.grade is not None]
    if chosen == "first-reader" or not graded:
        return findings[0]
    by_grade = sorted(graded, key=lambda finding: finding.grade or 0)
    return by_grade[-1] if chosen == "higher" else by_grade[0]
