"""Networks of localizer and segmenter: tensors in, tensors out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def build(architecture: str, **sizes: Any) -> nn.Module:
    """Build a network by the name that a weight file carries.

    Parameters
    ----------
    architecture : str
        ``spine-localizer`` or ``joint-segmenter``.
    **sizes
        Keyword arguments of that network.

    Raises
    ------
    ValueError
        If the architecture is unknown.
    """
    known: dict[str, type[nn.Module]] = {
        "spine-localizer": SpineLocalizer,
        "joint-segmenter": JointSegmenter,
    }
    if architecture not in known:
        raise ValueError(f"architecture must be one of {sorted(known)}: {architecture}")
    return known[architecture](**sizes)


class ConvBlock(nn.Module):
    """Two convolutions with group normalization and a residual connection."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int, int] = (3, 3, 3)
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.first = nn.Conv3d(inputs, outputs, kernel, padding=padding)
        self.norm = nn.GroupNorm(min(8, outputs // 2), outputs)
        self.second = nn.Conv3d(outputs, outputs, kernel, padding=padding)
        self.norm_second = nn.GroupNorm(min(8, outputs // 2), outputs)
        self.skip = nn.Conv3d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, inputs, ...) to (B, outputs, ...) on the same grid."""
        kept = features if self.skip is None else self.skip(features)
        hidden = functional.silu(self.norm(self.first(features)))
        hidden = self.norm_second(self.second(hidden))
        result: Tensor = functional.silu(hidden + kept)
        return result


class Encoder(nn.Module):
    """Features at every scale, finest first."""

    def __init__(
        self,
        inputs: int,
        channels: Sequence[int],
        strides: Sequence[tuple[int, int, int]],
        fine_kernel: tuple[int, int, int],
    ) -> None:
        super().__init__()
        self.stem = ConvBlock(inputs, channels[0], fine_kernel)
        self.downs = nn.ModuleList(
            nn.Conv3d(above, below, stride, stride=stride)
            for above, below, stride in zip(
                channels[:-1], channels[1:], strides, strict=True
            )
        )
        self.blocks = nn.ModuleList(ConvBlock(size, size) for size in channels[1:])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map (B, inputs, ...) to one feature map per scale."""
        scales = [self.stem(image)]
        for down, block in zip(self.downs, self.blocks, strict=True):
            scales.append(block(down(scales[-1])))
        return scales


class Decoder(nn.Module):
    """Features of the finest grid from features of every scale."""

    def __init__(
        self, channels: Sequence[int], fine_kernel: tuple[int, int, int]
    ) -> None:
        super().__init__()
        pairs = list(pairwise(channels))[::-1]
        self.laterals = nn.ModuleList(
            nn.Conv3d(below, above, 1) for above, below in pairs
        )
        self.blocks = nn.ModuleList(
            ConvBlock(above, above, fine_kernel if above == channels[0] else (3, 3, 3))
            for above, _ in pairs
        )

    def forward(self, scales: list[Tensor]) -> Tensor:
        """Map features, finest first, to (B, channels[0], ...)."""
        hidden = scales[-1]
        for lateral, block, fine in zip(
            self.laterals, self.blocks, scales[-2::-1], strict=True
        ):
            hidden = functional.interpolate(
                lateral(hidden), size=fine.shape[2:], mode="trilinear"
            )
            hidden = block(hidden + fine)
        return hidden


class SpineLocalizer(nn.Module):
    """Heatmaps of bodies and facet joints and a vote for the rank of each body.

    Reads a (B, 2, X, Z, Y) volume (normalized image, 1 where there is image) at
    4 x 2 x 2 mm and answers on the 4 mm grid (B, 3 + ranks, X, Z/2, Y/2): logits of
    the heatmaps body, left facet, right facet, then of the rank classes, background
    first.
    """

    heatmaps = 3

    def __init__(
        self,
        *,
        channels: Sequence[int] = (24, 48, 96, 128, 160),
        ranks: int = 10,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv3d(2, channels[0], (3, 4, 4), (1, 2, 2), (1, 1, 1))
        strides: list[tuple[int, int, int]] = [(2, 2, 2)] * (len(channels) - 1)
        self.encoder = Encoder(channels[0], channels, strides, (3, 3, 3))
        self.decoder = Decoder(channels, (3, 3, 3))
        self.head = nn.Conv3d(channels[0], self.heatmaps + ranks, 1)
        nn.init.constant_(self.head.bias[: self.heatmaps], -4.0)  # type: ignore[index]

    def forward(self, volume: Tensor) -> Tensor:
        """Map a volume whose Z and Y are multiples of 32 and X of 16."""
        scales = self.encoder(functional.silu(self.stem(volume)))
        logits: Tensor = self.head(self.decoder(scales))
        return logits


class JointSegmenter(nn.Module):
    """Structures and lesions of one joint from any number of stacks.

    Each stack, resampled to the joint grid, passes a stem that its contrast class
    scales and shifts, and one block at half the in-plane resolution. At both scales the
    stacks are averaged with weights that the network gives per voxel, so that a stack
    counts where it can resolve something. All further blocks see all stacks at once.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] = (16, 32, 64, 96),
        contrasts: int = 6,
        structures: int = 13,
        lesions: int = 4,
        stack_channels: int = 3,
    ) -> None:
        super().__init__()
        self.structures = structures
        fine, halve = (1, 3, 3), (1, 2, 2)
        strides: list[tuple[int, int, int]] = [(2, 2, 2)] * (len(channels) - 2)
        self.contrast = nn.Embedding(contrasts, 2 * channels[0])
        self.stem = nn.Conv3d(stack_channels, channels[0], fine, padding=(0, 1, 1))
        self.down = nn.Conv3d(channels[0], channels[1], halve, stride=halve)
        self.block = ConvBlock(channels[1], channels[1], fine)
        self.weights = nn.ModuleList(nn.Conv3d(size, 1, 1) for size in channels[:2])
        self.encoder = Encoder(channels[1], channels[1:], strides, (3, 3, 3))
        self.decoder = Decoder(channels, fine)
        self.head = nn.Conv3d(channels[0], structures + lesions, 1)
        nn.init.constant_(self.head.bias[structures:], -3.0)  # type: ignore[index]

    def forward(self, stacks: Tensor, contrast: Tensor, present: Tensor) -> Tensor:
        """Segment joints.

        Parameters
        ----------
        stacks : (B, S, 3, H, R, C) float tensor
            Per stack: normalized image, coverage 0-1, closeness to a slice 0-1.
        contrast : (B, S) long tensor
            Index of the contrast class.
        present : (B, S) bool tensor
            False for padding; at least one stack per joint is true.

        Returns
        -------
        (B, structures + lesions, H, R, C) float tensor
            Logits: softmax over structures, sigmoid for each lesion.
        """
        style = self.contrast(contrast[present])[:, :, None, None, None]
        scale, shift = style.chunk(2, dim=1)
        hidden = self.stem(stacks[present])
        scale, shift = (1.0 + scale).to(hidden.dtype), shift.to(hidden.dtype)
        hidden = functional.silu(torch.addcmul(shift, hidden, scale))
        scales = [hidden, self.block(self.down(hidden))]
        counts = present.sum(dim=1).tolist()
        finest, fine = (
            average_stacks(scale, weight(scale), counts)
            for scale, weight in zip(scales, self.weights, strict=True)
        )
        logits: Tensor = self.head(self.decoder([finest, *self.encoder(fine)]))
        return logits


def average_stacks(features: Tensor, weight: Tensor, counts: list[int]) -> Tensor:
    """Average the stacks of each joint with a softmax of their weights.

    Parameters
    ----------
    features : (N, C, ...) float tensor
        Stacks of all joints, one after the other.
    weight : (N, 1, ...) float tensor
        Logit of the weight of each voxel.
    counts : list of int
        Number of stacks of each joint, summing to N.

    Returns
    -------
    (len(counts), C, ...) float tensor
        One map per joint.
    """
    joints = zip(
        torch.split(features, counts), torch.split(weight, counts), strict=True
    )
    return torch.stack([_weighted_sum(f, w.softmax(dim=0)) for f, w in joints])


def _weighted_sum(features: Tensor, share: Tensor) -> Tensor:
    """Add up stacks in the type of their features, without a copy of all of them."""
    share = share.to(features.dtype)
    total = features[0] * share[0]
    for one, part in zip(features[1:], share[1:], strict=True):
        total = torch.addcmul(total, one, part)
    return total
