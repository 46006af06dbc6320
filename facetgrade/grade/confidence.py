"""How sure a grade is: probabilities of all five, and the set that holds the truth.

The rules are a tree of four yes-or-no decisions (effusion, edema outside the capsule,
majority of the perimeter, extension). Each decision becomes a logistic curve of the
distance between measurement and threshold, and the tree multiplies them, so that the
probabilities follow the order of the grades and sum to 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from facetgrade.findings import Extents, Interval
from facetgrade.grade.settings import (
    ConfidenceSettings,
    Decision,
    GradeSettings,
    RuleSettings,
)

_DECISIONS = ("effusion", "edema", "majority", "extension")
_FOLDS = 5
# A measurement of nothing is taken for this share, so that logarithms exist.
_LEAST_SHARE = 0.02
# Log ratio of edema that fills no sector of the perimeter.
_NO_SECTOR = -0.5
# Standard deviations of offsets, log scales, log interval weight, logit background.
_PRIOR_WIDTH = np.array([0.3] * 4 + [0.7] * 4 + [0.7, 0.7])

Probabilities = tuple[float, float, float, float, float]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class CalibrationRecord:
    """One joint whose true grade is known.

    Attributes
    ----------
    extents : Extents
        As measured, corrected.
    true_grade : int
        0-4.
    patient : str
        Joints of one patient are never on both sides of a split.
    """

    extents: Extents
    true_grade: int
    patient: str


def grade_probabilities(extents: Extents, settings: GradeSettings) -> Probabilities:
    """Give each of the five grades its probability.

    Parameters
    ----------
    extents : Extents
        What was measured, corrected.
    settings : GradeSettings
        Rules and confidence.

    Returns
    -------
    tuple of float
        P(grade 0) ... P(grade 4), sum 1.
    """
    distances, half_widths = _distances(extents, settings.rules)
    parameters = _to_parameters(settings.confidence)
    table = _probability_table(
        distances[None], half_widths[None], parameters, _is_liberal(settings)
    )
    p0, p1, p2, p3, p4 = (float(p) for p in table[0])
    return p0, p1, p2, p3, p4


def mean_grade(probabilities: Sequence[float]) -> float:
    """Return the mean of the grades 0-4 by their probabilities."""
    return sum(grade * p for grade, p in enumerate(probabilities))


def grade_set(probabilities: Probabilities, set_probability: float) -> tuple[int, ...]:
    """Return the smallest set of grades that has more than a given probability.

    Parameters
    ----------
    probabilities : tuple of float
        From `grade_probabilities`.
    set_probability : float
        Calibrated by `fit_confidence`, so that the set covers the truth as often as
        stated.

    Returns
    -------
    tuple of int
        Grades in rising order, at least one.
    """
    order = np.argsort(probabilities, kind="stable")[::-1]
    reached = np.cumsum(np.asarray(probabilities)[order])
    needed = int(np.searchsorted(reached, set_probability + 1e-9)) + 1
    return tuple(sorted(int(grade) for grade in order[:needed]))


def fit_confidence(
    records: Sequence[CalibrationRecord], settings: GradeSettings
) -> ConfidenceSettings:
    """Fit the decisions and the prediction set to joints with a known grade.

    Offsets, scales, interval weight and background maximize the likelihood of the true
    grades, held near the present settings by a weak prior. The probability of the set
    is the conformal quantile of out-of-fold scores (folds by patient): the sets hold
    the truth of new joints as often as stated. It is at least the stated coverage:
    where nearly all grades are right, sets of one grade hold the truth often enough on
    joints like these, but say nothing of the doubt on harder ones.
    Correction and margins are left as they are, see `correction.fit_correction` and
    `margins.fit_margins`.

    Parameters
    ----------
    records : sequence of CalibrationRecord
        Joints that training never saw, at least one per fold of patients.
    settings : GradeSettings
        Rules, stated coverage and starting values.

    Returns
    -------
    ConfidenceSettings
        To be written into ``[confidence]`` of ``configs/grade.toml``.

    Raises
    ------
    ValueError
        If there are fewer than 5 patients.

    References
    ----------
    .. [1] Romano Y, Sesia M, Candes E. Classification with valid and adaptive
       coverage. NeurIPS 2020. arXiv:2006.02544.
    """
    patients = sorted({record.patient for record in records})
    if len(patients) < _FOLDS:
        raise ValueError(f"records must hold {_FOLDS} patients, got {len(patients)}")
    measured = [_distances(record.extents, settings.rules) for record in records]
    distances = np.stack([pair[0] for pair in measured])
    half_widths = np.stack([pair[1] for pair in measured])
    grades = np.array([record.true_grade for record in records])
    fold = np.array([patients.index(record.patient) % _FOLDS for record in records])
    start = _to_parameters(settings.confidence)
    liberal = _is_liberal(settings)
    scores = np.empty(len(records))
    for held_out in range(_FOLDS):
        use, test = fold != held_out, fold == held_out
        fitted = _maximize_likelihood(
            distances[use], half_widths[use], grades[use], start, liberal
        )
        table = _probability_table(distances[test], half_widths[test], fitted, liberal)
        scores[test] = _set_scores(table, grades[test])
    fitted = _maximize_likelihood(distances, half_widths, grades, start, liberal)
    coverage = settings.confidence.coverage
    found = _to_settings(fitted, settings.confidence)
    quantile = _conformal_quantile(scores, coverage)
    return found.model_copy(update={"set_probability": max(quantile, coverage)})


def format_confidence(confidence: ConfidenceSettings, *, comment: str = "") -> str:
    """Write the ``[confidence]`` section of ``configs/grade.toml``."""
    lines = [
        f"{'[confidence]':<34}# {comment}" if comment else "[confidence]",
        f"interval_weight = {confidence.interval_weight:.4f}",
        f"background = {confidence.background:.4f}",
        f"coverage = {confidence.coverage:.4f}",
        f"set_probability = {confidence.set_probability:.4f}",
    ]
    for name in _DECISIONS:
        decision: Decision = getattr(confidence, name)
        lines.append(
            f"{name} = {{ offset = {decision.offset:.4f}, "
            f"scale = {decision.scale:.4f} }}"
        )
    lines += ["", "[confidence.correction]   # true values for measured ones"]
    for name, curve in confidence.correction:
        points = (f"{key} = {list(values)}" for key, values in curve)
        lines.append(f"{name} = {{ {', '.join(points)} }}")
    lines += ["", "[confidence.margins]      # of the intervals of extents"]
    for name, margin in confidence.margins:
        lines.append(
            f"{name} = {{ below = {margin.below:.4f}, above = {margin.above:.4f} }}"
        )
    return "\n".join(lines) + "\n"


def replace_confidence(
    grade_toml: str, confidence: ConfidenceSettings, *, comment: str = ""
) -> str:
    """Put fitted values into the text of ``configs/grade.toml``.

    Parameters
    ----------
    grade_toml : str
        Text with a section ``[confidence]``.
    confidence : ConfidenceSettings
        From `fit_confidence`.
    comment : str
        Where the values come from, one line.

    Returns
    -------
    str
        The same text with that section and its subsections anew.

    Raises
    ------
    ValueError
        If the text has no ``[confidence]`` section.
    """
    section = re.compile(r"^\[confidence\].*?(?=^\[(?!confidence\.)|\Z)", re.M | re.S)
    if not section.search(grade_toml):
        raise ValueError("grade_toml must hold a [confidence] section, got none")
    text = format_confidence(confidence, comment=comment)
    spaced = section.sub(lambda _: text + "\n", grade_toml)
    return spaced.rstrip("\n") + "\n"


def _distances(
    extents: Extents, rules: RuleSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Signed distance of each decision from its threshold, and half its interval."""
    soft = _log_interval(
        extents.soft_tissue_edema_mm3, rules.minimum_soft_tissue_edema_mm3
    )
    if extents.perimeter_fraction.value <= 0.0:
        soft = (min(soft[0], _NO_SECTOR), soft[1])
    marrow = _log_volume(
        extents.articular_marrow_edema_mm3, rules.minimum_marrow_edema_mm3
    )
    reached = _log_volume(
        max(extents.extension_mm3.values(), default=0.0), rules.minimum_extension_mm3
    )
    volume = _log_volume(extents.effusion_mm3.value, rules.maximum_physiologic_mm3)
    width = _log_interval(extents.effusion_width_mm, rules.minimum_width_mm)
    decisions = (
        max(width, volume),
        max(soft, marrow, reached),
        _logit_interval(extents.perimeter_fraction, rules.majority),
        reached,
    )
    return np.array([d[0] for d in decisions]), np.array([d[1] for d in decisions])


def _log_interval(measured: Interval, threshold: float) -> tuple[float, float]:
    """Log ratio of a measurement and its threshold, and half the log interval."""
    least = _LEAST_SHARE * threshold
    low, value, high = (
        math.log(max(x, least) / threshold)
        for x in (measured.low, measured.value, measured.high)
    )
    return value, (high - low) / 2.0


def _log_volume(volume_mm3: float, threshold_mm3: float) -> tuple[float, float]:
    """Log ratio of a volume without an interval."""
    return _log_interval(Interval(volume_mm3, volume_mm3, volume_mm3), threshold_mm3)


def _logit_interval(fraction: Interval, threshold: float) -> tuple[float, float]:
    """Difference of logits of a fraction and its threshold, and half the interval."""
    low, value, high = (
        float(special.logit(np.clip(x, _LEAST_SHARE, 1.0 - _LEAST_SHARE)))
        for x in (fraction.low, fraction.value, fraction.high)
    )
    return value - float(special.logit(threshold)), (high - low) / 2.0


def _is_liberal(settings: GradeSettings) -> bool:
    """Tell whether extension without a majority is grade 4."""
    return settings.rules.extension_without_majority == "liberal"


def _probability_table(
    distances: NDArray[np.float64],
    half_widths: NDArray[np.float64],
    parameters: NDArray[np.float64],
    liberal: bool,
) -> NDArray[np.float64]:
    """Multiply the decisions of N joints to (N, 5) probabilities."""
    offsets, scales = parameters[:4], np.exp(parameters[4:8])
    spread = np.hypot(scales, np.exp(parameters[8]) * half_widths)
    yes = special.expit((distances - offsets) / spread)
    effusion, edema, majority, extension = yes.T
    outside = 1.0 - edema
    if liberal:
        two = (1.0 - majority) * (1.0 - extension)
        three, four = majority * (1.0 - extension), extension
    else:
        two = 1.0 - majority
        three, four = majority * (1.0 - extension), majority * extension
    table = np.stack(
        [
            outside * (1.0 - effusion),
            outside * effusion,
            edema * two,
            edema * three,
            edema * four,
        ],
        axis=1,
    )
    background = special.expit(parameters[9])
    mixed: NDArray[np.float64] = (1.0 - background) * table + background / 5.0
    return mixed


def _maximize_likelihood(
    distances: NDArray[np.float64],
    half_widths: NDArray[np.float64],
    grades: NDArray[np.intp],
    start: NDArray[np.float64],
    liberal: bool,
) -> NDArray[np.float64]:
    """Find the parameters that make the true grades most likely."""

    def loss(parameters: NDArray[np.float64]) -> float:
        table = _probability_table(distances, half_widths, parameters, liberal)
        likelihood = table[np.arange(len(grades)), grades]
        prior = (((parameters - start) / _PRIOR_WIDTH) ** 2).sum() / 2.0
        return float(prior - np.log(np.maximum(likelihood, 1e-12)).sum())

    fitted: NDArray[np.float64] = optimize.minimize(loss, start, method="L-BFGS-B").x
    return fitted


def _set_scores(
    table: NDArray[np.float64], grades: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Sum the probabilities of all grades that rank before the true one."""
    true = table[np.arange(len(grades)), grades]
    scores: NDArray[np.float64] = np.where(table > true[:, None], table, 0.0).sum(
        axis=1
    )
    return scores


def _conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the score that the stated share of new joints does not exceed."""
    rank = math.ceil((len(scores) + 1) * coverage)
    return 1.0 if rank > len(scores) else float(np.sort(scores)[rank - 1])


def _to_parameters(confidence: ConfidenceSettings) -> NDArray[np.float64]:
    """Put settings into the unbounded vector that is fitted."""
    decisions = [getattr(confidence, name) for name in _DECISIONS]
    return np.array(
        [
            *(decision.offset for decision in decisions),
            *(math.log(decision.scale) for decision in decisions),
            math.log(max(confidence.interval_weight, 1e-3)),
            float(special.logit(np.clip(confidence.background, 1e-4, 0.5))),
        ]
    )


def _to_settings(
    parameters: NDArray[np.float64], start: ConfidenceSettings
) -> ConfidenceSettings:
    """Put a fitted vector into settings."""
    effusion, edema, majority, extension = (
        Decision(offset=float(parameters[i]), scale=math.exp(parameters[4 + i]))
        for i in range(4)
    )
    fitted = {
        "effusion": effusion,
        "edema": edema,
        "majority": majority,
        "extension": extension,
        "interval_weight": math.exp(parameters[8]),
        "background": float(special.expit(parameters[9])),
    }
    return start.model_copy(update=fitted)
