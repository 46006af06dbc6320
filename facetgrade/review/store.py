"""Everything a review keeps: work lists, reads, masks; safe against kills.

Each change is one transaction together with its entry in the audit trail. What a
method returned is on the disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import select

from facetgrade.anatomy import FacetJoint
from facetgrade.review.chain import AuditEntry
from facetgrade.review.changes import begin, lock_read, save_mask
from facetgrade.review.charter import Charter
from facetgrade.review.coding import (
    entry_of,
    mask_of,
)
from facetgrade.review.database import open_database
from facetgrade.review.people import Origin, Role
from facetgrade.review.queries import (
    case_in,
    cases_in,
    charter_in,
    current,
    item_in,
    items_in,
    reads_in,
    rows_in,
)
from facetgrade.review.records import (
    AdjudicatedResult,
    AiGrade,
    Case,
    EditedMask,
    Finding,
    MaskRecord,
    Progress,
    Purpose,
    ReadRecord,
    Submission,
    WorkItem,
)
from facetgrade.review.results import first_reads, results_of
from facetgrade.review.submissions import (
    cleaned,
    mask_content,
)
from facetgrade.review.tables import AUDIT, MASK
from facetgrade.review.trail import Clock, Trail, utc_now


def open_store(
    db: str,
    *,
    key_file: Path,
    head_file: Path,
    password_file: Path | None = None,
    clock: Clock = utc_now,
) -> Store:
    """Open the database of a review.

    Parameters
    ----------
    db : str
        As for `open_database`.
    key_file : Path
        Secret of the audit trail, made for a new database; never inside it.
    head_file : Path
        Receives the head of the audit trail at every change.
    password_file : Path or None
        Password of the database.
    clock : callable
        Tells the time.

    Raises
    ------
    ConfigError
        If the address, password file or key cannot be used.
    ReviewError
        If the database cannot be opened, or the head file contradicts it.
    """
    engine = open_database(db, password_file=password_file)
    try:
        trail = Trail(engine, key_file=key_file, head_file=head_file, clock=clock)
    except BaseException:
        engine.dispose()
        raise
    return Store(trail)


class Store:
    """Open review: every method is one transaction and safe in threads.

    Parameters
    ----------
    trail : Trail
        Writes rows and audit entries; holds the database.
    """

    def __init__(self, trail: Trail) -> None:
        self.trail = trail

    def close(self) -> None:
        """Close all connections."""
        self.trail.engine.dispose()

    def begin(self, charter: Charter, cases: Sequence[Case], origin: Origin) -> None:
        """Fix the charter and plan the work; later, plan cases that are new.

        Parameters
        ----------
        charter : Charter
            The rules; must stay the same.
        cases : sequence of Case
            All of the review. A case whose studies are known is not planned again,
            whatever its name.
        origin : Origin
            Who starts it.

        Raises
        ------
        NotAllowedError
            If the charter differs from the one that the database holds.
        """
        self.trail.write("begin", origin, lambda w: begin(w, charter, cases))

    def charter(self) -> Charter:
        """Return the charter of the review.

        Raises
        ------
        ReviewError
            If the review has not begun.
        """
        with self.trail.read() as connection:
            return charter_in(connection)

    def cases(self) -> tuple[Case, ...]:
        """Return all cases, by name."""
        with self.trail.read() as connection:
            return cases_in(connection)

    def case(self, case_id: str) -> Case:
        """Return one case.

        Raises
        ------
        NotFoundError
            If there is none of this name.
        """
        with self.trail.read() as connection:
            return case_in(connection, case_id)

    def work_list(self, reader: str) -> tuple[WorkItem, ...]:
        """Return the work of one person, in order.

        An adjudicator's list holds what needs adjudication, and grows.
        """
        with self.trail.read() as connection:
            return items_in(connection, reader)

    def item(self, item_id: str, reader: str) -> WorkItem:
        """Return one entry of the work list of a person.

        Raises
        ------
        NotFoundError
            If the person has no such entry.
        """
        with self.trail.read() as connection:
            return item_in(connection, item_id, reader)

    def submit(self, submission: Submission, origin: Origin) -> ReadRecord:
        """Lock a read; the same key again returns the same read.

        Parameters
        ----------
        submission : Submission
            With a reason for correction exactly when the joint is locked already.
        origin : Origin
            `who` is the reader.

        Raises
        ------
        NotFoundError
            If the reader has no such item.
        LockedError
            If the joint is locked and no reason for a correction is given.
        KeyReusedError
            If the key came with another content before.
        NotAllowedError
            If joint, slots, grades or reasons are impossible, or it is too early.
        """
        submission = cleaned(submission)
        action = "correct-read" if submission.correction_reason else "lock-read"
        return self.trail.write(
            action, origin, lambda w: lock_read(w, submission, origin.who)
        )

    def reads(
        self, *, reader: str | None = None, item_id: str | None = None
    ) -> tuple[ReadRecord, ...]:
        """Return reads with all corrected ones, in order of time."""
        with self.trail.read() as connection:
            return reads_in(connection, reader=reader, item_id=item_id)

    def current_reads(
        self, *, reader: str | None = None, item_id: str | None = None
    ) -> tuple[ReadRecord, ...]:
        """Return reads without those that a correction replaced."""
        return current(self.reads(reader=reader, item_id=item_id))

    def peer_findings(
        self, item: WorkItem, joint: FacetJoint
    ) -> tuple[tuple[Finding, ...], ...]:
        """Return what readers said, unnamed, in the slots of an adjudicator's item.

        Empty unless the item is an adjudication and the charter lets the adjudicator
        see both reads. The order of readers differs from item to item.
        """
        with self.trail.read() as connection:
            charter = charter_in(connection)
            sees = charter.adjudication.view == "sees-both"
            if item.purpose is not Purpose.ADJUDICATION or not sees:
                return ()
            reads = current(reads_in(connection, case_id=item.case_id))
        own = first_reads(reads).get((item.case_id, joint), {})
        findings = [
            tuple(
                replace(own[name].finding_at(visit), slot=slot)
                for slot, visit in zip(item.slots, item.visits, strict=True)
            )
            for name in charter.names(Role.READER)
            if name in own
        ]
        return tuple(findings[:: -1 if int(item.item_id[-1], 16) % 2 else 1])

    def visible_ai(self, item: WorkItem) -> tuple[AiGrade, ...]:
        """Return the grades of facetgrade that the reader of an item may see now."""
        with self.trail.read() as connection:
            charter, case = charter_in(connection), case_in(connection, item.case_id)
        if charter.ai == "shown-from-start":
            return case.ai
        return tuple(one for one in case.ai if one.joint in item.locked)

    def save_mask(self, mask: EditedMask, origin: Origin) -> MaskRecord:
        """Keep edited lesions; the same key again returns the same mask.

        Raises
        ------
        NotFoundError
            If the reader has no such item.
        KeyReusedError
            If the key came with another content before.
        NotAllowedError
            If the joint is not of the item or the array holds other codes than 0-4.
        """
        content = mask_content(mask)
        return self.trail.write(
            "save-mask", origin, lambda w: save_mask(w, mask, content, origin.who)
        )

    def masks(
        self, *, reader: str | None = None, item_id: str | None = None
    ) -> tuple[MaskRecord, ...]:
        """Return edited masks with all earlier versions, in order of time."""
        with self.trail.read() as connection:
            rows = rows_in(connection, MASK, reader=reader, item_id=item_id)
            return tuple(mask_of(row) for row in rows)

    def results(self) -> tuple[AdjudicatedResult, ...]:
        """Return the result of every joint by the rule of the charter."""
        with self.trail.read() as connection:
            return results_of(
                cases_in(connection),
                current(reads_in(connection)),
                charter_in(connection),
            )

    def progress(self) -> tuple[Progress, ...]:
        """Return how far everybody is who has a work list."""
        found = []
        with self.trail.read() as connection:
            for person in charter_in(connection).people:
                items = items_in(connection, person.name)
                if person.role is not Role.LEAD:
                    found.append(
                        Progress(
                            reader=person.name,
                            role=person.role,
                            joints=sum(len(item.joints) for item in items),
                            locked=sum(len(item.locked) for item in items),
                        )
                    )
        return tuple(found)

    def note(self, action: str, origin: Origin, **subject: str) -> None:
        """Add an entry to the audit trail, such as that a page was opened."""
        self.trail.write(action, origin, lambda writing: writing.note(**subject))

    def audit(self) -> tuple[AuditEntry, ...]:
        """Return the audit trail from its beginning."""
        with self.trail.read() as connection:
            rows = connection.execute(select(AUDIT).order_by(AUDIT.c.number))
            return tuple(entry_of(dict(row._mapping)) for row in rows)
