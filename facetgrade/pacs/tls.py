"""TLS of DICOM connections: certificates are always checked."""

from __future__ import annotations

import ssl

from facetgrade.errors import ConfigError
from facetgrade.pacs.settings import TlsSettings


def calling_context(tls: TlsSettings) -> ssl.SSLContext:
    """Build the context for calling others, whose name must be in their certificate.

    Raises
    ------
    ConfigError
        If a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except OSError as error:
        raise _unusable(tls, error) from error
    return context


def receiving_context(tls: TlsSettings) -> ssl.SSLContext:
    """Build the context for being called; with ``ca_file`` callers are checked too.

    Raises
    ------
    ConfigError
        If a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file)
        if tls.ca_file:
            context.load_verify_locations(tls.ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise _unusable(tls, error) from error
    return context


def _unusable(tls: TlsSettings, error: OSError) -> ConfigError:
    names = ", ".join(filter(None, (tls.ca_file, tls.cert_file, tls.key_file)))
    reason = getattr(error, "reason", None) or error.strerror
    return ConfigError(f"certificates cannot be used ({reason}): {names}")
