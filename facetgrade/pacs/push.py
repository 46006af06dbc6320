"""Send DICOM SEG and SR of graded studies to an archive."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from facetgrade.errors import ConnectionLostError, OutputError, TransferError, one_line
from facetgrade.pacs.instances import identify
from facetgrade.pacs.ledger import TransferLedger
from facetgrade.pacs.patience import Patience
from facetgrade.pacs.pull import Tell, TransferSummary
from facetgrade.pacs.records import Archive

STUDIES, OBJECTS = "studies", "dicom"

log = logging.getLogger(__name__)


def push_results(
    archive: Archive, out: Path, *, patience: Patience, tell: Tell
) -> TransferSummary:
    """Send the objects of every graded study of a folder, each only once.

    Parameters
    ----------
    archive : Archive
        Where they go.
    out : Path
        Output folder of ``facetgrade grade --dicom``.
    patience : Patience
        How long to try.
    tell : callable
        Gets one line for each study.

    Raises
    ------
    OutputError
        If the folder holds no objects.
    """
    folders = list(_graded(out))
    if not folders:
        raise OutputError(
            f"{out}: there are no DICOM SEG and SR; make them with facetgrade grade "
            "--dicom"
        )
    summary, lost_in_row = TransferSummary(), 0
    with TransferLedger(out) as ledger:
        for number, folder in enumerate(folders, start=1):
            name = f"[{number}/{len(folders)}] {folder.name}"
            try:
                sent = push_study(archive, folder, ledger=ledger, patience=patience)
            except (TransferError, OutputError, OSError) as error:
                sentence = one_line(f"{name}: {error}")
                log.info("failed: %s", sentence)
                summary.failures.append(sentence)
                tell(f"failed: {sentence}")
                lost_in_row += isinstance(error, ConnectionLostError)
                if lost_in_row >= patience.settings.give_up_after_studies:
                    tell("stopped; when the archive is back the same command goes on")
                    break
                continue
            lost_in_row = 0
            summary.complete += 1
            summary.fetched += sent
            tell(f"{name}: {sent or 'no new'} objects sent")
    return summary


def push_study(
    archive: Archive, folder: Path, *, ledger: TransferLedger, patience: Patience
) -> int:
    """Send the objects of one study that the archive has not confirmed yet.

    Parameters
    ----------
    archive : Archive
        Where they go.
    folder : Path
        Folder of one graded study.
    ledger : TransferLedger
        Knows what is confirmed.
    patience : Patience
        How long to try.

    Returns
    -------
    int
        Objects sent.

    Raises
    ------
    TransferError
        If the archive does not take them.
    """
    waiting = {path: _identity(path) for path in sorted((folder / OBJECTS).glob("*"))}
    waiting = {
        path: (uid, digest)
        for path, (uid, digest) in waiting.items()
        if not ledger.is_sent(archive.name, uid, digest)
    }
    count = len(waiting)

    def stored(path: Path) -> None:
        ledger.note_sent(archive.name, *waiting.pop(path))

    def send() -> None:
        if waiting:
            archive.store(list(waiting), stored)

    patience.call(send)
    log.info("%s: %d objects sent to %s", folder.name, count, archive.name)
    return count


def _graded(out: Path) -> Iterator[Path]:
    """Yield the folders of finished studies that hold objects."""
    for folder in sorted((out / STUDIES).glob("*")):
        if folder.suffix != ".partial" and any((folder / OBJECTS).glob("*.dcm")):
            yield folder


def _identity(path: Path) -> tuple[str, str]:
    """Read the UID and the hash of an object; half a file is not sent."""
    content = path.read_bytes()
    try:
        return identify(content).instance_uid, sha256(content).hexdigest()
    except TransferError as error:
        raise TransferError(f"{path.name}: {error}; grade the study again") from None
