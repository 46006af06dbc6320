"""Run the segmenter on many joints at once and turn logits into labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from facetgrade.anatomy import Structure
from facetgrade.segment.patches import contrast_index
from facetgrade.study import Sequence as Contrast

Network = Callable[..., NDArray[np.float32]]
Question = Sequence[tuple[NDArray[np.float32], Contrast]]


@dataclass(frozen=True, eq=False, slots=True)
class Reading:
    """What the network says of one joint.

    Attributes
    ----------
    structures : (H, R, C) uint8 ndarray
        Most probable `Structure` of each voxel.
    confidence : (H, R, C) float32 ndarray
        Probability of that structure.
    lesions : (4, H, R, C) float32 ndarray
        Probability of each lesion, in the order of `Lesion`.
    """

    structures: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    lesions: NDArray[np.float32]


def read_joints(
    questions: Sequence[Question], network: Network, *, batch: int
) -> list[Reading]:
    """Segment joints, several per forward pass.

    Parameters
    ----------
    questions : sequence of sequence of (stack, contrast)
        The sampled stacks of each joint; at least one each.
    network : callable
        Maps stacks, contrasts and presence to logits as `JointSegmenter` does.
    batch : int
        Joints per forward pass; those with equal numbers of stacks go together.
    """
    readings: dict[int, Reading] = {}
    order = sorted(range(len(questions)), key=lambda k: len(questions[k]))
    for start in range(0, len(order), batch):
        group = order[start : start + batch]
        logits = _forward([questions[k] for k in group], network)
        readings |= {k: _read(logits[n]) for n, k in enumerate(group)}
    return [readings[k] for k in range(len(questions))]


def _forward(questions: Sequence[Question], network: Network) -> NDArray[np.float32]:
    """Pad to the same number of stacks and run the network."""
    most = max(len(question) for question in questions)
    shape = questions[0][0][0].shape
    stacks = np.zeros((len(questions), most, *shape), np.float32)
    contrast = np.zeros((len(questions), most), np.int64)
    present = np.zeros((len(questions), most), bool)
    for row, question in enumerate(questions):
        for place, (stack, kind) in enumerate(question):
            stacks[row, place] = stack
            contrast[row, place] = contrast_index(kind)
            present[row, place] = True
    return network(stacks, contrast, present)


def _read(logits: NDArray[np.float32]) -> Reading:
    """Turn the logits of one joint into labels and probabilities."""
    split = len(Structure)
    structures, highest = logits[:split], logits[:split].max(axis=0)
    return Reading(
        structures=structures.argmax(axis=0).astype(np.uint8),
        confidence=1.0 / np.exp(structures - highest).sum(axis=0),
        lesions=special.expit(logits[split:]),
    )
