"""What the page is told of a joint: nothing that the charter hides."""

from __future__ import annotations

from typing import Any

from facetgrade.anatomy import FacetJoint
from facetgrade.review.people import Session
from facetgrade.review.records import (
    AFTER_FIRST_READ,
    Finding,
    Purpose,
    ReadRecord,
    WorkItem,
)
from facetgrade.review.trail import utc_now
from facetgrade.review.web.desk import Desk, OpenedJoint, joint_path, joint_url
from facetgrade.review.web.joint_images import union_of_views
from facetgrade.review.web.patches import View
from facetgrade.study import Plane
from facetgrade.study import Sequence as Contrast

Json = dict[str, Any]

_CONTRASTS = {
    Contrast.T2_FS: "T2 fat-suppressed",
    Contrast.T1_FS_POST: "T1 fat-suppressed, contrast",
    Contrast.T2: "T2",
    Contrast.T1: "T1",
    Contrast.PD: "PD",
    Contrast.OTHER: "other contrast",
}


def joint_data(desk: Desk, session: Session, opened: OpenedJoint) -> Json:
    """Collect what the reading page shows of one joint.

    Parameters
    ----------
    desk : Desk
        The review.
    session : Session
        Who reads.
    opened : OpenedJoint
        What is read.

    Returns
    -------
    dict
        JSON types. With a masked order of time, only the slots A and B name the
        examinations, in this and in every address.

    Raises
    ------
    FacetGradeError
        If the images cannot be read any more.
    """
    item, joint = opened.item, opened.joint
    visits = desk.images.visits(opened.case, joint)
    views = union_of_views(visits.values())
    items = desk.store.work_list(session.name)
    read = _own_read(desk, session, opened)
    return {
        "url": opened.url,
        "page": f"/read/{item.item_id}/{joint_path(joint)}",
        "name": str(joint),
        "place": _place(item, items),
        "slots": list(item.slots),
        "slot_names": desk.slot_names(opened),
        "views": [
            {"label": view_label(view), "plane": _shown_plane(view)} for view in views
        ],
        "images": {
            slot: [
                f"{opened.url}/{slot}/{number}.nii"
                if visit in visits and view in visits[visit].views
                else None
                for number, view in enumerate(views)
            ]
            for slot, visit in zip(item.slots, item.visits, strict=True)
        },
        "rows": _rows(views),
        "read": _read_json(read) if read else None,
        "peers": [
            [_finding_json(finding) for finding in findings]
            for findings in desk.store.peer_findings(item, joint)
        ],
        "ai_visible": desk.sees_ai(item, joint),
        **_neighbors(items, item, joint),
        **progress_json(items),
    }


def progress_json(items: tuple[WorkItem, ...]) -> Json:
    """Say how far a reader is."""
    return {
        "locked_count": sum(len(item.locked) for item in items),
        "joint_count": sum(len(item.joints) for item in items),
    }


def next_url(items: tuple[WorkItem, ...], item: WorkItem, joint: FacetJoint) -> str:
    """Return the address of the next open joint, empty when all are locked."""
    places = [(one, other) for one in items for other in one.joints]
    here = _position(places, item, joint)
    for one, other in [*places[here + 1 :], *places[:here]]:
        if other not in one.locked and is_available(one):
            return joint_url(one, other)
    return ""


def is_available(item: WorkItem) -> bool:
    """Tell whether an item may be read now; repeats wait."""
    if item.available_from == AFTER_FIRST_READ:
        return False
    return item.available_from <= utc_now().isoformat(timespec="microseconds")


def view_label(view: View) -> str:
    """Name a view without anything that the scanner wrote."""
    return f"{_CONTRASTS[view.contrast]}, {view.plane}"


def first_place(items: tuple[WorkItem, ...]) -> str:
    """Return the address of the first open joint, empty when all are locked."""
    for item in items:
        for joint in item.joints:
            if joint not in item.locked and is_available(item):
                return joint_url(item, joint)
    return ""


def _place(item: WorkItem, items: tuple[WorkItem, ...]) -> str:
    number = [one.item_id for one in items].index(item.item_id) + 1
    kind = "adjudication" if item.purpose is Purpose.ADJUDICATION else "case"
    return f"{kind} {number} of {len(items)}"


def _neighbors(items: tuple[WorkItem, ...], item: WorkItem, joint: FacetJoint) -> Json:
    places = [(one, other) for one in items for other in one.joints]
    here = _position(places, item, joint)
    before = joint_url(*places[here - 1]) if here else None
    return {"next": next_url(items, item, joint) or None, "previous": before}


def _position(
    places: list[tuple[WorkItem, FacetJoint]], item: WorkItem, joint: FacetJoint
) -> int:
    keys = [(one.item_id, other) for one, other in places]
    return keys.index((item.item_id, joint))


def _rows(views: tuple[View, ...]) -> list[Json]:
    """Choose the two planes to open: the best one, then the best of another plane."""
    if not views:
        return []
    first = _shown_plane(views[0])
    others = [
        number for number, view in enumerate(views) if _shown_plane(view) != first
    ]
    second = (
        {"plane": _shown_plane(views[others[0]]), "view": others[0]}
        if others
        else {"plane": "sagittal" if first == "axial" else "axial", "view": 0}
    )
    return [{"plane": first, "view": 0}, second]


def _shown_plane(view: View) -> str:
    """Return the plane in which a series is shown as acquired."""
    return "axial" if view.plane is Plane.OBLIQUE else view.plane.value


def _own_read(desk: Desk, session: Session, opened: OpenedJoint) -> ReadRecord | None:
    reads = desk.store.current_reads(reader=session.name, item_id=opened.item.item_id)
    return next((one for one in reads if one.joint == opened.joint), None)


def _read_json(read: ReadRecord) -> Json:
    return {
        "findings": [_finding_json(one) for one in read.submission.findings],
        "comment": read.submission.comment,
        "locked_at": f"{read.locked_at[:16].replace('T', ' ')} UTC",
    }


def _finding_json(finding: Finding) -> Json:
    return {"slot": finding.slot, "grade": finding.grade, "reason": finding.reason}
