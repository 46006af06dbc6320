"""Agreement of predicted grades with readers, from two tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from facetgrade.evaluate.change import pair_rows
from facetgrade.evaluate.page import readers_page
from facetgrade.evaluate.provenance import made_by, made_text
from facetgrade.evaluate.settings import EvaluateSettings
from facetgrade.evaluate.summary import (
    Bootstrap,
    Section,
    calibration_section,
    change_section,
    grade_section,
)
from facetgrade.evaluate.tables import (
    MatchedGrade,
    TableError,
    match_grades,
    read_grades,
    read_predictions,
)
from facetgrade.report.atomic import write_json, write_text


def compare_with_readers(
    pred: Path, truth: Path, out: Path, settings: EvaluateSettings, *, config_name: str
) -> Section:
    """Compare joints.csv with readers' grades; write agreement.json and .html.

    Parameters
    ----------
    pred, truth : Path
        As for `evaluate_tables`.
    out : Path
        Folder of the two files.
    settings : EvaluateSettings
        Its intervals are used.
    config_name : str
        Name of the settings file, for the result.

    Returns
    -------
    dict
        What is in agreement.json.

    Raises
    ------
    TableError
        As `evaluate_tables`.
    """
    result: Section = {
        "made": {
            **made_by(config_name, settings.intervals, {}),
            "predictions": pred.name,
            "grades": truth.name,
        },
        **evaluate_tables(pred, truth, bootstrap=settings.intervals.bootstrap),
    }
    made = [*made_text(result["made"]), ("predictions", pred.name)]
    page = readers_page(result, [*made, ("grades", truth.name)])
    write_json(out / "agreement.json", result)
    write_text(out / "agreement.html", page)
    return result


def evaluate_tables(pred: Path, truth: Path, *, bootstrap: Bootstrap) -> Section:
    """Compare joints.csv with the grades of one or more readers.

    Parameters
    ----------
    pred : Path
        joints.csv of `facetgrade grade`; needs source or study_uid, level, side and
        grade, uses subject, study_date, p0-p4 and grade_set where present.
    truth : Path
        CSV with source or study_uid, level, side, grade and, for several readers,
        reader. An empty grade means the reader could not grade the joint.
    bootstrap : Bootstrap
        How intervals are made.

    Returns
    -------
    dict
        counts, unmatched, readers (by name), pooled, between_readers, change.

    Raises
    ------
    TableError
        If a column is missing, a value impossible, a joint given twice, a source
        stands for several studies, or no grade finds its joint.
    """
    predictions, grades = read_predictions(pred), read_grades(truth)
    matched, unmatched = match_grades(predictions, grades, path=truth)
    if not matched:
        raise TableError(
            truth, 1, f"none of {len(grades)} grades names a joint of {pred.name}"
        )
    readers = sorted({row.reader for row in matched})
    return {
        "counts": {
            "predicted_joints": len(predictions),
            "grades_read": len(grades),
            "grades_matched": len(matched),
            "readers": len(readers),
        },
        "unmatched": [str(row) for row in unmatched],
        "readers": {
            reader: _reader_section(_of_reader(matched, reader), bootstrap)
            for reader in readers
        },
        "pooled": _reader_section(matched, bootstrap),
        "between_readers": _between_readers(matched, readers, bootstrap),
    }


def _of_reader(matched: Sequence[MatchedGrade], reader: str) -> list[MatchedGrade]:
    """Return the rows of one reader."""
    return [row for row in matched if row.reader == reader]


def _reader_section(matched: Sequence[MatchedGrade], bootstrap: Bootstrap) -> Section:
    """Summarize agreement, change and calibration against the readers."""
    truth = np.array([row.truth for row in matched], np.int64)
    predicted = np.array([row.predicted.grade for row in matched], np.int64)
    patients = [row.predicted.patient for row in matched]
    section = grade_section(truth, predicted, patients, bootstrap)
    pairs = pair_rows(
        patients,
        [f"{row.predicted.joint} {row.reader}" for row in matched],
        [row.predicted.date for row in matched],
    )
    section["change"] = change_section(truth, predicted, patients, pairs, bootstrap)
    section["calibration"] = calibration_section(
        truth,
        [row.predicted.probabilities for row in matched],
        [row.predicted.grade_set for row in matched],
        patients,
        bootstrap,
    )
    return section


def _between_readers(
    matched: Sequence[MatchedGrade], readers: Sequence[str], bootstrap: Bootstrap
) -> list[Section]:
    """Compare the readers pairwise on the joints that both saw."""
    grades = {(row.reader, row.predicted): row.truth for row in matched}
    sections: list[Section] = []
    for first, second in combinations(readers, 2):
        shared = [
            row.predicted
            for row in _of_reader(matched, first)
            if (second, row.predicted) in grades
        ]
        if shared:
            section = grade_section(
                [grades[first, joint] for joint in shared],
                [grades[second, joint] for joint in shared],
                [joint.patient for joint in shared],
                bootstrap,
            )
            sections.append({"first": first, "second": second, **section})
    return sections
