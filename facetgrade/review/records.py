"""What readers work on and what they leave: cases, items, reads, masks, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint
from facetgrade.geometry import VolumeGeometry
from facetgrade.review.people import Role


class Visit(StrEnum):
    """Which examination of a patient a study is; a masked page never says it."""

    BASELINE = "baseline"
    FOLLOWUP = "followup"
    ONLY = "only"


class Purpose(StrEnum):
    """Why an item is read."""

    READ = "read"
    REPEAT = "repeat"
    ADJUDICATION = "adjudication"


class Basis(StrEnum):
    """What a result rests on."""

    AGREED = "agreed"
    MINOR_DIFFERENCE = "minor-difference"
    ADJUDICATED = "adjudicated"
    SINGLE_READER = "single-reader"
    PENDING = "pending"


UNGRADABLE_REASONS = (
    "no-fat-suppression",
    "not-in-view",
    "metal",
    "motion",
    "poor-quality",
    "level-uncertain",
    "other",
)
SLOTS = ("A", "B")
AFTER_FIRST_READ = "after-first-read"


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRef:
    """One examination of a case; never shown while the charter masks it.

    Attributes
    ----------
    visit : Visit
        Baseline, follow-up, or the only one.
    folder : str
        Folder that `facetgrade grade` wrote, relative to the reviewed folder.
    study_uid, source, subject, date : str
        As in study.json.
    """

    visit: Visit
    folder: str
    study_uid: str
    source: str
    subject: str
    date: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AiGrade:
    """What facetgrade itself said of one joint at one visit; None is ungradable."""

    visit: Visit
    joint: FacetJoint
    grade: int | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What is read together: a pair of studies, or one study.

    Attributes
    ----------
    case_id : str
        Random name; says nothing of the patient.
    patient : str
        Patient or, without PatientID, the source: the cluster of the statistics.
    studies : tuple of StudyRef
        In order of time.
    joints : tuple of FacetJoint
        To be read, sorted.
    ai : tuple of AiGrade
        Grades of facetgrade, for the comparison with readers.
    """

    case_id: str
    patient: str
    studies: tuple[StudyRef, ...]
    joints: tuple[FacetJoint, ...]
    ai: tuple[AiGrade, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkItem:
    """One entry of the work list of one reader.

    `case_id`, `visits` and `purpose` are for the server: a page that masks the order
    of time shows `item_id`, `position`, `slots` and `joints` only.

    Attributes
    ----------
    item_id : str
        Random name, different for every reader.
    reader : str
        Whose it is.
    position : int
        Place in the list, from 1.
    case_id : str
        What is shown.
    purpose : Purpose
        First read, repeat, or adjudication.
    visits : tuple of Visit
        What slot A (and B) really shows, drawn anew for each item.
    joints : tuple of FacetJoint
        To be read; of an adjudication those that need it.
    locked : frozenset of FacetJoint
        Read already.
    available_from : str
        Time (ISO 8601, UTC) from which a repeat may be read, `AFTER_FIRST_READ` while
        the first read is not done, empty without limit.
    """

    item_id: str
    reader: str
    position: int
    case_id: str
    purpose: Purpose
    visits: tuple[Visit, ...]
    joints: tuple[FacetJoint, ...]
    locked: frozenset[FacetJoint] = frozenset()
    available_from: str = ""

    @property
    def slots(self) -> tuple[str, ...]:
        """Names under which the studies are shown: A, or A and B."""
        return SLOTS[: len(self.visits)]

    @property
    def is_done(self) -> bool:
        """Every joint is read."""
        return self.locked >= frozenset(self.joints)

    def visit_of(self, slot: str) -> Visit:
        """Tell what a slot really shows.

        Raises
        ------
        ValueError
            If the item has no such slot.
        """
        if slot not in self.slots:
            raise ValueError(f"slot must be one of {self.slots}, got {slot!r}")
        return self.visits[SLOTS.index(slot)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a reader says of a joint in one slot.

    Attributes
    ----------
    slot : str
        A or B.
    grade : int or None
        0-4; None is ungradable.
    reason : str
        One of `UNGRADABLE_REASONS` when ungradable, else empty.
    extents : mapping of str to float
        Measured by the reader or from the edited mask: ``effusion_mm3``,
        ``edema_mm3``, ``perimeter_fraction``, ``distance_mm``...
    """

    slot: str
    grade: int | None
    reason: str = ""
    extents: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A read of one joint as it arrives from the page.

    Attributes
    ----------
    item_id : str
        Entry of the reader's work list.
    joint : FacetJoint
        Which joint.
    findings : tuple of Finding
        One for each slot of the item.
    key : str
        Random, made by the page before the first attempt: the same key never makes a
        second read.
    comment : str
        Free text.
    elapsed_s : float
        Time the joint was open.
    correction_reason : str
        Why an earlier read is replaced; empty for a first read.
    """

    item_id: str
    joint: FacetJoint
    findings: tuple[Finding, ...]
    key: str
    comment: str = ""
    elapsed_s: float = 0.0
    correction_reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadRecord:
    """A locked read; nothing ever changes it.

    Attributes
    ----------
    read_id : str
        Its name.
    number : int
        Number of the audit entry that locked it; grows with time.
    reader, case_id, purpose
        As in `WorkItem`.
    submission : Submission
        What arrived.
    visits : tuple of Visit
        What the slots showed.
    locked_at : str
        ISO 8601, UTC.
    ai_visible : bool
        The reader could see the result of facetgrade when the read was locked.
    replaces : str
        The read that this one corrects, empty for a first read.
    """

    read_id: str
    number: int
    reader: str
    case_id: str
    purpose: Purpose
    submission: Submission
    visits: tuple[Visit, ...]
    locked_at: str
    ai_visible: bool
    replaces: str = ""

    @property
    def joint(self) -> FacetJoint:
        """Which joint was read."""
        return self.submission.joint

    def finding_at(self, visit: Visit) -> Finding:
        """Return what was said of one visit.

        Raises
        ------
        ValueError
            If the case has no such visit.
        """
        slot = SLOTS[self.visits.index(visit)]
        return next(one for one in self.submission.findings if one.slot == slot)


@dataclass(frozen=True, kw_only=True, slots=True)
class AdjudicatedResult:
    """The result of one joint at one visit, by the rule of the charter.

    Attributes
    ----------
    case_id, visit, joint
        What was read.
    grade : int or None
        0-4; None when ungradable or pending.
    reason : str
        Why it is ungradable.
    basis : Basis
        How it came about.
    reads : tuple of str
        The reads behind it, by reader; the adjudicator's last.
    """

    case_id: str
    visit: Visit
    joint: FacetJoint
    grade: int | None
    reason: str
    basis: Basis
    reads: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class EditedMask:
    """Lesions as a reader corrected them.

    Attributes
    ----------
    item_id, slot, joint
        What was edited.
    lesions : (H, R, C) uint8 ndarray
        0 background, else 1 + place in `Lesion`: 1 effusion, 2 soft-tissue edema,
        3 marrow edema, 4 cyst.
    geometry : VolumeGeometry
        Grid of `lesions` in the patient space of the slot's own study (LPS mm).
    key : str
        As in `Submission`.
    """

    item_id: str
    slot: str
    joint: FacetJoint
    lesions: NDArray[np.uint8]
    geometry: VolumeGeometry
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskRecord:
    """A stored edited mask.

    Attributes
    ----------
    mask_id : str
        Its name.
    number : int
        Number of its audit entry.
    item_id, reader, case_id, visit, slot, joint
        Whose, of what.
    nifti : bytes
        Content of a ``.nii.gz`` file with the codes of `EditedMask`.
    saved_at : str
        ISO 8601, UTC.
    """

    mask_id: str
    number: int
    item_id: str
    reader: str
    case_id: str
    visit: Visit
    slot: str
    joint: FacetJoint
    nifti: bytes = field(repr=False)
    saved_at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a reader is, in joints."""

    reader: str
    role: Role
    joints: int
    locked: int
