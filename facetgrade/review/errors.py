"""What can go wrong in a review; the message is one sentence for the user."""

from __future__ import annotations

from facetgrade.errors import FacetGradeError


class ReviewError(FacetGradeError):
    """A review cannot be opened, read or written."""


class NotFoundError(ReviewError):
    """An item, case or session does not exist or belongs to somebody else."""


class LockedError(ReviewError):
    """The joint is read already; only a correction with a reason can follow."""


class KeyReusedError(ReviewError):
    """One key came with two different contents."""


class NotAllowedError(ReviewError):
    """The charter or the role does not allow it, or the content is impossible."""


class LoginError(ReviewError):
    """Name and password do not belong together, or the session is over."""


class TooManyLoginsError(LoginError):
    """Too many failed logins of this name or address."""


class TamperedError(ReviewError):
    """Database, key and head file do not belong together."""
