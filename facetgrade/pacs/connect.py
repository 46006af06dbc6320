"""Open an archive by the protocol that its node names."""

from __future__ import annotations

import logging

from facetgrade.pacs.credentials import find_login
from facetgrade.pacs.dicomweb import DicomwebArchive
from facetgrade.pacs.dimse import DimseArchive
from facetgrade.pacs.records import Archive
from facetgrade.pacs.settings import DicomwebNode, PacsSettings

# Their messages may quote requests and headers.
_LOUD = ("pynetdicom", "dicomweb_client", "urllib3", "requests", "keyring", "pydicom")


def open_archive(name: str, settings: PacsSettings) -> Archive:
    """Open the archive of a node; nothing is sent yet.

    Raises
    ------
    ConfigError
        If there is no such node or its login is missing.
    """
    node = settings.node(name)
    login = find_login(name, node.credentials, node.user)
    if isinstance(node, DicomwebNode):
        return DicomwebArchive(name, node, settings, login)
    return DimseArchive(name, node, settings, login)


def silence_libraries() -> None:
    """Keep what libraries log off the screen and out of every log."""
    for name in _LOUD:
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
