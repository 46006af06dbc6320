"""From compared joints to the result of a benchmark, with intervals throughout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from facetgrade.errors import ConfigError
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.by_factor import FIGURES, factor_section
from facetgrade.evaluate.change import pair_rows
from facetgrade.evaluate.overlap import presence_shares, ratio_limits, spearman
from facetgrade.evaluate.rows import (
    MEASURES,
    ComparedJoint,
    column,
    dice_figure,
    grades,
    mean_grades,
    measure,
    outline_part,
    with_lesion,
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
        "change": change_section(
            truth, graded, patients, pairs, bootstrap, mean_grades=mean_grades(rows)
        ),
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
            rows,
            bootstrap,
            definitions,
            wanted={target.factor for target in targets.values()},
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

    By the names of `with_lesion`. A joint that was not outlined, refused ones among
    them, has Dice 0; distances are over outlined joints.
    """
    return {
        lesion: _overlap(present, lesion, bootstrap)
        for lesion, present in with_lesion(rows, definitions).items()
    }


def _overlap(rows: Rows, lesion: str, bootstrap: Bootstrap) -> Section:
    """Summarize the outlines of one lesion of some joints."""
    parts = {
        part: outline_part(rows, lesion, part)
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


def headline(result: Section, targets: Mapping[str, Target]) -> list[Section]:
    """Return the figures that have a target, and whether it was met."""
    return [_judged(name, target, result) for name, target in targets.items()]


def figures_of(result: Section) -> Section:
    """Return the estimates over all studies by the names that targets use."""
    return {
        **result["localization"],
        **result["grades"]["agreement"],
        **result["change"]["change"],
        **{dice_figure(k): v.get("mean_dice") for k, v in result["overlap"].items()},
        **{f"{k}_spearman": v.get("spearman") for k, v in result["volumes"].items()},
        **result["calibration"]["calibration"],
    }


def _judged(name: str, target: Target, result: Section) -> Section:
    """Return the figure of one target with what is shown beside it.

    Raises
    ------
    ConfigError
        If no benchmark has such a figure.
    """
    figures = figures_of(result)
    wanted = target.figure or name
    if target.factor:
        for figure in (wanted, *target.beside):
            if figure not in FIGURES:
                raise ConfigError(f"target {name}: {figure} is not told by factor")
        figures = result["factors"].get(target.factor, {}).get(target.value, {})
    estimate: Section | None = figures.get(wanted)
    return {
        "figure": name,
        "label": target.label,
        "estimate": estimate,
        "limit": target.limit,
        "judged": target.judged(estimate),
        "target": target.text,
        "met": target.is_met(estimate),
        "beside": [
            {"figure": figure, "label": label, "estimate": figures.get(figure)}
            for figure, label in target.beside.items()
        ],
    }


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
