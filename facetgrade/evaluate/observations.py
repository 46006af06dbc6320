"""What calibration keeps of a graded study whose truth is known: small rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite
from facetgrade.evaluate.rows import ComparedJoint, row_from_json, row_to_json
from facetgrade.findings import Extents, Interval, LocatedVertebra, Outcome
from facetgrade.findings import Graded as GradedJoint
from facetgrade.localize.ranks import SACRUM_RANK, name_of

BODY_RADIUS_MM = 18.0
_INTERVALS = (
    "effusion_mm3",
    "effusion_width_mm",
    "soft_tissue_edema_mm3",
    "marrow_edema_mm3",
    "perimeter_fraction",
)
_NUMBERS = ("articular_marrow_edema_mm3", "cyst_mm3", "perimeter_fraction_all_sectors")


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservedNumbering:
    """The possible numberings of one study, and which is true.

    Attributes
    ----------
    totals : mapping of str to float
        As `Localization.numbering_totals`.
    sacrum_vote : float
        As `Localization.sacrum_vote`.
    true_lowest : str
        True name of the lowest located body, empty if no body lies near a true one.
    """

    totals: Mapping[str, float]
    sacrum_vote: float
    true_lowest: str

    @property
    def right(self) -> bool:
        """Whether the numbering with most votes is the true one."""
        return max(self.totals, key=lambda name: self.totals[name]) == self.true_lowest


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ObservedJoint:
    """One joint: compared with its truth, and what calibration is fitted on.

    Attributes
    ----------
    row : ComparedJoint
        Prediction and truth; graded whatever the numbering and typicality.
    typicality : float
        As `SegmentedJoint.typicality`.
    extents : Extents or None
        As outlined, without correction or margin; None if it could not be graded.
    """

    row: ComparedJoint
    typicality: float
    extents: Extents | None


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ObservedStudy:
    """One study of the calibration.

    Attributes
    ----------
    name, patient : str
        Of the study and of the cluster it belongs to.
    numbering : ObservedNumbering or None
        None if no spine was found.
    cut : ObservedNumbering or None
        The same with the images cut above the sacrum: nothing may be decided.
    joints : tuple of ObservedJoint
        All requested joints.
    """

    name: str
    patient: str
    numbering: ObservedNumbering | None
    cut: ObservedNumbering | None
    joints: tuple[ObservedJoint, ...]


def observe_joint(row: ComparedJoint, outcome: Outcome | None) -> ObservedJoint:
    """Keep what calibration needs of one outcome; None was not processed."""
    extents = outcome.best.extents if isinstance(outcome, GradedJoint) else None
    return ObservedJoint(
        row=row,
        typicality=outcome.typicality if outcome else 0.0,
        extents=extents,
    )


def true_lowest_name(
    located: Sequence[LocatedVertebra], bodies: Mapping[str, NDArray[np.float64]]
) -> str:
    """Return the true name of the lowest located body.

    Bodies are counted from the true first sacral segment. A chain that left a body out
    has no single true numbering; what most of its bodies agree on is taken.

    Parameters
    ----------
    located : sequence of LocatedVertebra
        From the top.
    bodies : mapping of str to (3,) float64 ndarray
        True body centers in LPS mm, from the top; S1 is one of them.

    Returns
    -------
    str
        Empty if no located body lies near a true one.
    """
    names = list(bodies)
    centers = np.stack(list(bodies.values()))
    votes: Counter[int] = Counter()
    for below, vertebra in enumerate(reversed(located)):
        distances_mm = np.linalg.norm(centers - vertebra.center_lps_mm, axis=1)
        nearest = int(distances_mm.argmin())
        if distances_mm[nearest] <= BODY_RADIUS_MM:
            rank = SACRUM_RANK + names.index("S1") - nearest
            votes[rank - below] += 1
    return name_of(votes.most_common(1)[0][0]) if votes else ""


def study_to_json(study: ObservedStudy) -> dict[str, Any]:
    """Return a study as JSON values."""
    return {
        "name": study.name,
        "patient": study.patient,
        "numbering": asdict(study.numbering) if study.numbering else None,
        "cut": asdict(study.cut) if study.cut else None,
        "joints": [
            {
                "row": row_to_json(joint.row),
                "typicality": joint.typicality,
                "extents": _extents_to_json(joint.extents) if joint.extents else None,
            }
            for joint in study.joints
        ],
    }


def study_from_json(values: Mapping[str, Any]) -> ObservedStudy:
    """Read what `study_to_json` wrote."""
    numbering, cut = values["numbering"], values["cut"]
    return ObservedStudy(
        name=values["name"],
        patient=values["patient"],
        numbering=ObservedNumbering(**numbering) if numbering else None,
        cut=ObservedNumbering(**cut) if cut else None,
        joints=tuple(
            ObservedJoint(
                row=row_from_json(joint["row"]),
                typicality=joint["typicality"],
                extents=_extents_from_json(joint["extents"])
                if joint["extents"]
                else None,
            )
            for joint in values["joints"]
        ),
    )


def _extents_to_json(extents: Extents) -> dict[str, Any]:
    """Return the extents without the map of the perimeter."""
    intervals = {name: getattr(extents, name) for name in _INTERVALS}
    return {
        **{name: [i.value, i.low, i.high] for name, i in intervals.items()},
        **{name: getattr(extents, name) for name in _NUMBERS},
        "extension_mm3": {k.value: v for k, v in extents.extension_mm3.items()},
    }


def _extents_from_json(values: Mapping[str, Any]) -> Extents:
    """Read extents; the planes of the perimeter are not kept."""
    known: dict[str, Any] = {
        **{name: Interval(*values[name]) for name in _INTERVALS},
        **{name: values[name] for name in _NUMBERS},
    }
    sites = values["extension_mm3"].items()
    return Extents(
        **known,
        perimeter_fraction_worst_plane=known["perimeter_fraction"],
        sector_map=np.zeros((0, 72), np.int8),
        extension_mm3={ExtensionSite(k): v for k, v in sites},
    )
