"""Coming in and leaving: one-time links on this machine, passwords elsewhere."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from facetgrade.review.charter import Person
from facetgrade.review.errors import LoginError
from facetgrade.review.people import Origin, Session
from facetgrade.review.web.security import (
    COOKIE,
    CurrentDesk,
    LoginNeededError,
    client_address,
    csrf_token,
    current_session,
    set_cookie,
)
from facetgrade.review.web.templating import render

router = APIRouter()

_LARGEST_FORM = 8192


@dataclass(frozen=True, slots=True)
class Link:
    """A link that opens the review for one person, once."""

    person: Person
    secret: str


class Links:
    """One-time links of the people of a charter; a used one is followed by another.

    Parameters
    ----------
    people : sequence of Person
        Who may come in by link; nobody where passwords are asked.
    announce : callable
        Told of every new link.
    """

    def __init__(
        self, people: Sequence[Person], announce: Callable[[Link], None]
    ) -> None:
        self._announce = announce
        self._lock = threading.Lock()
        self._open: list[Link] = []
        for person in people:
            self._add(person)

    @property
    def are_used(self) -> bool:
        """Whether people come in by link."""
        return bool(self._open)

    def use(self, secret: str) -> Person | None:
        """Return whose link it is and close it; None if it is used or wrong."""
        with self._lock:
            for link in self._open:
                if hmac.compare_digest(link.secret.encode(), secret.encode()):
                    self._open.remove(link)
                    self._add(link.person)
                    return link.person
        return None

    def _add(self, person: Person) -> None:
        link = Link(person, secrets.token_urlsafe(24))
        self._open.append(link)
        self._announce(link)


@router.get("/enter")
def enter(request: Request, token: str, desk: CurrentDesk) -> Response:
    """Come in by a one-time link."""
    person = request.app.state.links.use(token)
    if person is None:
        raise HTTPException(
            403, "This link was used already; the terminal shows a new one."
        )
    origin = Origin(who=person.name, software=desk.software, models=desk.models)
    session = desk.accounts.open_session(person.name, person.role, origin)
    # A page, not a redirect: strict cookies are not sent on one from outside.
    response = render(request, "welcome.html.j2", session)
    set_cookie(response, session, request)
    return response


@router.get("/login")
def show_login(request: Request) -> Response:
    """Ask for name and password, or say where the link is."""
    return _login_page(request, "")


@router.post("/login")
async def log_in(request: Request, desk: CurrentDesk) -> Response:
    """Open a session for a name and its password."""
    from starlette.concurrency import run_in_threadpool

    form = await _form(request)
    if request.app.state.links.are_used:
        raise HTTPException(403, "This server is entered by the link in the terminal.")
    origin = Origin(
        who=form.get("name", ""),
        address=client_address(request),
        software=desk.software,
        models=desk.models,
    )
    try:
        session: Session = await run_in_threadpool(
            desk.accounts.log_in,
            form.get("name", ""),
            form.get("password", ""),
            origin,
        )
    except LoginError as error:
        response = _login_page(request, f"{str(error).capitalize()}.")
        response.status_code = 401
        return response
    response = RedirectResponse("/", status_code=303)
    set_cookie(response, session, request)
    return response


@router.post("/logout")
async def log_out(request: Request, desk: CurrentDesk) -> Response:
    """End the session."""
    from starlette.concurrency import run_in_threadpool

    form = await _form(request)
    response = RedirectResponse("/login", status_code=303)
    try:
        session = current_session(request)
    except LoginNeededError:
        return response
    if not hmac.compare_digest(
        form.get("csrf", "").encode(), csrf_token(session).encode()
    ):
        raise HTTPException(403, "This page is out of date; load it again.")
    origin = desk.origin(session, client_address(request))
    await run_in_threadpool(desk.accounts.log_out, session.token, origin)
    response.delete_cookie(COOKIE, path="/")
    return response


def _login_page(request: Request, problem: str) -> Response:
    by_link = request.app.state.links.are_used
    return render(request, "login.html.j2", None, problem=problem, by_link=by_link)


async def _form(request: Request) -> dict[str, str]:
    """Read a small form."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LARGEST_FORM:
            raise HTTPException(413, "The form is too large.")
    fields = parse_qs(content.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
