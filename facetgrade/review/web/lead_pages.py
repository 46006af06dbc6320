"""Pages of the study lead: progress, agreement as it grows, disagreements."""

from __future__ import annotations

import gzip
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from facetgrade.review.agreement import (
    Comparison,
    GradePair,
    adjudication_rate,
    agreement_section,
    compare_grades,
)
from facetgrade.review.errors import NotFoundError
from facetgrade.review.records import Visit
from facetgrade.review.web.agreement_figures import confusion_table, forest_plot
from facetgrade.review.web.desk import Desk, joint_of, joint_path
from facetgrade.review.web.patches import SHAPE
from facetgrade.review.web.security import CurrentDesk, Lead
from facetgrade.review.web.templating import render

router = APIRouter()

STATISTICS = (
    ("exact", "Exact"),
    ("within_one", "Within one"),
    ("kappa_linear", "Kappa, linear"),
    ("kappa_quadratic", "Kappa, quadratic"),
    ("ac2_ordinal", "Gwet AC2"),
)
_KINDS = {
    "reader-reader": "Readers with each other",
    "reader-adjudicated": "Readers with the result",
    "ai-reader": "facetgrade with readers",
    "ai-adjudicated": "facetgrade with the result",
    "intra-reader": "Readers with themselves",
}
_HEADER_BYTES = 352
_LONGEST_GALLERY = 60


@router.get("/study")
def show_study(request: Request, desk: CurrentDesk, session: Lead) -> Response:
    """Show progress and agreement as they are now."""
    sections = [
        agreement_section(one, desk.charter) for one in _comparisons(desk) if one.pairs
    ]
    return render(
        request,
        "study.html.j2",
        session,
        progress=desk.store.progress(),
        rate=adjudication_rate(desk.store.results()),
        tables=[_table(section) for section in sections],
        forest=forest_plot(
            [
                (f"{one['first']} and {one['second']}", one["pooled"]["agreement"])
                for one in sections
            ],
            "ac2_ordinal",
        ),
        statistics=STATISTICS,
        coverage=round(100 * desk.charter.statistics.coverage),
    )


@router.get("/gallery")
def show_gallery(request: Request, desk: CurrentDesk, session: Lead) -> Response:
    """Show where people differ, farthest first."""
    found = [
        _difference(one, pair) for one in _comparisons(desk) for pair in one.differences
    ]
    found.sort(key=lambda one: -one["distance"])
    return render(
        request,
        "gallery.html.j2",
        session,
        differences=found[:_LONGEST_GALLERY],
        count=len(found),
    )


@router.get("/gallery/{case_id}/{joint}/{visit}.png")
def show_picture(
    case_id: str, joint: str, visit: str, desk: CurrentDesk, _session: Lead
) -> Response:
    """Return the middle plane of the best view of a joint at one visit."""
    case, place = desk.store.case(case_id), joint_of(joint)
    if place not in case.joints or visit not in Visit.__members__.values():
        raise NotFoundError("there is no such picture")
    images = desk.images.visits(case, place).get(Visit(visit))
    if images is None or not images.views:
        raise NotFoundError("this joint is not shown at this visit")
    block = desk.images.block(case, place, Visit(visit), images.views[0])
    return Response(_png(block), media_type="image/png")


def _comparisons(desk: Desk) -> tuple[Comparison, ...]:
    store = desk.store
    return compare_grades(
        store.cases(), store.current_reads(), store.results(), desk.charter
    )


def _table(section: dict[str, Any]) -> dict[str, Any]:
    """Arrange one comparison for the page: pooled, then by level."""
    parts = [("all", section["pooled"]), *section["levels"].items()]
    return {
        "title": _KINDS[section["kind"]],
        "first": section["first"],
        "second": section["second"],
        "rows": [
            {
                "name": name,
                "joints": part["counts"]["joints"],
                "patients": part["counts"]["patients"],
                "values": [_printed(part["agreement"][key]) for key, _ in STATISTICS],
            }
            for name, part in parts
        ],
        "confusion": confusion_table(section["pooled"]["confusion"]),
    }


def _printed(estimate: dict[str, Any]) -> dict[str, str]:
    """Print an estimate with its limits; a dash where it is not defined."""
    value, low, high = (estimate.get(name) for name in ("value", "low", "high"))
    if value is None:
        return {"value": "\N{EN DASH}", "limits": ""}
    limits = "" if low is None or high is None else f"{low:.2f} to {high:.2f}"
    return {"value": f"{value:.2f}".replace("-0.00", "0.00"), "limits": limits}


def _difference(comparison: Comparison, pair: GradePair) -> dict[str, Any]:
    """Describe one disagreement for the gallery."""
    return {
        "title": _KINDS[comparison.kind.value],
        "grades": [
            (comparison.first, _grade(pair.first)),
            (comparison.second, _grade(pair.second)),
        ],
        "joint": str(pair.joint),
        "visit": pair.visit.value,
        "patient": pair.patient,
        "picture": f"/gallery/{pair.case_id}/{joint_path(pair.joint)}/{pair.visit}.png",
        "distance": _distance([pair.first, pair.second]),
    }


def _distance(grades: Sequence[int]) -> int:
    """Count how far grades are apart; ungradable against a grade is farthest."""
    return 5 if min(grades) < 0 else abs(grades[0] - grades[1])


def _grade(grade: int) -> str:
    return "ungradable" if grade < 0 else f"grade {grade}"


def _png(block: bytes) -> bytes:
    """Draw the middle axial plane, the patient's right on the viewer's left."""
    from PIL import Image

    voxels = np.frombuffer(
        gzip.decompress(block), np.uint8, count=math.prod(SHAPE), offset=_HEADER_BYTES
    ).reshape(SHAPE)
    file = io.BytesIO()
    Image.fromarray(voxels[SHAPE[0] // 2, ::-1, ::-1].copy()).save(file, format="PNG")
    return file.getvalue()
