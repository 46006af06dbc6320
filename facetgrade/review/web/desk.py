"""What every page needs: the store, the accounts, the images and the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.grade.settings import GradeSettings
from facetgrade.review.accounts import Accounts
from facetgrade.review.charter import Charter
from facetgrade.review.errors import NotFoundError
from facetgrade.review.people import Origin, Session
from facetgrade.review.records import Case, WorkItem
from facetgrade.review.store import Store
from facetgrade.review.web.joint_images import JointImages


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Desk:
    """Everything that serves a request.

    Attributes
    ----------
    store : Store
        The review.
    accounts : Accounts
        Sessions and passwords.
    charter : Charter
        Its rules.
    images : JointImages
        The pictures.
    rules : GradeSettings
        How painted lesions are graded.
    software : str
        Version of facetgrade.
    models : mapping of str to str
        SHA-256 of the models behind the results.
    """

    store: Store
    accounts: Accounts
    charter: Charter
    images: JointImages
    rules: GradeSettings
    software: str
    models: Mapping[str, str] = field(default_factory=dict)

    def origin(self, session: Session, address: str) -> Origin:
        """Say who acts, for the audit trail."""
        return Origin(
            who=session.name,
            address=address,
            software=self.software,
            models=self.models,
        )

    def opened(self, session: Session, item_id: str, joint: str) -> OpenedJoint:
        """Find one joint of the work of somebody.

        Raises
        ------
        NotFoundError
            If it is not theirs.
        """
        item = self.store.item(item_id, session.name)
        for one in item.joints:
            if joint_path(one) == joint:
                return OpenedJoint(item, self.store.case(item.case_id), one)
        raise NotFoundError("there is no such joint in this case")

    def slot_names(self, opened: OpenedJoint) -> dict[str, str]:
        """Name the slots of an item: A and B only while the order of time is masked."""
        item = opened.item
        if self.charter.time_order == "masked":
            return {slot: slot for slot in item.slots}
        studies = {study.visit: study for study in opened.case.studies}
        return {
            slot: f"{slot}: {visit} {studies[visit].date}".strip()
            for slot, visit in zip(item.slots, item.visits, strict=True)
        }

    def sees_ai(self, item: WorkItem, joint: FacetJoint) -> bool:
        """Tell whether the reader of an item may see the result of facetgrade now."""
        return self.charter.ai == "shown-from-start" or joint in item.locked


@dataclass(frozen=True, slots=True)
class OpenedJoint:
    """A joint that a reader may open.

    Attributes
    ----------
    item : WorkItem
        Entry of the work list.
    case : Case
        What it shows; for the server only.
    joint : FacetJoint
        Which joint.
    """

    item: WorkItem
    case: Case
    joint: FacetJoint

    @property
    def url(self) -> str:
        """Where the page gets everything about the joint."""
        return joint_url(self.item, self.joint)


def joint_path(joint: FacetJoint) -> str:
    """Name a joint in an address, such as ``L4-L5-right``."""
    return f"{joint.level}-{joint.side}"


def joint_url(item: WorkItem, joint: FacetJoint) -> str:
    """Return the address of the data of a joint."""
    return f"/api/items/{item.item_id}/{joint_path(joint)}"


def joint_of(path: str) -> FacetJoint:
    """Read the name of a joint in an address.

    Raises
    ------
    NotFoundError
        If it names no joint.
    """
    level, _, side = path.rpartition("-")
    try:
        return FacetJoint(Level(level), Side(side))
    except ValueError:
        raise NotFoundError(f"{path} is no joint") from None
