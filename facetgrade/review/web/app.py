"""The web application: pages, data of the pages, errors in words."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from facetgrade.errors import FacetGradeError, one_line
from facetgrade.review.errors import (
    KeyReusedError,
    LockedError,
    LoginError,
    NotAllowedError,
    NotFoundError,
    TooManyLoginsError,
)
from facetgrade.review.web import entrance, lead_pages, painting, reading, work_pages
from facetgrade.review.web.desk import Desk
from facetgrade.review.web.entrance import Links
from facetgrade.review.web.security import LoginNeededError, add_headers
from facetgrade.review.web.templating import render

STATIC = Path(__file__).with_name("static")

_STATUS = (
    (TooManyLoginsError, 429),
    (LoginError, 401),
    (NotFoundError, 404),
    (LockedError, 409),
    (KeyReusedError, 409),
    (NotAllowedError, 422),
)


def create_app(desk: Desk, *, links: Links, hosts: list[str]) -> FastAPI:
    """Put the application together.

    Parameters
    ----------
    desk : Desk
        The review.
    links : Links
        One-time links; empty where everybody logs in with a password.
    hosts : list of str
        Names under which the server may be asked; ``*`` is any.

    Returns
    -------
    FastAPI
        Without documentation pages, which would load scripts from elsewhere.
    """
    app = FastAPI(
        title="facetgrade review", docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.desk = desk
    app.state.links = links
    for module in (entrance, work_pages, reading, painting, lead_pages):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.middleware("http")(add_headers)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_exception_handler(LoginNeededError, _to_login)
    app.add_exception_handler(FacetGradeError, _in_words)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _impossible)
    return app


def _to_login(request: Request, _error: Exception) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": "Your session is over; log in again."}, 401)
    return RedirectResponse("/login", status_code=303)


def _in_words(request: Request, error: Exception) -> Response:
    """Answer an error of the review with its sentence; others without their paths."""
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return _answer(request, _sentence(str(error)), status)
    return _answer(
        request, "The images or results of this joint cannot be read any more.", 500
    )


def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = error.detail if isinstance(error, HTTPException) else ""
    return _answer(request, str(detail), status)


def _impossible(request: Request, _error: Exception) -> Response:
    return _answer(request, "The page sent something impossible.", 422)


def _answer(request: Request, text: str, status: int) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": text}, status)
    page = render(request, "message.html.j2", None, message=text)
    page.status_code = status
    return page


def _sentence(text: str) -> str:
    line = one_line(text)
    return f"{line[:1].upper()}{line[1:]}."
