"""Accounts, passwords and logins; needed where the server is not on loopback."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, func, or_, select

from facetgrade.review.charter import Access
from facetgrade.review.errors import LoginError, NotAllowedError, TooManyLoginsError
from facetgrade.review.people import Account, Origin, Role, Session
from facetgrade.review.queries import rows_in
from facetgrade.review.tables import ACCOUNT, AUDIT, SESSION, SESSION_END
from facetgrade.review.trail import Trail, Writing

SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 1024
LONGEST_NAME = 60
ATTEMPT, LOGIN = "login-attempt", "login"
_WRONG = "name or password is wrong"


class Accounts:
    """Accounts of a review; methods are safe in threads.

    Parameters
    ----------
    trail : Trail
        Writes rows and audit entries.
    access : Access
        How long sessions last and how many failures are allowed.
    """

    def __init__(self, trail: Trail, access: Access) -> None:
        self._trail = trail
        self._access = access
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def save(self, account: Account, password: str, origin: Origin) -> None:
        """Make an account, or give it a new password, role or state.

        Raises
        ------
        NotAllowedError
            If the password is too short or too long.
        """
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise NotAllowedError(
                f"a password has {SHORTEST_PASSWORD}-{LONGEST_PASSWORD} characters"
            )
        hashed = self._hasher.hash(password)

        def add(writing: Writing) -> None:
            writing.add(
                ACCOUNT,
                secrets.token_hex(12),
                name=account.name,
                role=account.role.value,
                password_hash=hashed,
                active=int(account.active),
                changed_at=writing.at,
            )
            writing.note(account=account.name, role=account.role.value)

        self._trail.write("save-account", origin, add)

    def all(self) -> tuple[Account, ...]:
        """Return the accounts by name."""
        with self._trail.read() as connection:
            latest = {row["name"]: row for row in rows_in(connection, ACCOUNT)}
        return tuple(_account(latest[name]) for name in sorted(latest))

    def log_in(self, name: str, password: str, origin: Origin) -> Session:
        """Open a session for a name and its password.

        Parameters
        ----------
        name, password : str
            As typed.
        origin : Origin
            `address` counts failures; `who` is replaced by the name.

        Raises
        ------
        TooManyLoginsError
            If this name or address failed too often.
        LoginError
            If name and password do not belong together.
        """
        name = _printable(name)
        origin = Origin(
            who=name,
            address=origin.address,
            software=origin.software,
            models=origin.models,
        )
        self._trail.write(ATTEMPT, origin, lambda w: self._count_attempt(w, origin))
        with self._trail.read() as connection:
            row = _latest(connection, name)
        self._check(row, password)
        account = _account(row or {})
        return self.open_session(account.name, account.role, origin)

    def open_session(self, name: str, role: Role, origin: Origin) -> Session:
        """Open a session without password, as for the one-time link on loopback."""
        token = secrets.token_urlsafe(32)
        hours = timedelta(hours=self._access.session_hours)
        ends = (self._trail.moment() + hours).isoformat(timespec="microseconds")

        def add(writing: Writing) -> None:
            writing.add(
                SESSION,
                _hash(token),
                name=name,
                role=role.value,
                opened_at=writing.at,
                expires_at=ends,
            )

        self._trail.write(LOGIN, origin, add)
        return Session(token=token, name=name, role=role, expires_at=ends)

    def session_of(self, token: str) -> Session:
        """Return the session of a cookie.

        Raises
        ------
        LoginError
            If it is unknown, expired, ended, or its account was closed or changed.
        """
        over = LoginError("your session is over; log in again")
        session_id = _hash(token)
        with self._trail.read() as connection:
            rows = rows_in(connection, SESSION, id=session_id)
            if not rows or rows_in(connection, SESSION_END, session_id=session_id):
                raise over
            account = _latest(connection, rows[0]["name"])
        row = rows[0]
        if row["expires_at"] <= self._trail.now():
            raise over
        if account is not None and _is_changed(account, row):
            raise over
        return Session(
            token=token,
            name=row["name"],
            role=Role(row["role"]),
            expires_at=row["expires_at"],
        )

    def log_out(self, token: str, origin: Origin) -> None:
        """End a session."""

        def add(writing: Writing) -> None:
            session_id = _hash(token)
            known = rows_in(writing.connection, SESSION, id=session_id)
            ended = rows_in(writing.connection, SESSION_END, session_id=session_id)
            if known and not ended:
                writing.add(SESSION_END, secrets.token_hex(12), session_id=session_id)

        self._trail.write("logout", origin, add)

    def _check(self, row: dict[str, Any] | None, password: str) -> None:
        """Verify a password in the same time whether or not the name exists."""
        hashed = row["password_hash"] if row else self._nobody
        try:
            self._hasher.verify(hashed, password[:LONGEST_PASSWORD])
        except (VerificationError, InvalidHashError):
            raise LoginError(_WRONG) from None
        if not row or not row["active"]:
            raise LoginError(_WRONG)

    def _count_attempt(self, writing: Writing, origin: Origin) -> None:
        """Note an attempt before it is judged; refuse it after too many failures."""
        minutes = timedelta(minutes=self._access.lockout_minutes)
        since = (self._trail.moment() - minutes).isoformat(timespec="microseconds")
        failures = _failures(writing.connection, origin, since)
        if failures >= self._access.failed_logins:
            raise TooManyLoginsError(
                "too many failed logins; try again in "
                f"{self._access.lockout_minutes:g} minutes"
            )
        writing.note()


def _failures(connection: Connection, origin: Origin, since: str) -> int:
    """Count attempts without login, of the name or of the address, the greater one."""
    counts = []
    for column, value in ((AUDIT.c.who, origin.who), (AUDIT.c.address, origin.address)):
        if value:
            query = (
                select(AUDIT.c.action, func.count())
                .where(column == value, AUDIT.c.at >= since)
                .where(or_(AUDIT.c.action == ATTEMPT, AUDIT.c.action == LOGIN))
                .group_by(AUDIT.c.action)
            )
            found = {row[0]: row[1] for row in connection.execute(query)}
            counts.append(found.get(ATTEMPT, 0) - found.get(LOGIN, 0))
    return max(counts, default=0)


def _latest(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return the last row of an account."""
    rows = rows_in(connection, ACCOUNT, name=name)
    return dict(rows[-1]) if rows else None


def _is_changed(account: dict[str, Any], session: Any) -> bool:
    """Tell whether an account was closed or changed after a login."""
    return not account["active"] or account["changed_at"] > session["opened_at"]


def _account(row: Any) -> Account:
    return Account(name=row["name"], role=Role(row["role"]), active=bool(row["active"]))


def _printable(name: str) -> str:
    """Keep of a typed name what can be written into the audit trail."""
    kept = name.encode("utf-8", "replace").decode()[:LONGEST_NAME]
    return "".join(sign for sign in kept if sign.isprintable())


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "replace")).hexdigest()
