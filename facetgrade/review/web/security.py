"""Who may ask what: sessions, roles, forged requests, headers."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request, Response

from facetgrade.review.errors import LoginError
from facetgrade.review.people import Role, Session
from facetgrade.review.web.desk import Desk

COOKIE = "facetgrade_session"
CSRF_HEADER = "X-CSRF-Token"

_UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self' data: blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

Next = Callable[[Request], Awaitable[Response]]


class LoginNeededError(Exception):
    """Nobody is logged in, or the session is over."""


async def add_headers(request: Request, call_next: Next) -> Response:
    """Refuse requests that other sites forged; put the security headers on answers."""
    if request.method in _UNSAFE and _is_foreign(request):
        response = Response("This request came from another site.", status_code=403)
    else:
        response = await call_next(request)
    for name, value in _HEADERS.items():
        response.headers[name] = value
    if not request.url.path.startswith("/static/"):
        response.headers["Cache-Control"] = "no-store"
    if request.url.scheme == "https":
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response


def current_desk(request: Request) -> Desk:
    """Return the desk of the running server."""
    desk: Desk = request.app.state.desk
    return desk


def current_session(request: Request) -> Session:
    """Return the session of a request.

    Raises
    ------
    LoginNeededError
        If there is none, or it is over.
    """
    token = request.cookies.get(COOKIE, "")
    if not token:
        raise LoginNeededError
    try:
        return current_desk(request).accounts.session_of(token)
    except LoginError:
        raise LoginNeededError from None


def checked_session(request: Request) -> Session:
    """Return the session of a request that changes something.

    Raises
    ------
    HTTPException
        403 if the request does not carry the secret of the page.
    """
    session = current_session(request)
    sent = request.headers.get(CSRF_HEADER, "")
    if not hmac.compare_digest(sent.encode(), csrf_token(session).encode()):
        raise HTTPException(403, "This page is out of date; load it again.")
    return session


def a_reader(session: Annotated[Session, Depends(current_session)]) -> Session:
    """Return a session that reads: reader or adjudicator."""
    return _with_role(session, Role.READER, Role.ADJUDICATOR)


def a_checked_reader(
    session: Annotated[Session, Depends(checked_session)],
) -> Session:
    """Return a session that reads and may change something."""
    return _with_role(session, Role.READER, Role.ADJUDICATOR)


def a_lead(session: Annotated[Session, Depends(current_session)]) -> Session:
    """Return the session of the study lead."""
    return _with_role(session, Role.LEAD)


def csrf_token(session: Session) -> str:
    """Return the secret that the pages of a session carry."""
    return hmac.new(session.token.encode(), b"csrf", sha256).hexdigest()


def client_address(request: Request) -> str:
    """Return the network address of a client, empty on this machine."""
    host = request.client.host if request.client else ""
    return "" if host in ("127.0.0.1", "::1", "testclient") else host


def set_cookie(response: Response, session: Session, request: Request) -> None:
    """Hand a session to the browser."""
    desk = current_desk(request)
    response.set_cookie(
        COOKIE,
        session.token,
        max_age=round(desk.charter.access.session_hours * 3600),
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _with_role(session: Session, *roles: Role) -> Session:
    if session.role not in roles:
        raise HTTPException(403, f"This page is not for a {session.role}.")
    return session


def _is_foreign(request: Request) -> bool:
    """Tell whether a browser says that another site sent the request."""
    if request.headers.get("sec-fetch-site", "same-origin") not in (
        "same-origin",
        "none",
    ):
        return True
    origin = request.headers.get("origin", "")
    return bool(origin) and urlsplit(origin).netloc != request.headers.get("host", "")


CurrentDesk = Annotated[Desk, Depends(current_desk)]
AnySession = Annotated[Session, Depends(current_session)]
CheckedSession = Annotated[Session, Depends(checked_session)]
Reader = Annotated[Session, Depends(a_reader)]
CheckedReader = Annotated[Session, Depends(a_checked_reader)]
Lead = Annotated[Session, Depends(a_lead)]
