"""Addresses of lesions: what facetgrade found, what the reader made of it."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
from fastapi import APIRouter, HTTPException, Request, Response
from numpy.typing import NDArray

from facetgrade.findings import Extents, Graded, JointMasks, Outcome
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.tables import known_extents
from facetgrade.report.words import SITES
from facetgrade.review.errors import NotFoundError
from facetgrade.review.people import Session
from facetgrade.review.records import EditedMask, Visit
from facetgrade.review.web.desk import Desk, OpenedJoint
from facetgrade.review.web.lesions import (
    CODES,
    drawn_on,
    extent_values,
    paint,
    regrade,
)
from facetgrade.review.web.patches import SHAPE, neutral_nifti
from facetgrade.review.web.reading import packed_nifti
from facetgrade.review.web.security import (
    CheckedReader,
    CurrentDesk,
    Reader,
    client_address,
)

router = APIRouter(prefix="/api/items/{item_id}/{joint}")

_VOXELS = math.prod(SHAPE)
_LARGEST_BODY = 4_000_000

Json = dict[str, Any]
Labels = NDArray[np.uint8]


@router.get("/ai")
def show_ai(item_id: str, joint: str, desk: CurrentDesk, session: Reader) -> Json:
    """Return the result of facetgrade, once the charter allows it."""
    opened = _allowed(desk, session, item_id, joint)
    return {
        slot: _ai_json(desk.images.outcome(opened.case, opened.joint, visit))
        for slot, visit in zip(opened.item.slots, opened.item.visits, strict=True)
    }


@router.get("/{slot}/lesions.nii")
def show_lesions(
    item_id: str, joint: str, slot: str, desk: CurrentDesk, session: Reader
) -> Response:
    """Return the lesions on the grid of the page, as the reader left them."""
    opened = _allowed(desk, session, item_id, joint)
    masks, grid = _masks(desk, session, opened, slot)
    return packed_nifti(neutral_nifti(drawn_on(grid, masks)))


@router.post("/{slot}/measure")
async def measure_lesions(
    item_id: str,
    joint: str,
    slot: str,
    request: Request,
    desk: CurrentDesk,
    session: CheckedReader,
) -> Json:
    """Measure and grade painted lesions by the written rules."""
    labels = _unpack(await _body(request))
    return await _in_thread(_measured, desk, session, (item_id, joint, slot), labels)


@router.post("/{slot}/lesions")
async def save_lesions(
    item_id: str,
    joint: str,
    slot: str,
    key: str,
    request: Request,
    desk: CurrentDesk,
    session: CheckedReader,
) -> Json:
    """Keep painted lesions, so that they can become training data."""
    labels = _unpack(await _body(request))
    place = (item_id, joint, slot)
    address = client_address(request)
    return await _in_thread(_saved, desk, session, place, labels, key, address)


def _measured(
    desk: Desk, session: Session, place: tuple[str, str, str], labels: Labels
) -> Json:
    opened = _allowed(desk, session, *place[:2])
    masks, grid = _masks(desk, session, opened, place[2])
    grade = regrade(_painted(masks, grid, labels)[0], desk.rules)
    return {
        "grade": grade.grade,
        "trace": list(grade.trace),
        "measurements": measurements(grade.extents, edema_judged=True),
        "extents": _finite(extent_values(grade.extents)),
    }


def _saved(
    desk: Desk,
    session: Session,
    place: tuple[str, str, str],
    labels: Labels,
    key: str,
    address: str,
) -> Json:
    opened = _allowed(desk, session, *place[:2])
    masks, grid = _masks(desk, session, opened, place[2])
    edited = EditedMask(
        item_id=opened.item.item_id,
        slot=place[2],
        joint=opened.joint,
        lesions=_painted(masks, grid, labels)[1],
        geometry=masks.geometry,
        key=key,
    )
    record = desk.store.save_mask(edited, desk.origin(session, address))
    return {"mask": record.mask_id}


def _painted(
    masks: JointMasks, grid: VolumeGeometry, labels: Labels
) -> tuple[JointMasks, Labels]:
    try:
        painted = paint(masks, grid, labels)
    except ValueError as error:
        raise HTTPException(422, f"These outlines cannot be used: {error}.") from None
    return painted.masks, painted.labels


def _allowed(desk: Desk, session: Session, item_id: str, joint: str) -> OpenedJoint:
    """Open a joint whose AI result may be seen; else it does not exist."""
    opened = desk.opened(session, item_id, joint)
    if not desk.sees_ai(opened.item, opened.joint):
        raise NotFoundError(
            "the result of facetgrade is hidden until the read is locked"
        )
    return opened


def _masks(
    desk: Desk, session: Session, opened: OpenedJoint, slot: str
) -> tuple[JointMasks, VolumeGeometry]:
    """Return the lesions of a slot, with the reader's own last edit, and the grid."""
    if slot not in opened.item.slots:
        raise NotFoundError("there is no such time point")
    visit: Visit = opened.item.visit_of(slot)
    outcome = desk.images.outcome(opened.case, opened.joint, visit)
    visits = desk.images.visits(opened.case, opened.joint)
    if outcome is None or outcome.masks is None or visit not in visits:
        raise NotFoundError("facetgrade outlined nothing here")
    masks = outcome.masks
    own = [
        mask
        for mask in desk.store.masks(reader=session.name, item_id=opened.item.item_id)
        if mask.joint == opened.joint and mask.slot == slot
    ]
    if own:
        labels = _stored_labels(own[-1].nifti, masks.geometry.shape)
        lesions = {
            lesion: (labels == code).astype(np.float32)
            for lesion, code in CODES.items()
        }
        masks = replace(masks, lesions=lesions)
    return masks, visits[visit].grid


def _stored_labels(nifti: bytes, shape: tuple[int, int, int]) -> Labels:
    """Read the label map that the store wrote; columns run fastest in the file."""
    content = gzip.decompress(nifti)
    (offset,) = struct.unpack_from("<f", content, 108)
    return np.frombuffer(
        content, np.uint8, count=math.prod(shape), offset=int(offset)
    ).reshape(shape)


async def _body(request: Request) -> bytes:
    """Read a request up to a size that no honest page exceeds."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_BODY:
            raise HTTPException(413, "The outlines are too large.")
    return content


def _unpack(content: bytes) -> Labels:
    """Unpack the labels of a page, never more than the grid holds."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        raw = unpacker.decompress(content, _VOXELS + 1)
    except zlib.error:
        raw = b""
    if len(raw) != _VOXELS:
        raise HTTPException(422, "The outlines do not have the size of the picture.")
    return np.frombuffer(raw, np.uint8).reshape(SHAPE)


async def _in_thread(function: Any, *arguments: Any) -> Json:
    from starlette.concurrency import run_in_threadpool

    result: Json = await run_in_threadpool(function, *arguments)
    return result


def _ai_json(outcome: Outcome | None) -> Json:
    """Describe what facetgrade found at one visit."""
    if outcome is None:
        return {"grade": None, "trace": ["not graded"], "has_masks": False}
    extents, edema_judged = known_extents(outcome)
    graded = isinstance(outcome, Graded)
    return {
        "grade": outcome.best.grade if isinstance(outcome, Graded) else None,
        "trace": list(outcome.best.trace)
        if isinstance(outcome, Graded)
        else [outcome.explanation],
        "measurements": measurements(extents, edema_judged) if extents else [],
        "has_masks": graded and outcome.masks is not None,
    }


def measurements(extents: Extents, edema_judged: bool) -> list[tuple[str, str]]:
    """Name the extents with their units, ready to print."""
    rows = [
        ("Effusion", f"{extents.effusion_mm3.value:.0f} mm³"),
        ("Greatest width", f"{extents.effusion_width_mm.value:.1f} mm"),
    ]
    if edema_judged:
        rows += [
            ("Soft-tissue edema", f"{extents.soft_tissue_edema_mm3.value:.0f} mm³"),
            ("Marrow edema", f"{extents.marrow_edema_mm3.value:.0f} mm³"),
            ("Perimeter", f"{100.0 * extents.perimeter_fraction.value:.0f} %"),
        ]
        rows += [
            (SITES[site].capitalize(), f"{volume:.0f} mm³")
            for site, volume in extents.extension_mm3.items()
            if volume >= 1.0
        ]
    return rows


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {
        name.replace("-", "_"): round(value, 3)
        for name, value in values.items()
        if math.isfinite(value)
    }
