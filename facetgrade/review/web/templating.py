"""Pages from templates: everything that comes from data is escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from facetgrade.report.words import RESEARCH_USE
from facetgrade.review.people import Session
from facetgrade.review.web.security import csrf_token, current_desk

if TYPE_CHECKING:
    from jinja2 import Environment


def render(
    request: Request, template: str, session: Session | None, **values: Any
) -> HTMLResponse:
    """Fill a template of the folder ``templates``.

    Parameters
    ----------
    request : Request
        What is answered.
    template : str
        Name of the file.
    session : Session or None
        Who sees it.
    **values
        What the template names.
    """
    page = _environment().get_template(template)
    return HTMLResponse(
        page.render(
            charter=current_desk(request).charter,
            session=session,
            csrf=csrf_token(session) if session else "",
            research_use=RESEARCH_USE,
            **values,
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("facetgrade.review.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
