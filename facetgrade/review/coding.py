"""Records of a review to the JSON of its rows, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.review.chain import AuditEntry, canonical
from facetgrade.review.people import Origin
from facetgrade.review.records import (
    AiGrade,
    Case,
    Finding,
    MaskRecord,
    Purpose,
    ReadRecord,
    StudyRef,
    Submission,
    Visit,
    WorkItem,
)

Row = Mapping[str, Any]


def case_row(case: Case) -> dict[str, str]:
    """Return the columns of a case."""
    content = {
        "studies": [
            {
                "visit": study.visit.value,
                "folder": study.folder,
                "study_uid": study.study_uid,
                "source": study.source,
                "subject": study.subject,
                "date": study.date,
            }
            for study in case.studies
        ],
        "joints": [joint_json(joint) for joint in case.joints],
        "ai": [
            {
                "visit": one.visit.value,
                "joint": joint_json(one.joint),
                "grade": one.grade,
                "reason": one.reason,
            }
            for one in case.ai
        ],
    }
    return {"patient": case.patient, "content": canonical(content)}


def case_of(row: Row) -> Case:
    """Restore a case."""
    content = json.loads(row["content"])
    return Case(
        case_id=row["id"],
        patient=row["patient"],
        studies=tuple(
            StudyRef(**{**study, "visit": Visit(study["visit"])})
            for study in content["studies"]
        ),
        joints=tuple(joint_of(joint) for joint in content["joints"]),
        ai=tuple(
            AiGrade(
                visit=Visit(one["visit"]),
                joint=joint_of(one["joint"]),
                grade=one["grade"],
                reason=one["reason"],
            )
            for one in content["ai"]
        ),
    )


def item_row(item: WorkItem) -> dict[str, Any]:
    """Return the columns of an entry of a work list."""
    return {
        "reader": item.reader,
        "position": item.position,
        "case_id": item.case_id,
        "purpose": item.purpose.value,
        "visits": " ".join(visit.value for visit in item.visits),
    }


def item_of(row: Row, joints: tuple[FacetJoint, ...]) -> WorkItem:
    """Restore an entry of a work list; its joints are those of the case."""
    return WorkItem(
        item_id=row["id"],
        reader=row["reader"],
        position=row["position"],
        case_id=row["case_id"],
        purpose=Purpose(row["purpose"]),
        visits=_visits(row["visits"]),
        joints=joints,
    )


def read_row(
    submission: Submission, item: WorkItem, *, replaces: str, ai_visible: bool
) -> dict[str, str]:
    """Return the columns of a read, without time and revision."""
    content = {
        **submission_json(submission),
        "visits": " ".join(visit.value for visit in item.visits),
        "ai_visible": ai_visible,
        "replaces": replaces,
    }
    return {
        "item_id": item.item_id,
        "reader": item.reader,
        "case_id": item.case_id,
        "purpose": item.purpose.value,
        "level": submission.joint.level.value,
        "side": submission.joint.side.value,
        "key": submission.key,
        "content": canonical(content),
    }


def submission_json(submission: Submission) -> dict[str, Any]:
    """Return what makes a submission the same as another one."""
    return {
        "findings": [
            {
                "slot": one.slot,
                "grade": one.grade,
                "reason": one.reason,
                "extents": {
                    name: float(value) if math.isfinite(value) else None
                    for name, value in one.extents.items()
                },
            }
            for one in submission.findings
        ],
        "comment": submission.comment,
        "elapsed_s": float(submission.elapsed_s),
        "correction_reason": submission.correction_reason,
    }


def read_of(row: Row) -> ReadRecord:
    """Restore a read."""
    content = json.loads(row["content"])
    submission = Submission(
        item_id=row["item_id"],
        joint=_row_joint(row),
        findings=tuple(_finding(one) for one in content["findings"]),
        key=row["key"],
        comment=content["comment"],
        elapsed_s=content["elapsed_s"],
        correction_reason=content["correction_reason"],
    )
    return ReadRecord(
        read_id=row["id"],
        number=row["number"],
        reader=row["reader"],
        case_id=row["case_id"],
        purpose=Purpose(row["purpose"]),
        submission=submission,
        visits=_visits(content["visits"]),
        locked_at=row["locked_at"],
        ai_visible=content["ai_visible"],
        replaces=content["replaces"],
    )


def mask_of(row: Row) -> MaskRecord:
    """Restore a stored mask."""
    return MaskRecord(
        mask_id=row["id"],
        number=row["number"],
        item_id=row["item_id"],
        reader=row["reader"],
        case_id=row["case_id"],
        visit=Visit(row["visit"]),
        slot=row["slot"],
        joint=_row_joint(row),
        nifti=bytes(row["nifti"]),
        saved_at=row["saved_at"],
    )


def entry_of(row: Row) -> AuditEntry:
    """Restore an entry of the audit trail."""
    return AuditEntry(
        number=row["number"],
        at=row["at"],
        action=row["action"],
        origin=Origin(
            who=row["who"],
            address=row["address"],
            software=row["software"],
            models=json.loads(row["models"]),
        ),
        subject=json.loads(row["subject"]),
        rows=json.loads(row["written"]),
        previous=row["previous"],
        mac=row["mac"],
    )


def joint_json(joint: FacetJoint) -> list[str]:
    """Write a joint as level and side."""
    return [joint.level.value, joint.side.value]


def joint_of(value: list[str]) -> FacetJoint:
    """Restore a joint from level and side."""
    return FacetJoint(Level(value[0]), Side(value[1]))


def _row_joint(row: Row) -> FacetJoint:
    return FacetJoint(Level(row["level"]), Side(row["side"]))


def _visits(text: str) -> tuple[Visit, ...]:
    return tuple(Visit(name) for name in text.split())


def _finding(one: Mapping[str, Any]) -> Finding:
    """Restore a finding; a measure that was not finite is NaN."""
    return Finding(
        slot=one["slot"],
        grade=one["grade"],
        reason=one["reason"],
        extents={
            name: math.nan if value is None else value
            for name, value in one["extents"].items()
        },
    )
