"""Whether a read or mask may be taken: complete, possible, not too early, not twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facetgrade.anatomy import Lesion
from facetgrade.report.atomic import clean
from facetgrade.report.nifti import LabelMap, nifti_bytes
from facetgrade.review.coding import submission_json
from facetgrade.review.errors import KeyReusedError, LockedError, NotAllowedError
from facetgrade.review.records import (
    AFTER_FIRST_READ,
    UNGRADABLE_REASONS,
    EditedMask,
    Finding,
    MaskRecord,
    ReadRecord,
    Submission,
    WorkItem,
)

LONGEST_TEXT = 4000
LONGEST_KEY = 100
MOST_EXTENTS = 30
_SECONDS = 6


def cleaned(submission: Submission) -> Submission:
    """Drop from free text what a database cannot hold."""
    return replace(
        submission,
        comment=_text(submission.comment),
        correction_reason=_text(submission.correction_reason).strip(),
        elapsed_s=round(float(submission.elapsed_s), _SECONDS),
    )


def check_submission(submission: Submission, item: WorkItem, *, now: str) -> None:
    """Refuse what cannot be a read of an item.

    Raises
    ------
    NotAllowedError
        If joint, slots, grades, reasons or key are impossible, or it is too early.
    """
    if submission.joint not in item.joints:
        raise NotAllowedError(f"{submission.joint} is not to be read in this item")
    if item.available_from == AFTER_FIRST_READ:
        raise NotAllowedError("this item is read when the others are done")
    if item.available_from > now:
        raise NotAllowedError(f"this item may be read from {item.available_from}")
    if tuple(finding.slot for finding in submission.findings) != item.slots:
        raise NotAllowedError(f"a finding is needed for each of {item.slots}")
    _check_key(submission.key)
    if not np.isfinite(submission.elapsed_s) or submission.elapsed_s < 0:
        raise NotAllowedError("elapsed_s must be a time")
    for finding in submission.findings:
        _check_finding(finding)


def check_revision(submission: Submission, revisions: int) -> None:
    """Refuse a second read without a reason, and a reason without a first read.

    Raises
    ------
    LockedError, NotAllowedError
        As said.
    """
    if revisions and not submission.correction_reason:
        raise LockedError(
            f"{submission.joint} is locked; a correction needs a reason, and the first "
            "read stays"
        )
    if submission.correction_reason and not revisions:
        raise NotAllowedError(f"{submission.joint} has no read that could be corrected")


def same_read(record: ReadRecord, submission: Submission) -> ReadRecord:
    """Return the read that a key already made.

    Raises
    ------
    KeyReusedError
        If its content was another one.
    """
    earlier = record.submission
    same = (
        earlier.item_id == submission.item_id
        and earlier.joint == submission.joint
        and submission_json(earlier) == submission_json(submission)
    )
    if not same:
        raise KeyReusedError("this key locked another read; make a new key")
    return record


def mask_content(mask: EditedMask) -> bytes:
    """Encode an edited mask.

    Raises
    ------
    NotAllowedError
        If array or key are impossible.
    """
    _check_key(mask.key)
    if mask.lesions.dtype != np.uint8 or mask.lesions.shape != mask.geometry.shape:
        raise NotAllowedError("lesions must be uint8 on the grid of the mask")
    if int(mask.lesions.max(initial=0)) > len(Lesion):
        raise NotAllowedError(f"lesions must hold codes 0-{len(Lesion)}")
    return nifti_bytes(LabelMap(geometry=mask.geometry, voxels=mask.lesions))


def same_mask(record: MaskRecord, mask: EditedMask, content: bytes) -> MaskRecord:
    """Return the mask that a key already made.

    Raises
    ------
    KeyReusedError
        If its content was another one.
    """
    same = (
        record.item_id == mask.item_id
        and record.joint == mask.joint
        and record.slot == mask.slot
        and record.nifti == content
    )
    if not same:
        raise KeyReusedError("this key saved another mask; make a new key")
    return record


def _check_finding(finding: Finding) -> None:
    """Refuse a grade outside 0-4 and an ungradable joint without reason."""
    if finding.grade is None:
        if finding.reason not in UNGRADABLE_REASONS:
            raise NotAllowedError(
                f"an ungradable joint needs a reason of {', '.join(UNGRADABLE_REASONS)}"
            )
    elif isinstance(finding.grade, bool) or finding.grade not in range(5):
        raise NotAllowedError(f"grades are 0-4, got {finding.grade!r}")
    elif finding.reason:
        raise NotAllowedError("a graded joint has no reason for being ungradable")
    if len(finding.extents) > MOST_EXTENTS:
        raise NotAllowedError(f"a finding has at most {MOST_EXTENTS} extents")
    if any(len(_text(name)) != len(name) or len(name) > 60 for name in finding.extents):
        raise NotAllowedError("the name of an extent is impossible")


def _check_key(key: str) -> None:
    """Refuse an empty, endless or strange key."""
    if not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
        raise NotAllowedError(f"a key is 1-{LONGEST_KEY} printable characters")


def _text(text: str) -> str:
    """Replace what UTF-8 or PostgreSQL cannot hold."""
    return clean(text).replace("\0", " ")[:LONGEST_TEXT]
