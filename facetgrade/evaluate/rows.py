"""One joint with its prediction and its truth, the row of every benchmark table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.settings import DefinitionSettings
from facetgrade.findings import Flag
from facetgrade.grade.confidence import mean_grade

NAN = float("nan")
FAILED = "failed"  # reason of the joints of a study that could not be read
MEASURES = {
    "effusion_mm3": "effusion",
    "soft_tissue_edema_mm3": "soft-tissue edema",
    "marrow_edema_mm3": "marrow edema",
    "edema_mm3": "edema, both tissues",
    "effusion_width_mm": "effusion width",
    "perimeter_fraction": "perimeter fraction",
}
OUTLINES = ("effusion", "edema")


@dataclass(frozen=True, kw_only=True, slots=True)
class ComparedJoint:
    """A requested joint of one study, as predicted and as it is.

    Attributes
    ----------
    study, patient, timepoint : str
        Which examination of whom.
    level, side : str
        Name of the joint.
    factors : mapping of str to str
        What varied between studies: anatomy, field strength, ...
    truth_grade, grade : int
        0-4, or `UNGRADABLE`.
    reason : str
        Why the joint was not graded, empty if it was.
    probabilities : sequence of float
        P(grade 0) ... P(grade 4), empty without a grade.
    grade_set : sequence of int
        Prediction set, empty without a grade.
    located, right, level_right, side_right : bool
        See `localization.JointCheck`.
    error_mm, cranial_mm, posterior_mm, lateral_mm : float
        Distance to the true center and its parts; NaN if not located.
    level_probability : float
        Probability that the level is right, as predicted; NaN if not located.
    predicted, truth : mapping of str to float
        `MEASURES` on both sides; NaN where not measured.
    overlap : mapping of str to mapping of str to float
        dice, hd95_mm, mean_mm, normalized_surface_dice of each of `OUTLINES`.
    flags : sequence of str
        Flags of the predicted row.
    """

    study: str
    patient: str
    timepoint: str
    level: str
    side: str
    factors: Mapping[str, str]
    truth_grade: int
    grade: int
    reason: str
    probabilities: Sequence[float]
    grade_set: Sequence[int]
    located: bool
    right: bool
    level_right: bool
    side_right: bool
    error_mm: float
    cranial_mm: float
    posterior_mm: float
    lateral_mm: float
    level_probability: float
    predicted: Mapping[str, float]
    truth: Mapping[str, float]
    overlap: Mapping[str, Mapping[str, float]]
    flags: Sequence[str]

    @property
    def name(self) -> str:
        """Level and side."""
        return f"{self.level} {self.side}"

    @property
    def graded(self) -> bool:
        """Whether a grade was given."""
        return self.grade != UNGRADABLE

    @property
    def right_or_flagged(self) -> bool:
        """Whether nobody is misled about the level: right, refused, or said unsure."""
        refused = not self.graded and self.reason != FAILED
        return self.right or refused or Flag.LEVEL_UNCERTAIN in self.flags

    @property
    def flagged_though_right(self) -> bool:
        """Whether a right level was called uncertain."""
        return self.right and Flag.LEVEL_UNCERTAIN in self.flags

    @property
    def covered(self) -> float:
        """Whether the prediction set holds the true grade; NaN where either lacks."""
        if not len(self.grade_set) or self.truth_grade == UNGRADABLE:
            return NAN
        return float(self.truth_grade in self.grade_set)


def row_to_json(row: ComparedJoint) -> dict[str, Any]:
    """Return a row as JSON values, None for NaN."""
    plain: dict[str, Any] = _without_nan(asdict(row))
    return plain


def row_from_json(values: Mapping[str, Any]) -> ComparedJoint:
    """Read what `row_to_json` wrote."""
    numbers = {f.name for f in fields(ComparedJoint) if f.type == "float"}
    row: dict[str, Any] = {
        name: NAN if name in numbers and value is None else value
        for name, value in values.items()
    }
    for name in ("predicted", "truth"):
        row[name] = _with_nan(row[name])
    row["overlap"] = {key: _with_nan(part) for key, part in row["overlap"].items()}
    return ComparedJoint(**row)


def measure(
    rows: Sequence[ComparedJoint], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return one of `MEASURES` of all rows, predicted and true."""
    predicted = [row.predicted.get(name, NAN) for row in rows]
    truth = [row.truth.get(name, NAN) for row in rows]
    return np.array(predicted, np.float64), np.array(truth, np.float64)


def column(rows: Sequence[ComparedJoint], name: str) -> NDArray[np.float64]:
    """Return a numeric attribute of all rows."""
    return np.array([getattr(row, name) for row in rows], np.float64)


def grades(rows: Sequence[ComparedJoint]) -> tuple[NDArray[np.int64], ...]:
    """Return true and predicted grades of all rows."""
    truth = np.array([row.truth_grade for row in rows], np.int64)
    return truth, np.array([row.grade for row in rows], np.int64)


def mean_grades(rows: Sequence[ComparedJoint]) -> NDArray[np.float64]:
    """Return the mean grade by the probabilities of each row, NaN without any."""
    return np.array(
        [mean_grade(row.probabilities) if row.probabilities else NAN for row in rows],
        np.float64,
    )


def with_lesion(
    rows: Sequence[ComparedJoint], definitions: DefinitionSettings
) -> dict[str, list[ComparedJoint]]:
    """Return the joints that truly have something to outline.

    Returns
    -------
    dict of str to list of ComparedJoint
        Of the joints that are gradable by the truth (a series that shows edema covers
        them, no metal is near), whatever the prediction made of them: fluid, all of it,
        the film of a healthy joint too; effusion, fluid as wide as the rules ask of an
        effusion; edema, of both tissues. effusion_anywhere and edema_anywhere: of all
        joints.
    """
    floor_mm3 = definitions.floor_mm3
    fluid = _present(rows, "effusion_mm3", floor_mm3)
    effusion = _present(fluid, "effusion_width_mm", definitions.least_effusion_mm)
    edema = _present(rows, "edema_mm3", floor_mm3)
    return {
        "effusion": _gradable(effusion),
        "fluid": _gradable(fluid),
        "edema": _gradable(edema),
        "effusion_anywhere": effusion,
        "edema_anywhere": edema,
    }


def dice_figure(lesion: str) -> str:
    """Name the mean Dice of a lesion that `with_lesion` names.

    Such as ``effusion_dice`` and ``effusion_dice_anywhere``.
    """
    outline, *where = lesion.split("_")
    return "_".join((outline, "dice", *where))


def outline_part(
    rows: Sequence[ComparedJoint], lesion: str, part: str
) -> NDArray[np.float64]:
    """Return such as the Dice of a lesion that `with_lesion` names; NaN if unknown."""
    name = lesion.split("_")[0]
    outline = "effusion" if name == "fluid" else name
    parts = [row.overlap.get(outline, {}).get(part, NAN) for row in rows]
    return np.array(parts, np.float64)


def _gradable(rows: Sequence[ComparedJoint]) -> list[ComparedJoint]:
    """Return the joints that have a true grade."""
    return [row for row in rows if row.truth_grade != UNGRADABLE]


def _present(
    rows: Sequence[ComparedJoint], measured: str, least: float
) -> list[ComparedJoint]:
    """Return the joints whose truth is at least that large."""
    return [row for row in rows if row.truth.get(measured, 0.0) >= least]


def _without_nan(value: Any) -> Any:
    """Replace NaN by None, at any depth."""
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _with_nan(values: Mapping[str, float | None]) -> dict[str, float]:
    """Replace None by NaN."""
    return {key: NAN if value is None else value for key, value in values.items()}
