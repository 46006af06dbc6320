"""Probabilities at which masks and the ends of intervals are measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MASK_PROBABILITY = 0.5


def shift_threshold(
    probability: NDArray[np.float32], threshold: float
) -> NDArray[np.float32]:
    """Shift logits so that `threshold` becomes 0.5; 0 and 1 stay as they are.

    Parameters
    ----------
    probability : float32 ndarray
        In [0, 1].
    threshold : float
        Above 0.5 makes probabilities smaller, below larger.

    Returns
    -------
    float32 ndarray
        In [0, 1], of the same shape.
    """
    for_it = probability * (1.0 - threshold)
    against = (1.0 - probability) * threshold
    return np.asarray(for_it / (for_it + against), np.float32)


def shift_back(probability: float, threshold: float) -> float:
    """Return the probability that `shift_threshold` turns into another one.

    Parameters
    ----------
    probability : float
        After the shift, in (0, 1).
    threshold : float
        As given to `shift_threshold`.
    """
    if threshold == MASK_PROBABILITY:
        return probability
    for_it = probability * threshold
    return for_it / (for_it + (1.0 - probability) * (1.0 - threshold))
