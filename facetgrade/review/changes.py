"""The changes of a review, within an open transaction: locked reads, kept masks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from facetgrade.review.chain import canonical
from facetgrade.review.charter import Charter
from facetgrade.review.coding import case_row, item_row, mask_of, read_of, read_row
from facetgrade.review.errors import NotAllowedError
from facetgrade.review.planning import plan_items
from facetgrade.review.queries import (
    by_key,
    charter_in,
    item_in,
    new_cases,
    planned,
    revisions_of,
    rows_in,
)
from facetgrade.review.records import (
    Case,
    EditedMask,
    MaskRecord,
    ReadRecord,
    Submission,
)
from facetgrade.review.submissions import (
    check_revision,
    check_submission,
    same_mask,
    same_read,
)
from facetgrade.review.tables import CASE, CHARTER, ITEM, MASK, READ
from facetgrade.review.trail import Writing


def begin(writing: Writing, charter: Charter, cases: Sequence[Case]) -> None:
    """Fix the charter and plan new cases; see `Store.begin`."""
    content = canonical(charter.model_dump(mode="json"))
    known = rows_in(writing.connection, CHARTER)
    if not known:
        writing.add(CHARTER, "charter", content=content)
    elif known[0]["content"] != content:
        raise NotAllowedError(
            "the charter differs from the one this review began with; a charter is "
            "fixed before the first read, so use a new --db"
        )
    new = new_cases(writing.connection, cases)
    batch, taken = planned(writing.connection)
    for case in new:
        writing.add(CASE, case.case_id, **case_row(case))
    for item in plan_items(new, charter, batch=batch, taken=taken):
        writing.add(ITEM, item.item_id, **item_row(item))


def lock_read(writing: Writing, submission: Submission, reader: str) -> ReadRecord:
    """Lock a read, or return the one that the key made; see `Store.submit`."""
    connection = writing.connection
    earlier = by_key(connection, READ, reader, submission.key)
    if earlier is not None:
        return same_read(read_of(earlier), submission)
    item = item_in(connection, submission.item_id, reader)
    check_submission(submission, item, now=writing.at)
    revisions = revisions_of(connection, item, submission.joint)
    check_revision(submission, len(revisions))
    shown = charter_in(connection).ai == "shown-from-start"
    row = {
        **read_row(
            submission,
            item,
            replaces=revisions[-1] if revisions else "",
            ai_visible=shown or bool(revisions),
        ),
        "revision": len(revisions),
        "locked_at": writing.at,
    }
    read_id = secrets.token_hex(12)
    writing.add(READ, read_id, **row)
    writing.note(item=item.item_id, read=read_id, joint=str(submission.joint))
    return read_of({"id": read_id, "number": writing.number, **row})


def save_mask(
    writing: Writing, mask: EditedMask, content: bytes, reader: str
) -> MaskRecord:
    """Keep a mask, or return the one that the key made; see `Store.save_mask`."""
    earlier = by_key(writing.connection, MASK, reader, mask.key)
    if earlier is not None:
        return same_mask(mask_of(earlier), mask, content)
    item = item_in(writing.connection, mask.item_id, reader)
    if mask.joint not in item.joints or mask.slot not in item.slots:
        raise NotAllowedError("the mask is of a joint that is not of this item")
    row = {
        "item_id": item.item_id,
        "reader": item.reader,
        "case_id": item.case_id,
        "visit": item.visit_of(mask.slot).value,
        "slot": mask.slot,
        "level": mask.joint.level.value,
        "side": mask.joint.side.value,
        "key": mask.key,
        "saved_at": writing.at,
        "nifti": content,
    }
    mask_id = secrets.token_hex(12)
    writing.add(MASK, mask_id, **row)
    writing.note(item=item.item_id, mask=mask_id, joint=str(mask.joint))
    return mask_of({"id": mask_id, "number": writing.number, **row})
