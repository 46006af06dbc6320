"""Fetch studies from an archive into folders that `facetgrade grade` reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from facetgrade.errors import (
    ConnectionLostError,
    FacetGradeError,
    OutputError,
    TransferError,
    one_line,
)
from facetgrade.pacs.instances import identify
from facetgrade.pacs.ledger import TransferLedger
from facetgrade.pacs.patience import Patience
from facetgrade.pacs.places import Places
from facetgrade.pacs.records import (
    Archive,
    RemoteInstance,
    RemoteSeries,
    RemoteStudy,
    StudyQuery,
)
from facetgrade.report.atomic import sync_folder, write_durable
from facetgrade.stopwatch import Stopwatch

# Folders whose names start with a dot are passed over by ingest.
INCOMPLETE = ".incomplete"

log = logging.getLogger(__name__)
Tell = Callable[[str], None]


@dataclass(eq=False, kw_only=True, slots=True)
class TransferSummary:
    """What became of the studies of one run.

    Attributes
    ----------
    complete : int
        Studies that are whole, now or before.
    fetched, bytes : int
        Instances of this run and their size.
    failures : list of str
        One sentence for each study or identifier that is missing.
    """

    complete: int = 0
    fetched: int = 0
    bytes: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 all complete, 2 nothing could be done, 3 some failed."""
        if not self.complete:
            return 2
        return 3 if self.failures else 0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class PullJob:
    """What is fetched from where to where.

    Attributes
    ----------
    archive : Archive
        Where the studies are.
    query : StudyQuery
        Which are wanted.
    out : Path
        Gets ``SUBJECT/STUDY/*.dcm``, both names keyed pseudonyms.
    places : Places
        Makes the pseudonyms.
    patience : Patience
        How long to try.
    """

    archive: Archive
    query: StudyQuery
    out: Path
    places: Places
    patience: Patience

    def folder(self, study: RemoteStudy) -> str:
        """Name the folder of a study below `out`."""
        subject = self.places.subject(study.patient_id)
        return f"{subject}/{self.places.study(study.study_uid)}"


def pull_studies(job: PullJob, tell: Tell) -> TransferSummary:
    """Fetch every study that fits; what is there already is not fetched again.

    Parameters
    ----------
    job : PullJob
        What to do.
    tell : callable
        Gets one line for each study.

    Raises
    ------
    TransferError
        If the archive cannot be searched.
    OutputError
        If the folder cannot be written.
    """
    summary = TransferSummary()
    found = job.patience.call(lambda: job.archive.find_studies(job.query))
    studies = [study for study in found if job.query.fits(study)]
    log.info("%s: %d studies fit", job.archive.name, len(studies))
    tell(f"{len(studies)} studies fit")
    summary.failures += _unmatched(job.query, studies)
    for sentence in summary.failures:
        tell(sentence)
    with TransferLedger(job.out) as ledger:
        _pull_all(job, studies, ledger, summary, tell)
    return summary


def _pull_all(
    job: PullJob,
    studies: Sequence[RemoteStudy],
    ledger: TransferLedger,
    summary: TransferSummary,
    tell: Tell,
) -> None:
    """Fetch study after study; stop when the disk is full or the archive is down."""
    lost_in_row = 0
    for number, study in enumerate(studies, start=1):
        name = f"[{number}/{len(studies)}] {job.folder(study)}"
        try:
            line = _pull_study(job, study, ledger, summary)
            lost_in_row = 0
        except (OutputError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            _fail(summary, tell, f"{name}: {job.out} cannot be written ({reason})")
            tell("stopped; with room on the disk the same command goes on")
            return
        except FacetGradeError as error:
            _fail(summary, tell, f"{name}: {error}")
            lost_in_row += isinstance(error, ConnectionLostError)
            if lost_in_row >= job.patience.settings.give_up_after_studies:
                tell("stopped; when the archive is back the same command goes on")
                return
        else:
            if line:
                tell(f"{name}: {line}")


def _fail(summary: TransferSummary, tell: Tell, sentence: str) -> None:
    sentence = one_line(sentence)
    log.info("failed: %s", sentence)
    summary.failures.append(sentence)
    tell(f"failed: {sentence}")


def _unmatched(query: StudyQuery, studies: Sequence[RemoteStudy]) -> list[str]:
    """Name listed identifiers without a study by their place in the list."""
    accession_numbers = {study.accession_number for study in studies}
    patients = {study.patient_id for study in studies}
    return [
        f"nothing found for entry {number} of the list of {what}"
        for what, listed, there in (
            ("accession numbers", query.accession_numbers, accession_numbers),
            ("patients", query.patient_ids, patients),
        )
        for number, value in enumerate(listed, start=1)
        if value not in there
    ]


def _pull_study(
    job: PullJob, study: RemoteStudy, ledger: TransferLedger, summary: TransferSummary
) -> str:
    """Fetch what is missing of one study, then give it its place."""
    watch = Stopwatch()
    place = job.out / job.folder(study)
    fetched_before, bytes_before = summary.fetched, summary.bytes
    with watch.stage("fetch"):
        wanted = _list_wanted(job, study)
        for series, instances in wanted.items():
            _pull_series(job, series, instances, ledger, summary, place)
    if not wanted:
        return ""
    kept = ledger.kept(study.study_uid)
    _give_place(place, job.out / INCOMPLETE / job.folder(study))
    ledger.note_moved(study.study_uid, place)
    summary.complete += 1
    new = summary.fetched - fetched_before
    megabytes = (summary.bytes - bytes_before) / 1e6
    took = f"{megabytes:.1f} MB, {watch.seconds['fetch']:.1f} s"
    log.info("study %s: %d instances, %d new, %s", place.name, len(kept), new, took)
    return f"{new} images, {took}" if new else f"{len(kept)} images were there"


def _list_wanted(
    job: PullJob, study: RemoteStudy
) -> dict[RemoteSeries, list[RemoteInstance]]:
    """List the instances of the wanted series."""
    archive, call = job.archive, job.patience.call
    wanted = {}
    for series in call(lambda: archive.list_series(study.study_uid)):
        if job.query.wants(series):
            listed = call(lambda series=series: archive.list_instances(series))  # type: ignore[misc]
            if not listed:
                raise TransferError(f"{archive.name} lists no instances of a series")
            wanted[series] = listed
    return wanted


def _pull_series(
    job: PullJob,
    series: RemoteSeries,
    instances: Sequence[RemoteInstance],
    ledger: TransferLedger,
    summary: TransferSummary,
    place: Path,
) -> None:
    """Fetch a series; every new instance renews the patience."""
    folder = job.out / INCOMPLETE / place.relative_to(job.out)

    def missing() -> list[RemoteInstance]:
        kept = ledger.kept(series.study_uid)
        return [one for one in instances if one.instance_uid not in kept]

    def keep(content: bytes) -> None:
        received = identify(content)
        if received.study_uid != series.study_uid:
            raise TransferError(f"{job.archive.name} sent an image of another study")
        if ledger.known_sha256(received.instance_uid):
            return
        path = folder / job.places.instance(received.instance_uid)
        write_durable(path, content, top=job.out)
        ledger.note_received(received, path, len(content))
        summary.fetched += 1
        summary.bytes += len(content)

    def fetch_some() -> None:
        before = missing()
        try:
            job.archive.fetch(series, before, keep)
            if len(missing()) == len(before):
                raise ConnectionLostError(
                    f"{job.archive.name} gives none of {len(before)} listed images"
                )
        except ConnectionLostError as error:
            left = len(missing())
            if left == len(before):
                raise
            log.warning("%s; going on with the last %d images", error, left)

    while missing():
        job.patience.call(fetch_some)


def _give_place(place: Path, incomplete: Path) -> None:
    """Move a complete study to where `grade` sees it."""
    if not incomplete.exists():
        return
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        incomplete.rename(place)
    else:
        for path in incomplete.iterdir():
            path.rename(place / path.name)
        incomplete.rmdir()
    for folder in (place, place.parent, place.parent.parent):
        sync_folder(folder)
