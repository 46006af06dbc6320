"""Pages of readers and adjudicators: the work list and the reading page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from facetgrade.report.words import GRADES
from facetgrade.review.people import Role
from facetgrade.review.records import UNGRADABLE_REASONS, Purpose
from facetgrade.review.web.desk import joint_path, joint_url
from facetgrade.review.web.joint_data import first_place, is_available, progress_json
from facetgrade.review.web.security import AnySession, CurrentDesk, Reader
from facetgrade.review.web.templating import render

router = APIRouter()

_KINDS = {
    Purpose.READ: "",
    Purpose.REPEAT: "",
    Purpose.ADJUDICATION: "Adjudication",
}


@router.get("/")
def show_work(request: Request, desk: CurrentDesk, session: AnySession) -> Response:
    """Show the work list; the lead goes to the state of the study."""
    if session.role is Role.LEAD:
        return RedirectResponse("/study", status_code=303)
    items = desk.store.work_list(session.name)
    rows = [
        {
            "number": number,
            "kind": _KINDS[item.purpose],
            "is_open": is_available(item),
            "joints": [
                {
                    "name": str(joint),
                    "page": f"/read/{item.item_id}/{joint_path(joint)}",
                    "locked": joint in item.locked,
                }
                for joint in item.joints
            ],
        }
        for number, item in enumerate(items, start=1)
    ]
    start = first_place(items).replace("/api/items/", "/read/")
    return render(
        request,
        "work.html.j2",
        session,
        rows=rows,
        start=start,
        progress=progress_json(items),
    )


@router.get("/read/{item_id}/{joint}")
def show_reading(
    item_id: str, joint: str, request: Request, desk: CurrentDesk, session: Reader
) -> Response:
    """Show the reading page, opened on one joint."""
    opened = desk.opened(session, item_id, joint)
    return render(
        request,
        "read.html.j2",
        session,
        slots=desk.slot_names(opened),
        reasons=UNGRADABLE_REASONS,
        grades=list(enumerate(GRADES)),
        start=joint_url(opened.item, opened.joint),
    )
