"""Calibration of grade probabilities and coverage of grade sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Joints of similar confidence.

    Attributes
    ----------
    confidence : float
        Mean stated probability.
    share_right : float
        How often it came true.
    joints : int
        How many joints.
    """

    confidence: float
    share_right: float
    joints: int


def reliability(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS
) -> tuple[ReliabilityBin, ...]:
    """Sort stated probabilities into bins of equal mass.

    Equal confidences stay in one bin, so that the order of the rows does not matter;
    there are fewer bins where many are equal.

    Parameters
    ----------
    confidence : (N,) float array
        Stated probabilities, 0-1.
    right : (N,) bool array
        Whether each came true.
    bins : int
        Number of bins.

    Returns
    -------
    tuple of ReliabilityBin
        By growing confidence.
    """
    stated = np.asarray(confidence, np.float64)
    came_true = np.asarray(right, np.float64)
    if not stated.size:
        return ()
    starts = [part[0] for part in np.array_split(np.sort(stated), bins) if part.size]
    numbers = np.searchsorted(np.unique(starts)[1:], stated, side="right")
    counts = np.bincount(numbers)
    sums = np.bincount(numbers, stated), np.bincount(numbers, came_true)
    return tuple(
        ReliabilityBin(float(sums[0][b] / n), float(sums[1][b] / n), int(n))
        for b, n in enumerate(counts.tolist())
        if n
    )


def calibration_errors(
    confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS
) -> dict[str, float]:
    """Measure how far stated probabilities are from how often they come true.

    The plain error is positive by chance even when calibration is perfect, the more
    so the fewer joints there are. `ece_corrected` removes the bias that normal noise
    of the bins would add, as far as that can be estimated; `rms_corrected` is the
    square root of an unbiased estimate of the mean squared error.

    Parameters
    ----------
    confidence, right : (N,) array
        As in `reliability`.
    bins : int
        Number of equal-mass bins.

    Returns
    -------
    dict of str to float
        ece, ece_corrected, rms_corrected; NaN without rows.

    References
    ----------
    .. [1] Naeini MP, Cooper GF, Hauskrecht M. AAAI 2015:2901-2907 (ECE).
    .. [2] Kumar A, Liang PS, Ma T. Verified uncertainty calibration. NeurIPS 2019,
       arXiv:1909.10155 (equal-mass bins, both corrections).
    .. [3] Broecker J. Clim Dyn 2012;39:655-667 (unbiased squared error).
    """
    table = reliability(confidence, right, bins=bins)
    if not table:
        return dict.fromkeys(("ece", "ece_corrected", "rms_corrected"), float("nan"))
    joints = np.array([b.joints for b in table], np.float64)
    share = np.array([b.share_right for b in table])
    gap = np.abs(np.array([b.confidence for b in table]) - share)
    weight = joints / joints.sum()
    variance = share * (1.0 - share) / np.maximum(joints - 1.0, 1.0)
    noise = _expected_absolute(gap, np.sqrt(share * (1.0 - share) / joints)) - gap
    squared = float((weight * (gap**2 - variance)).sum())
    return {
        "ece": float((weight * gap).sum()),
        "ece_corrected": max(0.0, float((weight * (gap - noise)).sum())),
        "rms_corrected": float(np.sqrt(max(0.0, squared))),
    }


def top_label(
    truth: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of the most probable grade, and whether it is true.

    Parameters
    ----------
    truth : (N,) int array
        True grades.
    probabilities : (N, G) float array
        Probability of each grade.
    """
    table = np.asarray(probabilities, np.float64)
    return table.max(axis=1), table.argmax(axis=1) == np.asarray(truth)


def every_grade(
    truth: ArrayLike, probabilities: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of each grade of each joint, and whether it is true."""
    table = np.asarray(probabilities, np.float64)
    grades = np.arange(table.shape[1])
    return table.ravel(), (np.asarray(truth)[:, None] == grades).ravel()


def probability_scores(truth: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Return proper scores of the grade probabilities, 0 = perfect.

    Parameters
    ----------
    truth : (N,) int array
        True grades.
    probabilities : (N, G) float array
        Probability of each grade.

    Returns
    -------
    dict of str to float
        brier (sum over grades), log_loss (natural logarithm) and ranked_probability
        (grades in order, divided by G - 1).

    References
    ----------
    .. [1] Brier GW. Mon Weather Rev 1950;78:1-3.
    .. [2] Epstein ES. J Appl Meteorol 1969;8:985-987 (ranked probability score).
    """
    table = np.asarray(probabilities, np.float64)
    if not table.size:
        return dict.fromkeys(("brier", "log_loss", "ranked_probability"), float("nan"))
    came_true = (np.asarray(truth)[:, None] == np.arange(table.shape[1])).astype(float)
    likelihood = table[np.arange(len(table)), np.asarray(truth, np.int64)]
    steps = np.cumsum(table - came_true, axis=1)[:, :-1]
    return {
        "brier": float(((table - came_true) ** 2).sum(axis=1).mean()),
        "log_loss": float(-np.log(np.maximum(likelihood, 1e-12)).mean()),
        "ranked_probability": float((steps**2).mean(axis=1).mean()),
    }


def set_statistics(truth: ArrayLike, sets: Sequence[Sequence[int]]) -> dict[str, float]:
    """Return how often grade sets hold the truth, and how large they are.

    Parameters
    ----------
    truth : (N,) int array
        True grades.
    sets : (N,) sequence of sequences of int
        Grades in each set.

    Returns
    -------
    dict of str to float
        coverage, mean_size, single_share; NaN without rows.
    """
    grades = np.asarray(truth).tolist()
    if not grades:
        return dict.fromkeys(("coverage", "mean_size", "single_share"), float("nan"))
    held = [grade in allowed for grade, allowed in zip(grades, sets, strict=True)]
    sizes = np.array([len(allowed) for allowed in sets])
    return {
        "coverage": float(np.mean(held)),
        "mean_size": float(sizes.mean()),
        "single_share": float((sizes == 1).mean()),
    }


def _expected_absolute(
    mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of |X| for normal X (the folded normal distribution)."""
    safe = np.maximum(deviation, 1e-12)
    ratio = mean / safe
    density = safe * np.sqrt(2.0 / np.pi) * np.exp(-(ratio**2) / 2.0)
    folded: NDArray[np.float64] = density + mean * special.erf(ratio / np.sqrt(2.0))
    return folded
