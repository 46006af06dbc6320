"""Addresses that the reading page asks: joints, images, reads."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from facetgrade.review.errors import NotFoundError
from facetgrade.review.records import Finding, Submission
from facetgrade.review.web.desk import OpenedJoint
from facetgrade.review.web.joint_data import joint_data, next_url, progress_json
from facetgrade.review.web.joint_images import union_of_views
from facetgrade.review.web.security import (
    CheckedReader,
    CurrentDesk,
    Reader,
    client_address,
)

router = APIRouter(prefix="/api/items/{item_id}/{joint}")

_LONGEST_COMMENT = 4000
_EXTENT = re.compile(r"[a-z][a-z0-9_-]{0,40}")

Json = dict[str, Any]


class FindingBody(BaseModel):
    """One finding as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    slot: str
    grade: Annotated[int, Field(ge=0, le=4)] | None
    reason: str = ""
    extents: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}


class ReadBody(BaseModel):
    """One read as the page sends it."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    findings: Annotated[list[FindingBody], Field(min_length=1, max_length=2)]
    comment: Annotated[str, Field(max_length=_LONGEST_COMMENT)] = ""
    elapsed_s: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0
    correction_reason: Annotated[str, Field(max_length=_LONGEST_COMMENT)] = ""


@router.get("")
def show_joint(item_id: str, joint: str, desk: CurrentDesk, session: Reader) -> Json:
    """Return everything about a joint but its pixels."""
    return joint_data(desk, session, desk.opened(session, item_id, joint))


@router.get("/{slot}/{number:int}.nii")
def show_image(
    item_id: str,
    joint: str,
    slot: str,
    number: int,
    desk: CurrentDesk,
    session: Reader,
) -> Response:
    """Return one image block; the browser unpacks it."""
    opened = desk.opened(session, item_id, joint)
    visit = _visit(opened, slot)
    visits = desk.images.visits(opened.case, opened.joint)
    views = union_of_views(visits.values())
    if visit not in visits or not 0 <= number < len(views):
        raise NotFoundError("there is no such image")
    if views[number] not in visits[visit].views:
        raise NotFoundError("there is no such image")
    return packed_nifti(
        desk.images.block(opened.case, opened.joint, visit, views[number])
    )


@router.post("/read")
def lock_read(
    item_id: str,
    joint: str,
    body: ReadBody,
    request: Request,
    desk: CurrentDesk,
    session: CheckedReader,
) -> Json:
    """Lock a read, or correct one; the same key again changes nothing."""
    opened = desk.opened(session, item_id, joint)
    desk.store.submit(
        _submission(opened, body), desk.origin(session, client_address(request))
    )
    items = desk.store.work_list(session.name)
    return {
        "next": next_url(items, opened.item, opened.joint) or None,
        **progress_json(items),
    }


def packed_nifti(content: bytes) -> Response:
    """Send a compressed file so that the browser unpacks it."""
    return Response(
        content,
        media_type="application/octet-stream",
        headers={"Content-Encoding": "gzip"},
    )


def _visit(opened: OpenedJoint, slot: str) -> Any:
    if slot not in opened.item.slots:
        raise NotFoundError("there is no such time point")
    return opened.item.visit_of(slot)


def _submission(opened: OpenedJoint, body: ReadBody) -> Submission:
    """Turn what the page sent into a record."""
    names = [name for finding in body.findings for name in finding.extents]
    if not all(_EXTENT.fullmatch(name) for name in names):
        raise HTTPException(422, "An extent has an impossible name.")
    return Submission(
        item_id=opened.item.item_id,
        joint=opened.joint,
        findings=tuple(
            Finding(
                slot=one.slot, grade=one.grade, reason=one.reason, extents=one.extents
            )
            for one in body.findings
        ),
        key=body.key,
        comment=body.comment,
        elapsed_s=body.elapsed_s,
        correction_reason=body.correction_reason,
    )
