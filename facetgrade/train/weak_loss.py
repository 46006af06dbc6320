"""A loss for joints of which only the grade is known.

The rules grade by extents that cannot be differentiated. Here each question of the
rules has a soft answer between 0 and 1, made of the predicted probabilities:

- more fluid than a normal joint holds: mean of the most probable voxels of effusion
  that lie in blocks of 1.4 mm, as many as fill 10 mm3;
- edema: noisy-or of soft-tissue edema (as many voxels as fill 30 mm3) and marrow edema
  in the articular processes (the same);
- a majority of the perimeter: share of the 24 sectors around the joint, weighted by
  their soft tissue, in which edema is seen over 30 % of the joint's height;
- extension: edema in foramen, flavum, pedicle, transverse process or body, 30 mm3.

A grade answers some of the questions (`ANSWERS`); the loss is the cross entropy of
those. Volumes and shares are those of grade.toml, so that probabilities which satisfy
the loss also satisfy the rules. Structures are taken as the network sees them: the
grade moves lesions, not bones.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facetgrade.anatomy import Lesion, Structure
from facetgrade.segment.patches import GRID_SPACING_MM
from facetgrade.train.processes import batch_sum

UNKNOWN = -1.0
# by grade: fluid, edema, majority, extension; the reading charter is the strict one
ANSWERS = (
    (0.0, 0.0, UNKNOWN, UNKNOWN),
    (1.0, 0.0, UNKNOWN, UNKNOWN),
    (UNKNOWN, 1.0, 0.0, UNKNOWN),
    (UNKNOWN, 1.0, 1.0, 0.0),
    (UNKNOWN, 1.0, 1.0, 1.0),
)
FLUID_MM3, EDEMA_MM3, EXTENSION_MM3 = 10.0, 30.0, 30.0
HALF_HEIGHT_MM, RADIUS_MM = 10.0, 18.0
INNER_MM, JOINT_HALF_HEIGHT_MM = 4.0, 8.0
SECTORS, SECTOR_VOXELS = 24, 2
HEIGHT_SHARE, HEIGHT_SOFTNESS = 0.30, 0.08
MAJORITY, MAJORITY_SOFTNESS = 0.50, 0.10
SITES = (
    Structure.FORAMEN,
    Structure.LIGAMENTUM_FLAVUM,
    Structure.PEDICLE,
    Structure.TRANSVERSE_PROCESS,
    Structure.VERTEBRAL_BODY,
)
_STRUCTURES = len(Structure)
_SURE = 1e-4


def grade_loss(logits: Tensor, grades: Tensor, seen: Tensor) -> Tensor:
    """Return the cross entropy of the questions that known grades answer.

    Parameters
    ----------
    logits : (B, 17, H, R, C) float tensor
        Structures, then lesions, on the joint's grid.
    grades : (B,) long tensor
        0-4; negative where no grade counts.
    seen : (B, 4, H, R, C) bool tensor
        Where the contrast can show each lesion.

    Returns
    -------
    float tensor
        Mean over the joints with a grade, of all processes; 0 without any.
    """
    total = logits.sum() * 0.0
    graded = [k for k, grade in enumerate(grades.tolist()) if grade >= 0]
    for k in graded:
        answers = soft_answers(logits[k], seen[k]).clamp(_SURE, 1.0 - _SURE)
        wanted = answers.new_tensor(ANSWERS[int(grades[k])])
        asked = wanted != UNKNOWN
        total = total + functional.binary_cross_entropy(answers[asked], wanted[asked])
    count = batch_sum(total.new_tensor(float(len(graded))))
    return batch_sum(total) / count.clamp(min=1.0)


def soft_answers(logits: Tensor, seen: Tensor) -> Tensor:
    """Answer the questions of the rules for one joint.

    Parameters
    ----------
    logits : (17, H, R, C) float tensor
        As for `grade_loss`.
    seen : (4, H, R, C) bool tensor
        As for `grade_loss`.

    Returns
    -------
    (4,) float tensor
        Fluid, edema, majority, extension, each 0-1.
    """
    shape = (logits.shape[1], logits.shape[2], logits.shape[3])
    near, heights, sectors = _places(shape, logits.device)
    structures = logits[:_STRUCTURES].softmax(dim=0).detach()
    lesions = logits[_STRUCTURES:].sigmoid() * seen
    effusion, soft, marrow = (
        lesions[list(Lesion).index(kind)]
        for kind in (Lesion.EFFUSION, Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA)
    )
    thick = -functional.max_pool3d(-effusion[None], (1, 2, 2), 1)[0]
    processes = (
        structures[Structure.SUPERIOR_ARTICULAR_PROCESS]
        + structures[Structure.INFERIOR_ARTICULAR_PROCESS]
    )
    in_soft_tissue = _presence(soft * near, EDEMA_MM3)
    in_processes = _presence(marrow * processes * near, EDEMA_MM3)
    either = soft + marrow - soft * marrow
    sites = structures[list(SITES)].sum(dim=0)
    share = _perimeter_share(soft[heights], structures[0][heights], sectors)
    return torch.stack(
        [
            _presence(thick * near[:, 1:, 1:], FLUID_MM3),
            1.0 - (1.0 - in_soft_tissue) * (1.0 - in_processes),
            torch.sigmoid((share - MAJORITY) / MAJORITY_SOFTNESS),
            _presence(either * sites, EXTENSION_MM3),
        ]
    )


def _presence(probability: Tensor, smallest_mm3: float) -> Tensor:
    """Return the mean of the most probable voxels that fill a volume."""
    count = math.ceil(smallest_mm3 / float(np.prod(GRID_SPACING_MM)))
    flat = probability.flatten()
    return flat.topk(min(count, flat.numel())).values.mean()


def _perimeter_share(soft: Tensor, tissue: Tensor, sectors: list[Tensor]) -> Tensor:
    """Return the share of the perimeter with edema beside it.

    Parameters
    ----------
    soft, tissue : (H, R, C) float tensor
        Probability of soft-tissue edema and of soft tissue, planes of the joint.
    sectors : list of (V,) long tensor
        Indices into the flattened plane of each sector.
    """
    edema, around = soft.flatten(1), tissue.flatten(1)
    abnormal, weight = [], []
    for sector in sectors:
        planes = edema[:, sector].topk(SECTOR_VOXELS, dim=1).values.mean(dim=1)
        share = planes.mean() - HEIGHT_SHARE
        abnormal.append(torch.sigmoid(share / HEIGHT_SOFTNESS))
        weight.append(around[:, sector].mean())
    weights = torch.stack(weight)
    return (torch.stack(abnormal) * weights).sum() / weights.sum().clamp(min=1e-3)


def _places(
    shape: tuple[int, int, int], device: torch.device
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Return what is near the joint, the planes of the joint, and the sectors."""
    offsets = [
        (torch.arange(n, device=device) - (n - 1) / 2) * mm
        for n, mm in zip(shape, GRID_SPACING_MM, strict=True)
    ]
    height, posterior, lateral = torch.meshgrid(*offsets, indexing="ij")
    radius = (posterior**2 + lateral**2).sqrt()
    near = (height.abs() <= HALF_HEIGHT_MM) & (radius <= RADIUS_MM)
    planes = (offsets[0].abs() <= JOINT_HALF_HEIGHT_MM).nonzero()[:, 0]
    angle = torch.atan2(lateral[0], posterior[0]) % (2 * math.pi)
    number = (angle / (2 * math.pi) * SECTORS).long().clamp(max=SECTORS - 1)
    ring = (radius[0] >= INNER_MM) & (radius[0] <= RADIUS_MM)
    sectors = [((number == k) & ring).flatten().nonzero()[:, 0] for k in range(SECTORS)]
    return near, planes, sectors
