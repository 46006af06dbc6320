"""What each column of joints.csv holds: type, unit, limits, choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from facetgrade.anatomy import ExtensionSite, Level, Side
from facetgrade.findings import Flag, Reason
from facetgrade.report.words import FLAGS, GRADES, REASONS, SITES


class ColumnType(StrEnum):
    """How the text of a column is read; an empty text is an unknown value."""

    TEXT = "text"
    DATE = "date"
    NUMBER = "number"
    YES_NO = "yes or no"
    CHOICE = "choice"
    CHOICES = "choices"
    INTEGERS = "integers"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of joints.csv.

    Attributes
    ----------
    type : ColumnType
        How its texts are read.
    label : str
        What it holds, in words, with the unit.
    low, high : float or None
        Limits of a number.
    choices : mapping of str to str
        Every possible value, with its meaning.
    identifies : bool
        May lead to a patient: subject, dates, folder names, UIDs.
    """

    type: ColumnType
    label: str
    low: float | None = None
    high: float | None = None
    choices: Mapping[str, str] | None = None
    identifies: bool = False


def _share(label: str) -> Column:
    return Column(ColumnType.NUMBER, f"{label} (0 to 1)", 0.0, 1.0)


def _volume(label: str) -> Column:
    return Column(ColumnType.NUMBER, f"{label} (mm3)", 0.0)


def _position(axis: str) -> Column:
    return Column(ColumnType.NUMBER, f"Joint center, {axis} (DICOM LPS, mm)")


def _identifier(label: str, kind: ColumnType = ColumnType.TEXT) -> Column:
    return Column(kind, label, identifies=True)


JOINT_COLUMNS: Mapping[str, Column] = {
    "source": _identifier("Place of the study in the input"),
    "study_uid": _identifier("StudyInstanceUID"),
    "subject": _identifier("Pseudonym of the patient"),
    "study_date": _identifier(
        "Date of the study, or days since the subject's first study", ColumnType.DATE
    ),
    "level": Column(
        ColumnType.CHOICE,
        "Level",
        choices={level.value: level.value for level in Level},
    ),
    "side": Column(
        ColumnType.CHOICE,
        "Side of the patient",
        choices={side.value: side.value for side in Side},
    ),
    "status": Column(
        ColumnType.CHOICE,
        "Whether the joint was graded",
        choices={"graded": "graded", "ungradable": "ungradable"},
    ),
    "reason": Column(
        ColumnType.CHOICE,
        "Why there is no grade",
        choices={reason.value: REASONS[reason] for reason in Reason},
    ),
    "grade": Column(
        ColumnType.CHOICE,
        "Czervionke-Fenton grade",
        choices={str(k): words for k, words in enumerate(GRADES)},
    ),
    **{f"p{k}": _share(f"Probability of grade {k}") for k in range(5)},
    "grade_set": Column(
        ColumnType.INTEGERS, "Grades that hold the truth at the stated coverage"
    ),
    "x_mm": _position("x, toward the patient's left"),
    "y_mm": _position("y, backward"),
    "z_mm": _position("z, toward the head"),
    "level_probability": _share("Probability that the level name is right"),
    "effusion_mm3": _volume("Volume of the effusion"),
    "effusion_width_mm": Column(
        ColumnType.NUMBER, "Greatest width of the effusion (mm)", 0.0
    ),
    "edema_mm3": _volume("Volume of the edema, soft tissue and marrow"),
    "soft_tissue_edema_mm3": _volume("Volume of the soft-tissue edema"),
    "marrow_edema_mm3": _volume("Volume of the marrow edema"),
    "perimeter_fraction": _share("Abnormal fraction of the perimeter"),
    "perimeter_fraction_low": _share("Its lower limit"),
    "perimeter_fraction_high": _share("Its upper limit"),
    "extension": Column(
        ColumnType.CHOICES,
        "Sites that the signal reaches",
        choices={site.value: SITES[site] for site in ExtensionSite},
    ),
    "borderline": Column(
        ColumnType.YES_NO,
        "Perimeter fraction or width that decides the grade is near its limit",
    ),
    "flags": Column(
        ColumnType.CHOICES,
        "What a reader should know",
        choices={flag.value: FLAGS[flag] for flag in Flag},
    ),
    "series_used": Column(
        ColumnType.TEXTS, "SeriesInstanceUIDs that were read", identifies=True
    ),
}
