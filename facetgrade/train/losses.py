"""Losses of localizer and segmenter: tensors in, one number out.

Every sum over cases passes `batch_sum`, so that several processes with a part of the
batch each have the loss of the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from facetgrade.train.processes import batch_sum

HEATMAP_WEIGHT = 60.0
UNLIKELY = -1e4  # as a logarithm
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
    return batch_sum(loss) / batch_sum(weight.sum()).clamp(min=1.0)


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
    entropy = batch_mean(entropy, valid)
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
    entropy = batch_mean(entropy, valid)
    dice = _dice_loss(logits.sigmoid() * valid, target * valid)
    return LESION_ENTROPY * entropy + dice


def partial_class_loss(
    logits: Tensor, labels: Tensor, valid: Tensor, known: Tensor
) -> Tensor:
    """Return `class_loss` for readers who outlined some of the classes only.

    A voxel without label belongs to any of the classes that were not looked for: their
    probabilities are added before the logarithm. Dice is taken of the known classes.

    Parameters
    ----------
    logits : (B, K, ...) float tensor
        Background is class 0.
    labels : (B, ...) long tensor
        Class of each voxel, 0 where none was outlined.
    valid : (B, ...) bool tensor
        False where nothing is known.
    known : (B, K) bool tensor
        Classes that were looked for; all of them gives `class_loss`.

    References
    ----------
    .. [1] Fidon L, et al. Label-set loss functions for partial supervision. MICCAI
       2021, doi 10.1007/978-3-030-87196-3_60.
    """
    shape = (*known.shape, *[1] * (logits.ndim - 2))
    logs = logits.log_softmax(dim=1)
    others = logs.masked_fill(known.view(shape), UNLIKELY).logsumexp(dim=1)
    own = logs.gather(1, labels[:, None])[:, 0]
    is_known = known.gather(1, labels.flatten(1)).view(labels.shape)
    entropy = batch_mean(-torch.where(is_known, own, others), valid)
    counted = (valid[:, None] & known.view(shape))[:, 1:]
    truth = functional.one_hot(labels, logits.shape[1]).movedim(-1, 1)[:, 1:]
    probability = logs.exp()[:, 1:] * counted
    return entropy + _dice_loss(probability, truth.to(logs.dtype) * counted)


def batch_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the valid voxels of the batch of all processes."""
    total = batch_sum((values * valid).sum())
    return total / batch_sum(valid.sum()).clamp(min=1)


def _dice_loss(probability: Tensor, truth: Tensor) -> Tensor:
    """Average 1 - Dice over the classes that the batch holds."""
    axes = [0, *range(2, probability.ndim)]
    probability, truth = probability.float(), truth.float()
    overlap = batch_sum((probability * truth).sum(axes))
    size = batch_sum((probability + truth).sum(axes))
    held = batch_sum(truth.sum(axes)) > 0
    dice = (2.0 * overlap + 1.0) / (size + 1.0)
    return torch.where(held, 1.0 - dice, 0.0).sum() / held.sum().clamp(min=1)
