"""Results for each value of each factor, so that the weakest is visible."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from facetgrade.evaluate.agreement import UNGRADABLE, agreement_statistics
from facetgrade.evaluate.calibration import calibration_errors, top_label
from facetgrade.evaluate.change import pair_rows, same_direction
from facetgrade.evaluate.rows import (
    ComparedJoint,
    column,
    dice_figure,
    grades,
    mean_grades,
    outline_part,
    with_lesion,
)
from facetgrade.evaluate.settings import DefinitionSettings
from facetgrade.evaluate.summary import Bootstrap, Section

Rows = Sequence[ComparedJoint]
Draw = NDArray[np.int64]
PLACE_FIGURES = ("right", "right_or_flagged", "median_mm")
GRADE_FIGURES = ("exact", "within_one", "kappa_quadratic", "graded_share")
LESION_FIGURES = (
    "effusion_dice",
    "fluid_dice",
    "edema_dice",
    "effusion_dice_anywhere",
    "edema_dice_anywhere",
)
CHANGE_FIGURE = "mean_direction_right"
SET_FIGURE = "coverage"
CALIBRATION_FIGURE = "ece_corrected"
FIGURES = (
    *PLACE_FIGURES,
    *GRADE_FIGURES,
    *LESION_FIGURES,
    CHANGE_FIGURE,
    SET_FIGURE,
    CALIBRATION_FIGURE,
)
LEAST_CALIBRATED = 100  # joints, ten in each of ten bins


def factor_section(
    rows: Rows,
    bootstrap: Bootstrap,
    definitions: DefinitionSettings,
    *,
    wanted: Collection[str] = (),
) -> Section:
    """Summarize each value of each factor.

    Factors with one value only are left out, unless they are wanted.

    Parameters
    ----------
    rows : sequence of ComparedJoint
        Every requested joint of every study.
    bootstrap : Bootstrap
        How intervals are made.
    definitions : DefinitionSettings
        When volumes and effusions count as present.
    wanted : collection of str
        Factors that a target asks for.

    Returns
    -------
    dict
        Of each factor and value the estimates of `FIGURES`, each over the joints (or
        changed pairs) that have it; what no joint has is left out.
    """
    groups: dict[str, dict[str, list[ComparedJoint]]] = {}
    for row in rows:
        grade = str(row.truth_grade) if row.truth_grade >= 0 else "none"
        own = {"level": row.level, "side": row.side, "true grade": grade}
        for factor, value in {**own, **row.factors}.items():
            groups.setdefault(factor, {}).setdefault(value, []).append(row)
    return {
        factor: {
            value: _value_section(members, bootstrap, definitions)
            for value, members in sorted(values.items(), key=_order)
        }
        for factor, values in groups.items()
        if len(values) > 1 or factor in wanted
    }


def _order(item: tuple[str, list[ComparedJoint]]) -> tuple[bool, bool, str]:
    """Sort values by name, thirds of a range from below to over."""
    value = item[0]
    return value.startswith("over "), not value.startswith("below "), value


def _value_section(
    rows: Rows, bootstrap: Bootstrap, definitions: DefinitionSettings
) -> Section:
    """Return the figures of the joints with one value."""
    figures = _places_and_grades(rows, bootstrap)
    for lesion, present in with_lesion(rows, definitions).items():
        figures |= _lesion(present, lesion, bootstrap)
    return {
        **figures,
        **_direction(rows, bootstrap),
        **_mean(SET_FIGURE, rows, column(rows, "covered"), bootstrap),
        **_calibration(rows, bootstrap),
    }


def _places_and_grades(rows: Rows, bootstrap: Bootstrap) -> Section:
    """Return the figures of all joints; one true grade alone has no kappa."""
    truth, graded = grades(rows)
    shares = {name: column(rows, name) for name in ("right", "right_or_flagged")}
    errors_mm = np.nan_to_num(column(rows, "error_mm"), nan=np.inf)
    one_grade = len(set(truth.tolist()) - {UNGRADABLE}) < 2

    def statistics(draw: Draw) -> dict[str, float]:
        agreement = agreement_statistics(truth[draw], graded[draw])
        if one_grade:
            agreement["kappa_quadratic"] = float("nan")
        return {
            **{name: float(share[draw].mean()) for name, share in shares.items()},
            "median_mm": float(np.median(errors_mm[draw])),
            **{name: agreement[name] for name in GRADE_FIGURES},
        }

    return bootstrap.estimate([row.patient for row in rows], statistics)


def _lesion(rows: Rows, lesion: str, bootstrap: Bootstrap) -> Section:
    """Return the mean Dice of joints with a lesion, 0 where it was not outlined."""
    dice = np.nan_to_num(outline_part(rows, lesion, "dice"))
    return _mean(dice_figure(lesion), rows, dice, bootstrap)


def _direction(rows: Rows, bootstrap: Bootstrap) -> Section:
    """Return how often the mean grade changes like the true one.

    A pair belongs to a value that both visits have; truly changed pairs count.
    """
    pairs = pair_rows(
        [row.patient for row in rows],
        [row.name for row in rows],
        [row.timepoint for row in rows],
    )
    truth, means = grades(rows)[0], mean_grades(rows)
    before, after = truth[pairs.first], truth[pairs.second]
    changed = (before != UNGRADABLE) & (after != UNGRADABLE) & (before != after)
    same = same_direction(after - before, means[pairs.second] - means[pairs.first])
    first = [rows[number] for number in pairs.first[changed].tolist()]
    return _mean(CHANGE_FIGURE, first, same[changed].astype(np.float64), bootstrap)


def _calibration(rows: Rows, bootstrap: Bootstrap) -> Section:
    """Return the error of the probabilities, undefined with too few joints."""
    stated = [row for row in rows if row.truth_grade >= 0 and len(row.probabilities)]
    if not stated:
        return {}
    confidence, right = top_label(
        [row.truth_grade for row in stated], [row.probabilities for row in stated]
    )
    enough = len(stated) >= LEAST_CALIBRATED

    def statistics(draw: Draw) -> dict[str, float]:
        if not enough:
            return {CALIBRATION_FIGURE: float("nan")}
        errors = calibration_errors(confidence[draw], right[draw])
        return {CALIBRATION_FIGURE: errors[CALIBRATION_FIGURE]}

    return bootstrap.estimate([row.patient for row in stated], statistics)


def _mean(
    name: str, rows: Rows, values: NDArray[np.float64], bootstrap: Bootstrap
) -> Section:
    """Return the mean of the defined values; empty without any."""
    defined = np.flatnonzero(np.isfinite(values))
    known = values[defined]
    return bootstrap.estimate(
        [rows[number].patient for number in defined.tolist()],
        lambda draw: {name: float(known[draw].mean())},
    )
