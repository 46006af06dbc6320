"""Lesions as far as the network is believed: thresholds, small and faint pieces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from facetgrade.anatomy import Lesion
from facetgrade.segment.settings import BeliefSettings

DOUBTFUL = np.float32(0.45)  # no mask holds it, the upper end of an interval does
_EVERY_NEIGHBOR = np.ones((3, 3, 3), bool)


def doubt_lesions(
    lesions: Mapping[Lesion, NDArray[np.float32]],
    belief: Mapping[Lesion, BeliefSettings],
    voxel_mm3: float,
) -> dict[Lesion, NDArray[np.float32]]:
    """Move thresholds to one half, lower pieces that are more likely noise.

    Parameters
    ----------
    lesions : mapping of Lesion to (H, R, C) float32 ndarray
        Probabilities.
    belief : mapping of Lesion to BeliefSettings
        When each lesion is believed; those not named are taken as they are.
    voxel_mm3 : float
        Volume of a voxel.

    Returns
    -------
    dict of Lesion to (H, R, C) float32 ndarray
        With doubtful pieces just below one half, so that masks leave them out.
    """
    return {
        lesion: _doubted(probability, belief[lesion], voxel_mm3)
        if lesion in belief
        else probability
        for lesion, probability in lesions.items()
    }


def _shifted(probability: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Shift log odds so that the threshold becomes one half."""
    if threshold == 0.5:
        return probability
    shifted = special.expit(special.logit(probability) - special.logit(threshold))
    return np.asarray(shifted, np.float32)


def _doubted(
    probability: NDArray[np.float32], belief: BeliefSettings, voxel_mm3: float
) -> NDArray[np.float32]:
    """Move the threshold of one lesion and lower its small and faint pieces."""
    probability = _shifted(probability, belief.threshold)
    labels, count = ndimage.label(probability >= 0.5, _EVERY_NEIGHBOR)
    if count == 0:
        return probability
    pieces = np.arange(1, count + 1)
    volume_mm3 = np.bincount(labels.ravel())[1:] * voxel_mm3
    mean = np.asarray(ndimage.mean(probability, labels, pieces))
    doubtful = np.zeros(count + 1, bool)
    doubtful[1:] = volume_mm3 < belief.smallest_mm3
    doubtful[1:] |= mean < belief.least_mean_probability
    lowered = np.minimum(probability, DOUBTFUL)
    return np.where(doubtful[labels], lowered, probability).astype(np.float32)
