"""Take over a part of what was learned, so that what was known is not forgotten."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def blend_weights(
    network: nn.Module, before: Mapping[str, Tensor], share: float
) -> None:
    """Move the weights of a trained network back towards those it started from.

    Fine-tuned on few cases, a network loses elsewhere what it gains there. Between the
    weights before and after, most of the gain is kept and little is lost (Wortsman et
    al., Robust fine-tuning of zero-shot models, CVPR 2022).

    Parameters
    ----------
    network : Module
        After training, changed in place; counters are left alone.
    before : mapping of str to Tensor
        State of the network before training.
    share : float
        Of the way from `before` (0) to what was trained (1).
    """
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(before[name].to(value), 1.0 - share)
