"""Outlines and volumes against truth: Dice, surface distances, limits of agreement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage, stats


@dataclass(frozen=True, slots=True)
class SurfaceAgreement:
    """Distances between two outlines.

    Attributes
    ----------
    mean_mm : float
        Mean of the two directed mean surface distances.
    hd95_mm : float
        Larger of the two directed 95th percentiles.
    normalized_surface_dice : float
        Share of both surfaces within the tolerance of the other.
    """

    mean_mm: float
    hd95_mm: float
    normalized_surface_dice: float


@dataclass(frozen=True, slots=True)
class LimitsOfAgreement:
    """Bias and 95 % limits of agreement.

    Attributes
    ----------
    bias, low, high : float
        Differences, or ratios predicted / true for `ratio_limits`.
    pairs : int
        Number of pairs behind them.
    """

    bias: float
    low: float
    high: float
    pairs: int


NO_SURFACES = SurfaceAgreement(float("nan"), float("nan"), float("nan"))


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Return twice the shared volume over the summed volumes.

    Parameters
    ----------
    predicted, truth : (S, R, C) bool ndarray
        Masks on one grid.

    Returns
    -------
    float
        0-1; NaN when both are empty.
    """
    volume = int(predicted.sum()) + int(truth.sum())
    if not volume:
        return float("nan")
    return 2.0 * float((predicted & truth).sum()) / volume


def surface_agreement(
    predicted: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    *,
    spacing_mm: ArrayLike,
    tolerance_mm: float = 1.0,
) -> SurfaceAgreement:
    """Measure distances between the border voxels of two masks.

    Parameters
    ----------
    predicted, truth : (S, R, C) bool ndarray
        Masks on one grid.
    spacing_mm : (3,) array
        Voxel distances along (slice, row, column).
    tolerance_mm : float
        Distance at which surfaces count as equal in the normalized surface Dice.

    Returns
    -------
    SurfaceAgreement
        All NaN when a mask is empty.

    References
    ----------
    .. [1] Nikolov S et al. J Med Internet Res 2021;23:e26151 (normalized surface
       Dice), with border voxels in place of surface elements.
    """
    if not (predicted.any() and truth.any()):
        return NO_SURFACES
    borders = _border(predicted), _border(truth)
    spacing = np.asarray(spacing_mm, np.float64)
    to_truth = ndimage.distance_transform_edt(~borders[1], sampling=spacing)
    to_predicted = ndimage.distance_transform_edt(~borders[0], sampling=spacing)
    there, back = to_truth[borders[0]], to_predicted[borders[1]]
    near = (there <= tolerance_mm).sum() + (back <= tolerance_mm).sum()
    return SurfaceAgreement(
        mean_mm=float((there.mean() + back.mean()) / 2.0),
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        normalized_surface_dice=float(near / (there.size + back.size)),
    )


def difference_limits(predicted: ArrayLike, truth: ArrayLike) -> LimitsOfAgreement:
    """Return bias and 95 % limits of agreement of differences.

    Parameters
    ----------
    predicted, truth : (N,) float array
        Paired measurements; pairs with NaN are left out.

    Returns
    -------
    LimitsOfAgreement
        Mean difference and mean +- 1.96 standard deviations; NaN below two pairs.

    References
    ----------
    .. [1] Bland JM, Altman DG. Lancet 1986;327:307-310,
       doi:10.1016/S0140-6736(86)90837-8.
    """
    differences = np.asarray(predicted, float) - np.asarray(truth, float)
    differences = differences[np.isfinite(differences)]
    if differences.size < 2:
        nan = float("nan")
        return LimitsOfAgreement(nan, nan, nan, int(differences.size))
    bias, spread = float(differences.mean()), float(differences.std(ddof=1))
    return LimitsOfAgreement(
        bias, bias - 1.96 * spread, bias + 1.96 * spread, int(differences.size)
    )


def ratio_limits(
    predicted: ArrayLike, truth: ArrayLike, *, floor: float
) -> LimitsOfAgreement:
    """Return bias and limits of agreement as ratios, from logarithms.

    Volumes differ by factors, not by cubic millimeters: the logarithm makes the
    spread even. Where either volume is under `floor`, presence and not size is at
    stake; such pairs are left out here and counted by `presence_shares`.

    Parameters
    ----------
    predicted, truth : (N,) float array
        Paired volumes.
    floor : float
        Smallest volume that counts as present.

    Returns
    -------
    LimitsOfAgreement
        Ratios predicted / true, 1 = no bias.

    References
    ----------
    .. [1] Bland JM, Altman DG. Stat Methods Med Res 1999;8:135-160, section 3.1
       (logarithmic transformation).
    """
    found, actual = np.asarray(predicted, float), np.asarray(truth, float)
    present = (found >= floor) & (actual >= floor)
    limits = difference_limits(np.log(found[present]), np.log(actual[present]))
    return LimitsOfAgreement(
        float(np.exp(limits.bias)),
        float(np.exp(limits.low)),
        float(np.exp(limits.high)),
        limits.pairs,
    )


def presence_shares(
    predicted: ArrayLike, truth: ArrayLike, *, floor: float
) -> tuple[float, float]:
    """Return sensitivity and specificity of "there is at least `floor`"."""
    found = np.asarray(predicted, float) >= floor
    actual = np.asarray(truth, float) >= floor
    sensitivity = float(found[actual].mean()) if actual.any() else float("nan")
    specificity = float((~found[~actual]).mean()) if (~actual).any() else float("nan")
    return sensitivity, specificity


def spearman(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return Spearman's rank correlation over complete pairs.

    Returns
    -------
    float
        NaN below three pairs or when one side is constant.

    References
    ----------
    .. [1] Spearman C. Am J Psychol 1904;15:72-101; ties get their mean rank.
    """
    found, actual = np.asarray(predicted, float), np.asarray(truth, float)
    complete = np.isfinite(found) & np.isfinite(actual)
    if complete.sum() < 3:
        return float("nan")
    ranks = stats.rankdata(np.stack([found[complete], actual[complete]]), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    scale = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum() / scale) if scale else float("nan")


def _border(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the voxels of the mask that touch its outside by a face."""
    padded = np.pad(mask, 1)
    inner: NDArray[np.bool_] = ndimage.binary_erosion(padded)[1:-1, 1:-1, 1:-1]
    return mask & ~inner
