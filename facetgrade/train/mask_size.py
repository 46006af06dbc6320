"""How large the lesions of a trained segmenter are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from facetgrade.anatomy import Lesion, Structure
from facetgrade.train.processes import device_of, to_device

ENOUGH_VOXELS = 2000
STRUCTURES = len(Structure)


def match_mask_size(
    network: nn.Module, items: list[dict[str, Tensor]], like: nn.Module | None = None
) -> None:
    """Shift each lesion's logit until masks are as large as wanted.

    Dice makes uncertain lesions too large. After the shift as many voxels of all items
    together pass 0.5 as truly are abnormal, or as pass with another network. A lesion
    that fills fewer than 2000 voxels keeps its logit.

    Parameters
    ----------
    network : Module
        A joint segmenter, whose `head.bias` is changed in place.
    items : list of dict
        Drawn joints, from `SegmenterDataset` or `draw_annotated`.
    like : Module or None
        Another joint segmenter, or None for the truth.
    """
    logits, wanted = _lesion_logits(network, items)
    if like is not None:
        wanted = [int((one > 0.0).sum()) for one in _lesion_logits(like, items)[0]]
    bias = network.get_parameter("head.bias")
    with torch.no_grad():
        for k, (one, count) in enumerate(zip(logits, wanted, strict=True)):
            if count >= ENOUGH_VOXELS:
                descending = one.sort(descending=True).values
                bias[STRUCTURES + k] -= descending[min(count, len(one) - 1)]


def _lesion_logits(
    network: nn.Module, items: list[dict[str, Tensor]]
) -> tuple[list[Tensor], list[int]]:
    """Return every lesion's logits where it can be seen, and its true voxels."""
    network.eval()
    logits: list[list[Tensor]] = [[torch.empty(0)] for _ in Lesion]
    abnormal = [0 for _ in Lesion]
    for item in items:
        batch = to_device(default_collate([item]), device_of(network))
        with torch.inference_mode():
            answer = network(batch["stacks"], batch["contrast"], batch["present"])
        for k in range(len(Lesion)):
            valid = batch["valid"][0, k]
            logits[k].append(answer[0, STRUCTURES + k][valid].float().cpu())
            abnormal[k] += int((batch["lesions"][0, k][valid] >= 0.5).sum())
    return [torch.cat(parts) for parts in logits], abnormal
