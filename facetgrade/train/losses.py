"""Losses of localizer and segmenter: tensors in, one number out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

HEATMAP_WEIGHT = 60.0
LESION_ENTROPY = 4.0  # lesions fill few voxels: without it Dice alone would decide


def heatmap_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the cross entropy of soft heatmaps, peaks weighted up.

    Parameters
    ----------
    logits, target : (B, K, X, Z, Y) float tensors
        Target in [0, 1], a Gaussian around each point.
    valid : (B, K, X, Z, Y) bool tensor
        False where the truth is unknown.
    """
    weight = (1.0 + HEATMAP_WEIGHT * target) * valid
    loss = functional.binary_cross_entropy_with_logits(
        logits, target, weight, reduction="sum"
    )
    return loss / weight.sum().clamp(min=1.0)


def class_loss(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    """Return cross entropy plus soft Dice of exclusive classes.

    Parameters
    ----------
    logits : (B, K, ...) float tensor
        Background is class 0.
    labels : (B, ...) long tensor
        Class of each voxel.
    valid : (B, ...) bool tensor
        False where the truth is unknown.
    """
    entropy = functional.cross_entropy(logits, labels, reduction="none")
    entropy = (entropy * valid).sum() / valid.sum().clamp(min=1)
    probability = logits.softmax(dim=1) * valid[:, None]
    truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)
    truth = truth.to(probability.dtype) * valid[:, None]
    return entropy + _dice_loss(probability[:, 1:], truth[:, 1:])


def lesion_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return cross entropy plus soft Dice of lesions that may be absent.

    Parameters
    ----------
    logits, target : (B, K, ...) float tensors
        Target is the abnormal fraction of the voxel, 0-1.
    valid : (B, K, ...) bool tensor
        False where the contrast cannot show the lesion or nothing was seen.
    """
    entropy = functional.binary_cross_entropy_with_logits(
        logits, target, reduction="none"
    )
    entropy = (entropy * valid).sum() / valid.sum().clamp(min=1)
    dice = _dice_loss(logits.sigmoid() * valid, target * valid)
    return LESION_ENTROPY * entropy + dice


def _dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Average 1 - Dice over the classes that the batch holds."""
    axes = [0, *range(2, probability.ndim)]
    probability, truth = probability.float(), truth.float()
    overlap = (probability * truth).sum(axes)
    size = (probability + truth).sum(axes)
    held = truth.sum(axes) > 0
    dice = (2.0 * overlap + 1.0) / (size + 1.0)
    return torch.where(held, 1.0 - dice, 0.0).sum() / held.sum().clamp(min=1)
