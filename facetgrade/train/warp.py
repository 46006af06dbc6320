"""Turn, stretch and bend a joint and its truth alike: few cases, more shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.nn import functional

from facetgrade.segment.patches import GRID_SHAPE, GRID_SPACING_MM
from facetgrade.train.settings import RenderSettings

KNOTS = (3, 5, 5)  # of the bending along each axis, 22, 12 and 12 mm apart
SIZE_MM = np.array(GRID_SHAPE) * np.array(GRID_SPACING_MM)


@dataclass(frozen=True, eq=False, slots=True)
class Warp:
    """Where each voxel of the joint grid is read from.

    Attributes
    ----------
    places : (1, H, R, C, 3) float32 tensor
        As `torch.nn.functional.grid_sample` takes them: C, R, H from -1 to 1.
    """

    places: Tensor

    def linear(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample (K, H, R, C) values between voxels, 0 outside."""
        return self._sample(values, "bilinear")

    def nearest(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample (K, H, R, C) labels, 0 outside."""
        return self._sample(values, "nearest")

    def _sample(self, values: NDArray[np.float32], mode: str) -> NDArray[np.float32]:
        """Resample values on the places."""
        source = torch.from_numpy(np.ascontiguousarray(values))[None]
        drawn = functional.grid_sample(source, self.places, mode, align_corners=False)
        return drawn[0].numpy()


def draw_warp(render: RenderSettings | None, rng: np.random.Generator) -> Warp | None:
    """Draw how a joint is seen: turned, stretched along its axes, moved, bent.

    Parameters
    ----------
    render : RenderSettings or None
        Its largest angle, range of factors, largest shift and bend, and their share.
    rng : numpy.random.Generator
        Source of everything that is drawn.

    Returns
    -------
    Warp or None
        None, with nothing drawn, where joints stay as they are.
    """
    if render is None or _keeps_shape(render):
        return None
    if render.shape_share < 1 and rng.random() >= render.shape_share:
        return None
    turn = Rotation.from_euler(
        "xyz", rng.uniform(-1, 1, 3) * render.rotation_deg, degrees=True
    ).as_matrix()
    stretch = rng.uniform(*render.scale, 3)
    shift_mm = rng.uniform(-1, 1, 3) * render.shift_mm
    ends = [(n - 1) / n for n in GRID_SHAPE]  # centers of the outer voxels
    steps = [np.linspace(-e, e, n) for e, n in zip(ends, GRID_SHAPE, strict=True)]
    half_mm = SIZE_MM / 2.0
    points_mm = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1) * half_mm
    bend_mm = rng.uniform(-1, 1, (3, *KNOTS)) * render.bend_mm
    bent_mm = functional.interpolate(
        torch.from_numpy(bend_mm)[None],
        GRID_SHAPE,
        mode="trilinear",
        align_corners=True,
    )[0].numpy()
    moved_mm = (points_mm / stretch) @ turn.T + shift_mm + np.moveaxis(bent_mm, 0, -1)
    places = np.ascontiguousarray((moved_mm / half_mm)[..., ::-1], np.float32)
    return Warp(torch.from_numpy(places)[None])


def _keeps_shape(render: RenderSettings) -> bool:
    """Tell whether nothing is to be turned, stretched, moved or bent."""
    largest = (render.rotation_deg, render.shift_mm, render.bend_mm)
    return not any(largest) and render.scale == (1.0, 1.0)
