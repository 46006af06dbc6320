"""Be called: receive instances and answer echoes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from facetgrade.errors import ConfigError
from facetgrade.pacs.settings import LocalSettings, TimeoutSettings
from facetgrade.pacs.tls import receiving_context

# All that ingest decodes, those without loss or conversion first.
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    RLELossless,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000,
)


@contextmanager
def serve(
    local: LocalSettings,
    timeouts: TimeoutSettings,
    take: Callable[[Event], int],
) -> Iterator[None]:
    """Receive instances in the background, from several machines at the same time.

    Parameters
    ----------
    local : LocalSettings
        Address, AE title, who may send.
    timeouts : TimeoutSettings
        When a sender counts as gone.
    take : callable
        Answers each C-STORE.

    Raises
    ------
    ConfigError
        If the port cannot be used.
    """
    entity = AE(local.ae_title)
    entity.maximum_associations = local.max_associations
    entity.require_calling_aet = list(local.callers)
    entity.network_timeout = timeouts.answer_s
    entity.dimse_timeout = timeouts.answer_s
    entity.acse_timeout = timeouts.connect_s
    try:
        entity.start_server(
            (local.host, local.port),
            block=False,
            contexts=_contexts(),
            ssl_context=receiving_context(local.tls) if local.tls else None,
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
    except OSError as error:
        raise ConfigError(
            f"port {local.port} of {local.host} cannot be used ({error.strerror}); is "
            "another facetgrade listening?"
        ) from error
    try:
        yield
    finally:
        # Senders in the middle of a study get an abort and send again.
        entity.shutdown()


@cache
def _contexts() -> list[PresentationContext]:
    """Accept every kind of object; what holds no image is answered, not kept."""
    names = [
        context.abstract_syntax or "" for context in AllStoragePresentationContexts
    ]
    stored = [build_context(name, list(SYNTAXES)) for name in names]
    return [*stored, build_context(Verification)]
