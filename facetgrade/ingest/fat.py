"""Fat suppression by comparison with the plain T2 of the same study.

An archive may call a fat-suppressed series just "T2" or "T1". Beside a plain T2 the
pixels tell it: what is bright in muscle and under the skin of the plain T2 is dark in
the other, compared with muscle. The shading of the coil is in both and cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.ingest.canal import CanalView, view_canal
from facetgrade.ingest.settings import PixelRules
from facetgrade.study import Sequence as Contrast
from facetgrade.study import Series

# T1 with fat suppression is hardly ever acquired without contrast agent.
_SUPPRESSED = {Contrast.T1: Contrast.T1_FS_POST, Contrast.T2: Contrast.T2_FS}
_PLAIN = {suppressed: plain for plain, suppressed in _SUPPRESSED.items()}
_KNOWN = {*_SUPPRESSED, *_PLAIN}
_BRIGHT_SHARE = 0.85
_MUSCLE_SHARES = (0.2, 0.7)
_MIN_CELLS = 50

_FloatArray = NDArray[np.float64]


def tell_fat_apart(
    series: Sequence[Series], untold: Sequence[Series], rules: PixelRules
) -> list[Series]:
    """Correct the class of series whose header and description tell nothing of fat.

    Parameters
    ----------
    series : sequence of Series
        Series of one study in one space.
    untold : sequence of Series
        Those of them that may be corrected.
    rules : PixelRules
        How much contrast of fat is lost by suppression.

    Returns
    -------
    list of Series
        The same series in the same order, some of another class.
    """
    plain = [one for one in series if one.sequence is Contrast.T2]
    return [
        _judged(one, [other for other in plain if other is not one], rules)
        if one.sequence in _KNOWN and any(one is other for other in untold)
        else one
        for one in series
    ]


@dataclass(frozen=True, slots=True)
class FatContrast:
    """Fat over muscle of a reference, and what is lost of it in another series.

    Attributes
    ----------
    reference : float
        Natural logarithm of fat over muscle in the reference, without shading; NaN
        when the series have too little in common.
    drop : float
        By how much that of the other series is lower.
    """

    reference: float = float("nan")
    drop: float = float("nan")

    @property
    def loss(self) -> float:
        """Drop as a share of the reference: above 1 fat is darker than muscle."""
        return self.drop / self.reference if self.reference > 0 else float("nan")


def compare_fat(reference: Series, other: Series) -> FatContrast:
    """Compare fat over muscle of two series of the same region.

    Parameters
    ----------
    reference : Series
        Fat is bright in it.
    other : Series
        Any series; cells that only one of them shows are not used.
    """
    views = [view for stack in reference.stacks if (view := view_canal(stack.volume))]
    others = [view for stack in other.stacks if (view := view_canal(stack.volume))]
    drops: dict[str, list[_FloatArray]] = {"fat": [], "muscle": []}
    levels: dict[str, list[_FloatArray]] = {"fat": [], "muscle": []}
    for view in views:
        ratio = view.log - _seen_by(others, view)
        for tissue, cells in zip(drops, _fat_and_muscle(view), strict=True):
            known = cells & np.isfinite(ratio)
            drops[tissue].append(ratio[known])
            levels[tissue].append(view.even[known])
    if not views or min(sum(map(len, found)) for found in drops.values()) < _MIN_CELLS:
        return FatContrast()
    return FatContrast(reference=_difference(levels), drop=_difference(drops))


def _difference(values: dict[str, list[_FloatArray]]) -> float:
    """Return the median of fat less that of muscle."""
    fat, muscle = (np.median(np.concatenate(values[k])) for k in ("fat", "muscle"))
    return float(fat - muscle)


def _judged(one: Series, references: Sequence[Series], rules: PixelRules) -> Series:
    """Give a series the class that its fat shows beside plain T2."""
    losses = [_loss_below(reference, one) for reference in references]
    known = [loss for loss in losses if np.isfinite(loss)]
    if not known:
        return one
    loss = float(np.mean(known))
    changes = _SUPPRESSED if loss >= rules.fat_loss else _PLAIN
    sequence = changes.get(one.sequence, one.sequence)
    if sequence is one.sequence:
        return one
    why = (
        f"pixels: {100 * loss:.0f} % of the contrast of fat over muscle in the plain "
        f"T2 of this study is lost; taken as {sequence}"
    )
    return replace(one, sequence=sequence, evidence=(*one.evidence, why))


def _loss_below(reference: Series, one: Series) -> float:
    """Measure the loss; of two T2 only that with the brighter fat is a reference."""
    found = compare_fat(reference, one)
    if one.sequence is Contrast.T2:
        brighter = found.drop > compare_fat(one, reference).drop
        return found.loss if brighter else float("nan")
    return found.loss


def _fat_and_muscle(view: CanalView) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mark the brightest cells around the canal, and ordinary ones of muscle."""
    known = np.isfinite(view.even)
    around = (view.zones["beside"] | view.zones["back"]) & known
    muscle = view.zones["muscle"] & known
    if not around.any() or not muscle.any():
        return np.zeros_like(known), np.zeros_like(known)
    bright = around & (view.even >= np.quantile(view.even[around], _BRIGHT_SHARE))
    low, high = np.quantile(view.even[muscle], _MUSCLE_SHARES)
    return bright, muscle & (view.even >= low) & (view.even <= high)


def _seen_by(others: Sequence[CanalView], view: CanalView) -> _FloatArray:
    """Return the log brightness of other views at the cells of a view, or NaN."""
    index = np.indices(view.log.shape).reshape(3, -1)
    lps_mm = view.index_to_lps[:3, :3] @ index + view.index_to_lps[:3, 3:]
    seen = np.full(view.log.size, np.nan)
    for other in others:
        to_index = np.linalg.inv(other.index_to_lps)
        places = np.rint(to_index[:3, :3] @ lps_mm + to_index[:3, 3:]).astype(int)
        limits = np.array(other.log.shape)[:, None]
        inside = np.all((places >= 0) & (places < limits), axis=0)
        inside &= np.isnan(seen)
        values = np.where(np.isfinite(other.even), other.log, np.nan)
        seen[inside] = values[tuple(places[:, inside])]
    return seen.reshape(view.log.shape)
