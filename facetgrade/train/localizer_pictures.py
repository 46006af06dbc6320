"""Pictures and truth for the localizer, drawn from cached simulated patients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.utils.data import Dataset

from facetgrade.geometry import Volume, VolumeGeometry, resample
from facetgrade.localize.canonical import AXES, CROP_SHAPE, normalize, to_canonical
from facetgrade.localize.heatmaps import half_geometry
from facetgrade.localize.ranks import CLASSES
from facetgrade.simulate.fields import smooth_noise, upsample
from facetgrade.simulate.protocols import FatSuppression, draw_protocol
from facetgrade.simulate.saturation import draw_saturation, saturation_profile
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.series_list import name_at_field
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import (
    draw_subject_tissue,
    physics_signals,
    random_contrast,
)
from facetgrade.train.localizer_cases import LocalizerCase, read_case
from facetgrade.train.settings import RenderSettings

HEATMAP_SIGMA_MM = 5.0
POSTERIOR_SHIFT_MM = 25.0
LUMBAR_BODIES = 6  # from S1 up: lumbar studies are centered on L3
FORWARD = np.array([0.0, -1.0, 0.0])
SMALL_FIELD_SHARE = 0.2
SMALL_FIELD_MM = (90.0, 160.0)
MARROW_SPREAD = 0.1  # of the signal, body to body
FATS = (
    Tissue.SUBCUTANEOUS_FAT,
    Tissue.INTRAMUSCULAR_FAT,
    Tissue.EPIDURAL_FAT,
    Tissue.FORAMINAL_FAT,
    Tissue.ABDOMINAL_FAT,
)
SHIFTED_FAT_SHARE = 0.25  # of the pictures, as the shares below
LARGEST_FAT_SHIFT_MM = 6.0
BRIGHT_FAT_SHARE = 0.2
GHOST_SHARE = 0.2
CORRECTED_COIL_SHARE = 0.4


class LocalizerDataset(Dataset[dict[str, Tensor]]):
    """Endless pictures: item i is drawn from (seed, i)."""

    def __init__(
        self,
        paths: Sequence[Path],
        render: RenderSettings,
        scanner: SimulateSettings,
        seed: int,
    ) -> None:
        self.cases = [read_case(path) for path in paths]
        self.render = render
        self.scanner = scanner
        self.seed = seed

    def __len__(self) -> int:
        """Return a number of items no run reaches."""
        return 1 << 30

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return image (2, X, Z, Y), heatmaps, rank labels and where they hold."""
        rng = np.random.default_rng([self.seed, index])
        case = self.cases[int(rng.integers(len(self.cases)))]
        return draw_picture(case, self.render, self.scanner, rng)


def draw_picture(
    case: LocalizerCase,
    render: RenderSettings,
    scanner: SimulateSettings,
    rng: np.random.Generator,
) -> dict[str, Tensor]:
    """Draw one picture of a patient as a scanner of random habits would give it."""
    grid = _draw_grid(case, render, rng)
    physics = rng.random() < render.physics_share
    means, spreads = (_draw_physics if physics else _draw_random)(scanner, rng)
    image = _draw_contrast(case, means, spreads, rng)
    band = draw_saturation(case.points[0], FORWARD, scanner.scanner, rng)
    if band is not None:
        image *= saturation_profile(band, case.geometry)
    stacks = _draw_stacks(grid, rng)
    canonical, coverage = to_canonical(
        [_observe(image, case.geometry, stack, rng) for stack in stacks], grid
    )
    half = half_geometry(grid)
    rank = resample(case.rank, case.geometry, half, order=0)
    seen = coverage[:, ::2, ::2] | coverage[:, 1::2, 1::2]
    return {
        "image": torch.from_numpy(
            np.stack([normalize(canonical, coverage), coverage.astype(np.float32)])
        ),
        "heatmaps": torch.from_numpy(_heatmaps(case.points, half)),
        "rank": torch.from_numpy(rank.astype(np.int64)),
        "seen": torch.from_numpy(seen),
    }


def _draw_grid(
    case: LocalizerCase, render: RenderSettings, rng: np.random.Generator
) -> VolumeGeometry:
    """Draw the localizer grid in scene space: pose, size and field of view."""
    angles = rng.uniform(-1, 1, 3) * render.rotation_deg
    turned = AXES @ Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    bodies = case.points[0]
    sacral = bodies[bodies[:, 2].argmin()]
    lumbar = bodies[bodies[:, 2].argsort()][:LUMBAR_BODIES]
    target = lumbar.mean(axis=0)
    target[1] += POSTERIOR_SHIFT_MM
    shift = rng.uniform(-1, 1, 3) * render.shift_mm * [0.3, 0.8, 1.0]
    if rng.random() < 0.15:
        shift[2] = sacral[2] - target[2] + CROP_SHAPE[1] + rng.uniform(-20, 60)
    scale = rng.uniform(*render.scale)
    return VolumeGeometry.centered(
        center_lps_mm=target + shift,
        axes=turned,
        spacing_mm=np.array([4.0, 2.0, 2.0]) / scale,
        shape=CROP_SHAPE,
    )


def _draw_random(
    _scanner: SimulateSettings, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw mean and spread of every tissue at random."""
    signals = random_contrast(rng)
    return signals.water, signals.water * signals.texture + 0.02


def _draw_physics(
    scanner: SimulateSettings, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw mean and spread of every tissue as a protocol would show it."""
    names = sorted(scanner.protocols)
    drawn = names[int(rng.integers(len(names)))]
    field_t = float(rng.choice(scanner.scanner.field_t))
    name = name_at_field(scanner, drawn, field_t)
    protocol = draw_protocol(
        name,
        scanner.protocols[name],
        field_t=field_t,
        scanner=scanner.scanner,
        rng=rng,
    )
    signals = physics_signals(protocol, draw_subject_tissue(rng))
    kept = 1.0
    if protocol.fat_suppression is not FatSuppression.NONE:
        kept = float(rng.uniform(0.0, 0.25))
    mean = np.abs(signals.water + kept * signals.fat) / signals.reference
    return mean.astype(np.float32), (mean * signals.texture + 0.01).astype(np.float32)


def _draw_contrast(
    case: LocalizerCase,
    means: NDArray[np.float32],
    spreads: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Give every voxel the signal and texture of its tissue, under a coil."""
    noise = smooth_noise(case.geometry, knot_distance_mm=rng.uniform(3, 9), rng=rng)
    image = means[case.tissue] + spreads[case.tissue] * noise
    image *= _marrow_factors(rng)[case.rank]
    _spoil_fat(image, case, rng)
    image *= _bias(case.geometry, rng)
    image[case.tissue == Tissue.AIR] *= 0.2
    return np.asarray(image, np.float32)


def _spoil_fat(
    image: NDArray[np.float32], case: LocalizerCase, rng: np.random.Generator
) -> None:
    """Shift fat along an axis, or let its suppression fail in a region; in place."""
    shifted = rng.random() < SHIFTED_FAT_SHARE
    bright = rng.random() < BRIGHT_FAT_SHARE
    if not (shifted or bright):
        return
    fat = np.where(np.isin(case.tissue, FATS), image, np.float32(0))
    image -= fat
    if bright:
        field = smooth_noise(
            case.geometry, knot_distance_mm=rng.uniform(40, 120), rng=rng
        )
        level = np.percentile(image, 95) * rng.uniform(0.5, 2.5)
        fat[fat > 0] += level / (1 + np.exp(-4 * field[fat > 0]))
    if shifted:
        steps = rng.uniform(-1, 1) * LARGEST_FAT_SHIFT_MM / case.geometry.spacing_mm[0]
        fat = np.roll(fat, round(steps), axis=int(rng.integers(3)))
    image += fat


def _marrow_factors(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw how the marrow of each rank differs from that of the patient."""
    factors = np.exp(rng.normal(0, MARROW_SPREAD, CLASSES))
    factors[0] = 1.0
    return np.asarray(factors, np.float32)


def _bias(geometry: VolumeGeometry, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a smooth coil sensitivity, often falling off from the back."""
    coarse = rng.normal(0, rng.uniform(0.0, 0.35), (4, 4, 4))
    posterior = geometry.axes @ [0, 1, 0]
    ramp = [np.linspace(-0.5, 0.5, 4) * p for p in posterior]
    falloff = ramp[0][:, None, None] + ramp[1][:, None] + ramp[2]
    coarse += rng.uniform(0, 1.6) * falloff
    return upsample(np.exp(coarse).astype(np.float32), geometry.shape)


def _draw_stacks(
    grid: VolumeGeometry, rng: np.random.Generator
) -> list[tuple[VolumeGeometry, float]]:
    """Draw the stacks of one series: geometry and slice thickness."""
    kind = rng.choice(["sagittal", "axial", "coronal"], p=[0.66, 0.28, 0.06])
    scale = float(grid.spacing_mm[1]) / 2.0
    gap = rng.uniform(2.8, 6.0) if rng.random() < 0.8 else rng.uniform(1.0, 2.5)
    thickness = gap * rng.uniform(0.75, 1.0)
    order = {"sagittal": (0, 1, 2), "axial": (1, 2, 0), "coronal": (2, 1, 0)}[kind]
    extent_mm = np.array(CROP_SHAPE) * [4.0, 2.0, 2.0]
    extent_mm[0] = rng.uniform(52, 100) if kind == "sagittal" else rng.uniform(96, 180)
    extent_mm[1] *= (
        rng.uniform(0.35, 1.1) if kind == "axial" else rng.uniform(0.75, 1.1)
    )
    extent_mm[2] *= rng.uniform(0.55, 1.1)
    center_lps_mm = grid.center_lps_mm
    if rng.random() < SMALL_FIELD_SHARE:
        extent_mm[1:] = rng.uniform(*SMALL_FIELD_MM, 2)
        center_lps_mm = center_lps_mm + np.array([0.0, 0.0, rng.uniform(-60, 60)])
    blocks = int(rng.integers(2, 6)) if kind == "axial" and rng.random() < 0.4 else 1
    stacks = []
    for block in range(blocks):
        tilt = Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
        if kind == "axial":
            lean = Rotation.from_euler("x", rng.uniform(-25, 25), degrees=True)
            tilt = tilt @ lean.as_matrix()
        spacing = np.array([gap, 2.0, 2.0]) * scale
        size = extent_mm[list(order)].copy()
        size[0] /= blocks * (rng.uniform(1.0, 1.6) if blocks > 1 else 1.0)
        offset = rng.normal(0, 4, 3)
        offset[2] += ((block + 0.5) / blocks - 0.5) * extent_mm[1]
        shape = np.maximum(2, np.ceil(size / [gap, 2.0, 2.0])).astype(int)
        stack = VolumeGeometry.centered(
            center_lps_mm=center_lps_mm + offset,
            axes=(grid.axes[list(order)]) @ tilt,
            spacing_mm=spacing,
            shape=(int(shape[0]), int(shape[1]), int(shape[2])),
        )
        stacks.append((stack, thickness * scale))
    return stacks


def _observe(
    image: NDArray[np.float32],
    geometry: VolumeGeometry,
    stack: tuple[VolumeGeometry, float],
    rng: np.random.Generator,
) -> Volume:
    """Sample one stack with its slice profile, blur and noise."""
    target, thickness_mm = stack
    voxel_mm = geometry.spacing_mm
    through = np.abs(geometry.axes @ target.axes[0])
    sigma = np.hypot(
        through * thickness_mm * 0.33, (1 - through) * rng.uniform(0.5, 1.2)
    )
    blurred = ndimage.gaussian_filter(image, sigma / voxel_mm, truncate=2.5)
    sampled = resample(blurred, geometry, target).astype(np.float32)
    if rng.random() < GHOST_SHARE:
        sampled += _ghosts(sampled, rng)
    level = float(np.percentile(sampled, 95)) * rng.uniform(0.01, 0.15)
    noise = rng.standard_normal((2, *sampled.shape), np.float32) * level
    if rng.random() < CORRECTED_COIL_SHARE:
        noise /= np.maximum(_bias(target, rng), 0.1)
    noisy = np.hypot(sampled + noise[0], noise[1])
    return Volume(geometry=target, voxels=noisy ** np.float32(rng.uniform(0.7, 1.4)))


def _ghosts(
    sampled: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw copies of a stack along one axis of its slices, as pulsation makes them."""
    axis = int(rng.integers(1, 3))
    distance = max(1, round(sampled.shape[axis] * rng.uniform(0.08, 0.5)))
    amplitude = rng.uniform(0.02, 0.12)
    return np.float32(amplitude) * (
        np.roll(sampled, distance, axis) + np.roll(sampled, -distance, axis)
    )


def _heatmaps(
    points: Sequence[NDArray[np.float64]], grid: VolumeGeometry
) -> NDArray[np.float32]:
    """Draw a Gaussian around each point, one map per kind of point."""
    maps = np.zeros((len(points), *grid.shape), np.float32)
    steps = np.ogrid[tuple(slice(n) for n in grid.shape)]
    spacing = grid.spacing_mm
    for kind, group in enumerate(points):
        for index in grid.to_index(group):
            squared = sum(((steps[k] - index[k]) * spacing[k]) ** 2 for k in range(3))
            np.maximum(
                maps[kind], np.exp(-squared / (2 * HEATMAP_SIGMA_MM**2)), out=maps[kind]
            )
    return maps
