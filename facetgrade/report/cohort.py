"""What a cohort shows as a whole: quality, distributions, outliers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from facetgrade.findings import Flag, Reason
from facetgrade.report.context import Row, StudyEntry
from facetgrade.report.words import FLAGS, REASONS

GRADES = 5

_MEASURES = {
    "effusion_mm3": "effusion, mm3",
    "effusion_width_mm": "width of the effusion, mm",
    "soft_tissue_edema_mm3": "soft-tissue edema, mm3",
    "marrow_edema_mm3": "marrow edema, mm3",
}
_DISTANCE = "distance of left and right joint, mm"
_FEWEST_VALUES = 20
_LARGEST_SCORE = 3.5
_CONSISTENCY = 0.6745
_MOST_OUTLIERS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class GradeShares:
    """Grades of one level and side.

    Attributes
    ----------
    level, side : str
        As in the table.
    counts : tuple of int
        Joints of grade 0 to 4.
    ungradable : int
        Joints without a grade.
    """

    level: str
    side: str
    counts: tuple[int, ...]
    ungradable: int

    @property
    def total(self) -> int:
        """Return all joints of this level and side."""
        return sum(self.counts) + self.ungradable


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlier:
    """One value far from those of the other joints.

    Attributes
    ----------
    study : StudyEntry
        Where.
    level, side : str
        Which joint; no side for a distance of two joints.
    measure : str
        What was measured, with its unit.
    value, typical : float
        The value and the median of the cohort.
    score : float
        Modified z-score.
    """

    study: StudyEntry
    level: str
    side: str
    measure: str
    value: float
    typical: float
    score: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Cohort:
    """Summary of all studies of an output folder.

    Attributes
    ----------
    joints, graded, borderline : int
        Joints asked for, with a grade, near the limit of grades 2 and 3.
    wide_sets : int
        Graded joints whose prediction set holds three or more grades.
    reasons, flags : mapping of str to (int, str)
        Count and meaning of each code that occurs, frequent ones first.
    shares : tuple of GradeShares
        By level and side.
    seconds : float
        Median working time of a study, NaN without one.
    outliers : tuple of Outlier
        Farthest first.
    """

    joints: int
    graded: int
    borderline: int
    wide_sets: int
    reasons: Mapping[str, tuple[int, str]]
    flags: Mapping[str, tuple[int, str]]
    shares: tuple[GradeShares, ...]
    seconds: float
    outliers: tuple[Outlier, ...]


def summarize_cohort(studies: Sequence[StudyEntry]) -> Cohort:
    """Count and compare the joints of all studies.

    An outlier has a modified z-score above 3.5 [1]_; volumes and widths are compared as
    logarithms of what is above zero, and only among 20 values or more.

    Parameters
    ----------
    studies : sequence of StudyEntry
        With their rows of joints.csv.

    References
    ----------
    .. [1] B. Iglewicz and D. Hoaglin, How to Detect and Handle Outliers, ASQC 1993.
    """
    rows = [row for study in studies for row in study.rows]
    graded = [row for row in rows if row["grade"]]
    seconds = [sum(s.stage_seconds.values()) for s in studies if s.stage_seconds]
    flags = Counter(flag for row in rows for flag in row["flags"].split(";") if flag)
    reasons = Counter(row["reason"] for row in rows if row["reason"])
    return Cohort(
        joints=len(rows),
        graded=len(graded),
        borderline=sum(row["borderline"] == "1" for row in graded),
        wide_sets=sum(row["grade_set"].count(";") >= 2 for row in graded),
        reasons=_explained(reasons, {r.value: REASONS[r] for r in Reason}),
        flags=_explained(flags, {f.value: FLAGS[f] for f in Flag}),
        shares=_shares(rows),
        seconds=median(seconds) if seconds else math.nan,
        outliers=_outliers(studies),
    )


def modified_z_scores(values: Sequence[float]) -> list[float]:
    """Return 0.6745 (x - median) / MAD of each value; zeros when the MAD is zero."""
    middle = median(values)
    deviation = median(abs(value - middle) for value in values)
    if deviation == 0.0:
        return [0.0] * len(values)
    return [_CONSISTENCY * (value - middle) / deviation for value in values]


def _explained(
    counts: Counter[str], meanings: Mapping[str, str]
) -> dict[str, tuple[int, str]]:
    return {
        code: (count, meanings.get(code, "")) for code, count in counts.most_common()
    }


def _shares(rows: Sequence[Row]) -> tuple[GradeShares, ...]:
    counts = Counter((row["level"], row["side"], row["grade"]) for row in rows)
    places = sorted({(level, side) for level, side, _ in counts})
    return tuple(
        GradeShares(
            level=level,
            side=side,
            counts=tuple(counts[level, side, str(g)] for g in range(GRADES)),
            ungradable=counts[level, side, ""],
        )
        for level, side in places
    )


def _outliers(studies: Sequence[StudyEntry]) -> tuple[Outlier, ...]:
    """Find values that lie far from those of the other joints."""
    found: list[Outlier] = []
    for column, name in _MEASURES.items():
        places = [
            (study, row["level"], row["side"], float(row[column]))
            for study in studies
            for row in study.rows
            if row[column] and float(row[column]) > 0.0
        ]
        found += _far(places, name, [math.log(value) for *_, value in places])
    distances = list(_distances(studies))
    found += _far(distances, _DISTANCE, [value for *_, value in distances])
    found.sort(key=lambda one: -abs(one.score))
    return tuple(found[:_MOST_OUTLIERS])


def _far(
    places: Sequence[tuple[StudyEntry, str, str, float]],
    measure: str,
    compared: Sequence[float],
) -> list[Outlier]:
    if len(compared) < _FEWEST_VALUES:
        return []
    typical = median(value for *_, value in places)
    return [
        Outlier(
            study=study,
            level=level,
            side=side,
            measure=measure,
            value=value,
            typical=typical,
            score=score,
        )
        for (study, level, side, value), score in zip(
            places, modified_z_scores(compared), strict=True
        )
        if abs(score) > _LARGEST_SCORE
    ]


def _distances(
    studies: Sequence[StudyEntry],
) -> list[tuple[StudyEntry, str, str, float]]:
    """Measure how far left and right joint of each level are apart; +x is left."""
    found = []
    for study in studies:
        x_mm = {
            (row["level"], row["side"]): float(row["x_mm"])
            for row in study.rows
            if row["x_mm"]
        }
        for level in sorted({level for level, _ in x_mm}):
            left, right = x_mm.get((level, "left")), x_mm.get((level, "right"))
            if left is not None and right is not None:
                found.append((study, level, "", left - right))
    return found
