"""Cases, charters and reads of a tiny review."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.review.charter import Charter
from facetgrade.review.people import Origin
from facetgrade.review.records import (
    AiGrade,
    Case,
    Finding,
    StudyRef,
    Submission,
    Visit,
)

LEFT, RIGHT = (FacetJoint(Level.L4_L5, side) for side in Side)
JOINTS = (LEFT, RIGHT)
SYSTEM = Origin(who="system", software="1.2.3", models={"segmenter": "ab12"})
_BOTH = (Visit.BASELINE, Visit.FOLLOWUP)
_keys = itertools.count()


class SlowClock:
    """A clock that only moves when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def wait(self, **length: float) -> None:
        self.now += timedelta(**length)


def charter(**changes) -> Charter:
    """Two readers, an adjudicator, no repeats, unless changed."""
    people = changes.pop("people", None) or {
        "ann": "reader",
        "bob": "reader",
        "judy": "adjudicator",
        "lea": "lead",
    }
    values = {
        "title": "Test",
        "seed": 7,
        "reading": "paired",
        "time_order": "masked",
        "ai": "hidden-until-locked",
        "levels": ["L4-L5"],
        "people": [{"name": name, "role": role} for name, role in people.items()],
        "repeats": {"share": 0.0, "washout_days": 0.0},
        "adjudication": {
            "rule": "any-difference",
            "view": "blind",
            "minor_difference": "higher",
        },
        "access": {"session_hours": 8.0, "failed_logins": 3, "lockout_minutes": 15.0},
        "statistics": {"resamples": 100, "seed": 1, "coverage": 0.95},
    }
    for name, value in changes.items():
        values[name] = {**values[name], **value} if isinstance(value, dict) else value
    return Charter.model_validate(values)


def case(number: int, *, visits=_BOTH, ai=None, joints=JOINTS) -> Case:
    """A case; `ai` gives grades by (visit, joint), else all are 1."""
    return Case(
        case_id=f"case{number}",
        patient=f"patient{number}",
        studies=tuple(study(number, visit) for visit in visits),
        joints=joints,
        ai=tuple(
            AiGrade(visit=visit, joint=joint, grade=(ai or {}).get((visit, joint), 1))
            for visit in visits
            for joint in joints
        ),
    )


def study(number: int, visit: Visit) -> StudyRef:
    return StudyRef(
        visit=visit,
        folder=f"studies/{number}-{visit}",
        study_uid=f"2.25.{number}.{_BOTH.index(visit) if visit in _BOTH else 9}",
        source=f"scans/{number}-{visit}",
        subject=f"patient{number}",
        date="2026-01-01",
    )


def origin(who: str, address: str = "127.0.0.1") -> Origin:
    return Origin(
        who=who, address=address, software="1.2.3", models={"segmenter": "ab"}
    )


def submission(item, joint=LEFT, grades=1, **changes) -> Submission:
    """A read; `grades` is one for all slots or a mapping of visit to grade."""
    findings = tuple(
        finding(slot, grades if not isinstance(grades, dict) else grades[visit])
        for slot, visit in zip(item.slots, item.visits, strict=True)
    )
    values = {
        "item_id": item.item_id,
        "joint": joint,
        "findings": findings,
        "key": f"key-{next(_keys)}",
        "elapsed_s": 12.5,
    }
    return Submission(**(values | changes))


def finding(slot: str, grade: int | None) -> Finding:
    return Finding(slot=slot, grade=grade, reason="" if grade is not None else "motion")


def read_all(store, reader: str, grade_of) -> None:
    """Read a whole work list; `grade_of(case_id, visit, joint)` gives the grades."""
    for item in store.work_list(reader):
        for joint in item.joints:
            grades = {v: grade_of(item.case_id, v, joint) for v in item.visits}
            store.submit(submission(item, joint, grades), origin(reader))
