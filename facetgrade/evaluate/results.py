"""From compared joints to the result of a benchmark, with intervals throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from facetgrade.errors import ConfigError
from facetgrade.evaluate.agreement import UNGRADABLE, agreement_statistics
from facetgrade.evaluate.change import pair_rows
from facetgrade.evaluate.overlap import presence_shares, ratio_limits, spearman
from facetgrade.evaluate.rows import (
    MEASURES,
    ComparedJoint,
    column,
    grades,
    measure,
)
from facetgrade.evaluate.settings import DefinitionSettings, Target
from facetgrade.evaluate.summary import (
    Bootstrap,
    Section,
    calibration_section,
    change_section,
    grade_section,
)

Rows = Sequence[ComparedJoint]
Columns = Mapping[str, NDArray[np.float64]]
PLACE_FIGURES = ("right", "right_or_flagged", "median_mm")
FACTOR_FIGURES = ("exact", "within_one", "kappa_quadratic", "graded_share")
SHARES = (
    "right",
    "right_or_flagged",
    "flagged_though_right",
    "level_right",
    "side_right",
    "located",
)
OFFSETS = ("cranial_mm", "posterior_mm", "lateral_mm")
VOLUMES = tuple(name for name in MEASURES if name.endswith("_mm3"))


def benchmark_result(
    rows: Rows,
    *,
    bootstrap: Bootstrap,
    definitions: DefinitionSettings,
    targets: Mapping[str, Target],
) -> Section:
    """Summarize all compared joints.

    Parameters
    ----------
    rows : sequence of ComparedJoint
        Every requested joint of every study.
    bootstrap : Bootstrap
        How intervals are made.
    definitions : DefinitionSettings
        When volumes and effusions count as present.
    targets : mapping of str to Target
        What each headline figure should reach.

    Returns
    -------
    dict
        counts, headline, grades, change, calibration, localization, volumes,
        overlap, refusals, factors.
    """
    patients = [row.patient for row in rows]
    truth, graded = grades(rows)
    pairs = pair_rows(patients, [r.name for r in rows], [r.timepoint for r in rows])
    result: Section = {
        "counts": {
            "studies": len({row.study for row in rows}),
            "patients": len(set(patients)),
            "joints": len(rows),
        },
        "grades": grade_section(truth, graded, patients, bootstrap),
        "change": change_section(truth, graded, patients, pairs, bootstrap),
        "calibration": calibration_section(
            truth,
            [row.probabilities for row in rows],
            [row.grade_set for row in rows],
            patients,
            bootstrap,
        ),
        "localization": localization_section(rows, bootstrap),
        "volumes": volume_section(rows, bootstrap, floor_mm3=definitions.floor_mm3),
        "overlap": overlap_section(rows, bootstrap, definitions),
        "refusals": refusal_section(rows),
        "factors": factor_section(
            rows, bootstrap, {target.factor for target in targets.values()}
        ),
    }
    return {"headline": headline(result, targets), **result}


def localization_section(rows: Rows, bootstrap: Bootstrap) -> Section:
    """Summarize where the joints were found.

    A joint that was not located is infinitely far away, so that it cannot improve the
    median by its absence.
    """
    columns = {name: column(rows, name) for name in (*SHARES, "error_mm", *OFFSETS)}
    return bootstrap.estimate(
        [row.patient for row in rows], partial(_localization_statistics, columns)
    )


def volume_section(rows: Rows, bootstrap: Bootstrap, *, floor_mm3: float) -> Section:
    """Summarize bias, limits of agreement, rank correlation and presence."""
    return {
        name: _one_volume(rows, name, bootstrap, floor_mm3=floor_mm3)
        for name in VOLUMES
    }


def overlap_section(
    rows: Rows, bootstrap: Bootstrap, definitions: DefinitionSettings
) -> Section:
    """Summarize outlines of joints that truly have something to outline.

    `fluid` is all of it, the film of a healthy joint too; `effusion` is fluid as wide
    as the rules ask of an effusion. A joint that was not outlined has Dice 0; distances
    are over outlined joints.
    """
    floor_mm3 = definitions.floor_mm3
    fluid = _present(rows, "effusion_mm3", floor_mm3)
    wide = definitions.least_effusion_mm
    return {
        "effusion": _overlap(
            _present(fluid, "effusion_width_mm", wide), "effusion", bootstrap
        ),
        "fluid": _overlap(fluid, "effusion", bootstrap),
        "edema": _overlap(_present(rows, "edema_mm3", floor_mm3), "edema", bootstrap),
    }


def _present(rows: Rows, measured: str, least: float) -> Rows:
    """Return the joints whose truth is at least that large."""
    return [row for row in rows if row.truth.get(measured, 0.0) >= least]


def _overlap(rows: Rows, outline: str, bootstrap: Bootstrap) -> Section:
    """Summarize one outline of some joints."""
    parts = {
        part: np.array([r.overlap.get(outline, {}).get(part, np.nan) for r in rows])
        for part in ("dice", "normalized_surface_dice", "mean_mm", "hd95_mm")
    }
    return bootstrap.estimate(
        [row.patient for row in rows], partial(_overlap_statistics, parts)
    )


def refusal_section(rows: Rows) -> Section:
    """Count joints without a grade, by reason, where that is right and elsewhere."""
    kinds = {
        "not_gradable": [row for row in rows if row.truth_grade == UNGRADABLE],
        "gradable": [row for row in rows if row.truth_grade != UNGRADABLE],
    }
    return {
        kind: {
            "joints": len(members),
            "refused": sum(not row.graded for row in members),
            "reasons": dict(Counter(r.reason for r in members if not r.graded)),
        }
        for kind, members in kinds.items()
    }


def factor_section(
    rows: Rows, bootstrap: Bootstrap, wanted: Collection[str] = ()
) -> Section:
    """Summarize each value of each factor, so that the weakest is visible.

    Factors with one value only are left out, unless they are wanted.
    """
    groups: dict[str, dict[str, list[int]]] = {}
    for number, row in enumerate(rows):
        grade = str(row.truth_grade) if row.truth_grade >= 0 else "none"
        own = {"level": row.level, "side": row.side, "true grade": grade}
        for factor, value in {**own, **row.factors}.items():
            groups.setdefault(factor, {}).setdefault(value, []).append(number)
    return {
        factor: {
            value: _factor_value([rows[i] for i in members], bootstrap)
            for value, members in sorted(values.items())
        }
        for factor, values in groups.items()
        if len(values) > 1 or factor in wanted
    }


def headline(result: Section, targets: Mapping[str, Target]) -> list[Section]:
    """Return the figures that have a target, and whether it was met."""
    figures = {
        **result["localization"],
        **result["grades"]["agreement"],
        **result["change"]["change"],
        **{f"{k}_dice": v.get("mean_dice") for k, v in result["overlap"].items()},
        **{f"{k}_spearman": v.get("spearman") for k, v in result["volumes"].items()},
        **result["calibration"]["calibration"],
    }
    return [
        {
            "figure": name,
            "label": target.label,
            "estimate": (estimate := _estimate(name, target, figures, result)),
            "target": target.text,
            "met": target.is_met((estimate or {}).get("value")),
        }
        for name, target in targets.items()
    ]


def _estimate(
    name: str, target: Target, figures: Section, result: Section
) -> Section | None:
    """Return the figure of a target, None where no study gives it.

    Raises
    ------
    ConfigError
        If no benchmark has such a figure.
    """
    figure = target.figure or name
    if target.factor:
        if figure not in (*PLACE_FIGURES, *FACTOR_FIGURES, "coverage"):
            raise ConfigError(f"target {name}: {figure} is not told by factor")
        figures = result["factors"].get(target.factor, {}).get(target.value, {})
    found: Section | None = figures.get(figure)
    return found


def _one_volume(
    rows: Rows, name: str, bootstrap: Bootstrap, *, floor_mm3: float
) -> Section:
    """Summarize one volume over the joints on which it was measured."""
    predicted, truth = measure(rows, name)
    measured = np.flatnonzero(np.isfinite(predicted) & np.isfinite(truth))
    found, actual = predicted[measured], truth[measured]

    def statistics(draw: NDArray[np.int64]) -> dict[str, float]:
        limits = ratio_limits(found[draw], actual[draw], floor=floor_mm3)
        present = actual[draw] >= floor_mm3
        sensitivity, specificity = presence_shares(
            found[draw], actual[draw], floor=floor_mm3
        )
        return {
            "bias_ratio": limits.bias,
            "low_ratio": limits.low,
            "high_ratio": limits.high,
            "spearman": spearman(found[draw], actual[draw]),
            "spearman_present": spearman(found[draw][present], actual[draw][present]),
            "sensitivity": sensitivity,
            "specificity": specificity,
        }

    return bootstrap.estimate([rows[i].patient for i in measured.tolist()], statistics)


def _factor_value(rows: Rows, bootstrap: Bootstrap) -> Section:
    """Return the figures that are compared between the values of a factor."""
    truth, graded = grades(rows)
    columns = {name: column(rows, name) for name in (*SHARES, "error_mm", *OFFSETS)}
    held = column(rows, "covered")

    def statistics(draw: NDArray[np.int64]) -> dict[str, float]:
        places = _localization_statistics(columns, draw)
        agreement = agreement_statistics(truth[draw], graded[draw])
        return {
            **{name: places[name] for name in PLACE_FIGURES},
            **{name: agreement[name] for name in FACTOR_FIGURES},
            "coverage": _mean(held[draw]),
        }

    return bootstrap.estimate([row.patient for row in rows], statistics)


def _localization_statistics(
    columns: Columns, draw: NDArray[np.int64]
) -> dict[str, float]:
    """Return shares, errors and mean offsets of the drawn rows."""
    errors_mm = np.nan_to_num(columns["error_mm"][draw], nan=np.inf)
    return {
        **{name: float(columns[name][draw].mean()) for name in SHARES},
        "median_mm": float(np.median(errors_mm)),
        "p95_mm": float(np.quantile(errors_mm, 0.95, method="higher")),
        **{name: _mean(columns[name][draw]) for name in OFFSETS},
    }


def _overlap_statistics(columns: Columns, draw: NDArray[np.int64]) -> dict[str, float]:
    """Return overlap and surface figures of the drawn rows."""
    dice = np.nan_to_num(columns["dice"][draw])
    return {
        "mean_dice": float(dice.mean()),
        "median_dice": float(np.median(dice)),
        "normalized_surface_dice": _mean(columns["normalized_surface_dice"][draw]),
        "mean_mm": _mean(columns["mean_mm"][draw]),
        "hd95_mm": _median(columns["hd95_mm"][draw]),
    }


def _mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the defined values; NaN without any."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _median(values: NDArray[np.float64]) -> float:
    """Return the median of the defined values; NaN without any."""
    defined = values[np.isfinite(values)]
    return float(np.median(defined)) if defined.size else float("nan")
