"""Studies on their way in: keep what comes and tell when a study has arrived."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from time import monotonic

from pynetdicom.association import Association
from pynetdicom.events import Event

from facetgrade.pacs.instances import Received, identify, says_the_same
from facetgrade.pacs.ledger import ArrivedStudy, State, TransferLedger
from facetgrade.pacs.places import Places
from facetgrade.pacs.receive import Reception
from facetgrade.pacs.settings import ListenSettings
from facetgrade.report.atomic import write_durable

RECEIVED = "received"

log = logging.getLogger(__name__)


class Arrivals:
    """Takes instances from several connections; remembers who is still sending.

    Parameters
    ----------
    out : Path
        Output folder; files go to its folder ``received``.
    places : Places
        Names folders and files.
    ledger : TransferLedger
        Knows what came before, also before a restart.
    clock_s : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        out: Path,
        places: Places,
        ledger: TransferLedger,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self._out, self._places, self._ledger = out, places, ledger
        self._clock_s = clock_s
        self._started_s = clock_s()
        self._last_s: dict[str, float] = {}
        self._senders: dict[str, set[Association]] = {}
        self._full = False
        self._lock = Lock()

    def take(self, event: Event) -> int:
        """Answer one C-STORE."""
        sender = event.assoc
        reception = Reception(lambda content: self.keep(content, sender))
        status = reception.take(event)
        if reception.error:
            self._complain(reception.error)
        else:
            self._full = False
        return status

    def keep(self, content: bytes, sender: Association) -> None:
        """Keep an instance; one that is there already changes nothing.

        Parameters
        ----------
        content : bytes
            A DICOM file.
        sender : Association
            The connection that it came over.

        Raises
        ------
        TransferError
            If it is not a whole DICOM file.
        OutputError
            If it cannot be kept.
        """
        received = identify(content)
        if not received.may_be_image:
            log.info("an object without image was received and not kept")
            return
        with self._lock:
            self._note_sender(received.study_uid, sender)
        folder = self._folder(received)
        path = self._out / folder / self._places.instance(received.instance_uid)
        known = self._ledger.known_sha256(received.instance_uid)
        if known == received.sha256 or (known and says_the_same(path, content)):
            return
        write_durable(path, content, top=self._out)
        self._ledger.note_arrival(received, path, len(content), folder)

    def ready(self, waits: ListenSettings) -> list[ArrivedStudy]:
        """List the studies of which nothing came for a while and nobody sends more."""
        now_s = self._clock_s()
        arriving = self._ledger.studies(State.ARRIVING)
        with self._lock:
            return [
                study
                for study in arriving
                if self._has_arrived(study.study_uid, waits, now_s)
            ]

    def _note_sender(self, study_uid: str, sender: Association) -> None:
        """Remember who sends; a new connection makes up for those that broke off."""
        self._last_s[study_uid] = self._clock_s()
        senders = self._senders.setdefault(study_uid, set())
        if sender not in senders:
            senders -= {one for one in senders if not one.is_alive()}
            senders.add(sender)

    def _has_arrived(self, study_uid: str, waits: ListenSettings, now_s: float) -> bool:
        """Wait longer for a sender who did not say goodbye, or before a restart."""
        senders = self._senders.get(study_uid, set())
        if any(sender.is_alive() for sender in senders):
            return False
        whole = senders and all(sender.is_released for sender in senders)
        wait_s = waits.quiet_s if whole else max(waits.quiet_s, waits.broken_s)
        return now_s - self._last_s.get(study_uid, self._started_s) >= wait_s

    def _folder(self, received: Received) -> str:
        """Name the folder of a study; below it ingest calls the study by its name."""
        known = self._ledger.folder(received.study_uid)
        study = self._places.study(received.study_uid)
        subject = self._places.subject(received.patient_id)
        return known or f"{RECEIVED}/{study}/{subject}_{study}"

    def _complain(self, error: Exception) -> None:
        """Log one line when the folder can no longer be written, not one per image."""
        if not self._full:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            log.warning(
                "%s: images cannot be kept (%s); senders are told to send them again",
                self._out,
                reason,
            )
        self._full = True
