"""Call another machine: associations, logins and what its answers mean."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.pdu_primitives import UserIdentityNegotiation as UserIdentity
from pynetdicom.presentation import PresentationContext

from facetgrade.errors import ConnectionLostError, TransferError
from facetgrade.pacs.credentials import Login
from facetgrade.pacs.settings import DimseNode, TimeoutSettings
from facetgrade.pacs.tls import calling_context

_REJECTED_TRANSIENT = 2
_USER_AND_PASSWORD, _TOKEN = 2, 5
_REASONS = {
    (1, 1): "it gives no reason",
    (1, 2): "it does not know what is asked for",
    (1, 3): "it does not know our AE title; check local.ae_title and its list",
    (1, 7): "it has another AE title; check ae_title of the node",
}
_MOVE_DESTINATION_UNKNOWN = 0xA801
_NEVER = (0x0122, 0x0124, 0x0211)
# Object or identifier does not match its class, whatever the last digits say.
_MISMATCH = 0xA9


@dataclass(frozen=True, slots=True)
class DimseCaller:
    """Opens associations with one machine.

    Attributes
    ----------
    name : str
        Name of the node.
    node : DimseNode
        Where it is.
    timeouts : TimeoutSettings
        When it counts as gone.
    our_title : str
        AE title of facetgrade.
    login : Login or None
        Sent when the association is asked for.
    """

    name: str
    node: DimseNode
    timeouts: TimeoutSettings
    our_title: str
    login: Login | None = field(repr=False)

    @contextmanager
    def associate(
        self,
        contexts: Sequence[PresentationContext],
        roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
        handlers: Sequence[Any] = (),
    ) -> Iterator[Association]:
        """Open an association and release it.

        Raises
        ------
        ConnectionLostError
            If the machine does not answer, or has no time.
        TransferError
            If it refuses.
        """
        entity = AE(self.our_title)
        entity.connection_timeout = self.timeouts.connect_s
        entity.acse_timeout = self.timeouts.connect_s
        entity.dimse_timeout = self.timeouts.answer_s
        entity.network_timeout = self.timeouts.answer_s
        tls = self._tls()
        association = entity.associate(
            self.node.host,
            self.node.port,
            contexts=list(contexts),
            ae_title=self.node.ae_title,
            ext_neg=[*roles, *self._identity()],
            tls_args=(tls, self.node.host) if tls else None,
            evt_handlers=list(handlers),
        )
        try:
            if not association.is_established:
                raise self._refusal(association)
            yield association
            association.release()
        finally:
            if association.is_established:
                association.abort()

    def _tls(self) -> ssl.SSLContext | None:
        return calling_context(self.node.tls) if self.node.tls else None

    def _identity(self) -> list[UserIdentity]:
        """Build the user identity (PS3.7 D.3.3.7)."""
        if self.login is None:
            return []
        identity = UserIdentity()
        identity.positive_response_requested = False
        if self.login.token:
            identity.user_identity_type = _TOKEN
            identity.primary_field = self.login.token.encode()
        else:
            identity.user_identity_type = _USER_AND_PASSWORD
            identity.primary_field = self.login.user.encode()
            identity.secondary_field = self.login.password.encode()
        return [identity]

    def _refusal(self, association: Association) -> TransferError:
        """Say why there is no association."""
        if not association.is_rejected:
            where = f"{self.node.host}:{self.node.port}"
            what = f"{self.name} cannot be reached at {where}, or ends the connection"
            return ConnectionLostError(what)
        answer = association.acceptor.primitive
        if answer is not None and answer.result == _REJECTED_TRANSIENT:
            return ConnectionLostError(f"{self.name} has no time at present")
        source = getattr(answer, "result_source", 0)
        reason = _REASONS.get((source or 0, getattr(answer, "diagnostic", 0) or 0))
        return TransferError(
            f"{self.name} refuses the association: {reason or 'it may want a login'}"
        )


def check_status(status: Dataset, name: str, what: str) -> int:
    """Return the status of an answer that is no failure (PS3.7 annex C).

    Raises
    ------
    ConnectionLostError
        If there was no answer, or the machine lacks something at present.
    TransferError
        If it cannot or will not.
    """
    if "Status" not in status:
        raise ConnectionLostError(f"{name} lost the connection")
    code = int(status.Status)
    if code == 0 or code >> 12 == 0xB or code in (0xFF00, 0xFF01):
        return code
    if code == _MOVE_DESTINATION_UNKNOWN:
        raise TransferError(
            f"{name} does not know where to send: enter our AE title, address and port "
            "there, or set retrieve to get"
        )
    never = code in _NEVER or code >> 8 == _MISMATCH
    if not never and code >> 12 in (0xA, 0xC):
        raise ConnectionLostError(f"{name} fails to {what} (status {code:04X})")
    raise TransferError(f"{name} refuses to {what} (status {code:04X})")
