"""One joint with its prediction and its truth, the row of every benchmark table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.findings import Flag

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
