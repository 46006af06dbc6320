"""Pictures and truth of single joints for the segmenter, acquired once and cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.utils.data import Dataset

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.findings import JointFrame
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.segment.patches import (
    GRID_SPACING_MM,
    contrast_index,
    joint_grid,
    sample_series,
)
from facetgrade.simulate.imperfections import draw_imperfections
from facetgrade.simulate.movement import move_between, series_of_truth
from facetgrade.simulate.protocols import Protocol, draw_protocol
from facetgrade.simulate.scanner import acquire
from facetgrade.simulate.scene import Scene
from facetgrade.simulate.series_list import view_series
from facetgrade.simulate.settings import SimulateSettings
from facetgrade.simulate.tissue import (
    SubjectTissue,
    draw_subject_tissue,
    physics_signals,
)
from facetgrade.simulate.truth import truth_joint_masks
from facetgrade.study import Plane
from facetgrade.study import Sequence as Contrast
from facetgrade.train.joint_views import JointView, ScannedJoint, read_joint
from facetgrade.train.settings import USUAL_GAMMA, RenderSettings
from facetgrade.train.warp import Warp, draw_warp

REGION_MM = 54.0
SIDEWAYS_MM = 28.0
MIDLINE_REACH_MM = (26.0, 42.0)
BOTH_SIDES = np.array([-1.0, 1.0])
CENTER_ERROR_MM = 2.5
AXIS_ERROR_DEG = 6.0
LARGEST_STACKS = 6
POST_ALONE = 0.3  # of the cases with contrast agent: they show edema by nothing else
WHOLE_STUDY = 0.5  # share of the draws that miss no plane or contrast but by chance
LEFT_OUT = 0.15
BLURRED = 0.5  # share of the stacks, where settings ask for blur
FLUID = (Contrast.T2, Contrast.T2_FS, Contrast.T1_FS_POST)


def acquire_joint(
    scene: Scene,
    joint: FacetJoint,
    settings: SimulateSettings,
    rng: np.random.Generator,
    *,
    tissue_spread: float = 1.0,
) -> ScannedJoint:
    """Acquire every protocol around one joint and resample it as inference would.

    A protocol that takes the place of another does so in its share of the cases. The
    patient may shift before every series. The grid lies, with the error of the
    localizer, on the joint as during the first series that shows edema.
    """
    listed = [one for one in settings.protocols.values() if one.instead is None]
    poses = move_between(scene, len(listed), settings.study, rng)
    graded = poses[series_of_truth([one.sequence for one in listed])]
    grid = joint_grid(disturbed_frame(graded.joints[joint], rng))
    subject = draw_subject_tissue(rng, spread=tissue_spread)
    field_t = float(rng.choice(settings.scanner.field_t))
    stacks, contrasts, lying = [], [], []
    series = view_series(settings, field_t, rng)
    for (name, stream), moved in zip(series, poses, strict=True):
        protocol = draw_protocol(
            name,
            settings.protocols[name],
            field_t=field_t,
            scanner=settings.scanner,
            rng=stream,
        )
        volume = _acquire_region(
            scene, moved, joint, protocol, subject, settings, stream
        )
        sampled = sample_series([volume], grid)
        if sampled is not None:
            stacks.append(sampled.astype(np.float16))
            contrasts.append(contrast_index(protocol.sequence))
            lying.append(moved)
    different = list(dict.fromkeys(lying))
    structures, lesions = _truth(different, joint, grid)
    return ScannedJoint(
        stacks=np.stack(stacks),
        contrasts=np.array(contrasts, np.uint8),
        pose=np.array([different.index(one) for one in lying], np.uint8),
        structures=structures,
        lesions=lesions,
    )


class SegmenterDataset(Dataset[dict[str, Tensor]]):
    """Endless draws of a joint, its shape, stacks and disturbances."""

    def __init__(
        self, paths: Sequence[Path], seed: int, render: RenderSettings | None = None
    ) -> None:
        self.paths = list(paths)
        self.seed = seed
        self.render = render

    def __len__(self) -> int:
        """Return a number of items no run reaches."""
        return 1 << 30

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return the stacks of one joint, padded, and its truth."""
        rng = np.random.default_rng([self.seed, index])
        joint = read_joint(self.paths[int(rng.integers(len(self.paths)))])
        return draw_item(joint, rng, self.render)


def warped(view: JointView, warp: Warp) -> JointView:
    """Resample stacks and truth alike.

    A stack reaches as far as its nearest voxels do; what lies beyond has no share in
    the voxels at the edge.
    """
    stacks = view.stacks.astype(np.float32)
    flat = stacks.reshape(-1, *view.structures.shape)
    drawn = warp.linear(flat).reshape(stacks.shape)
    seen = warp.linear((stacks[:, 1] > 0).astype(np.float32))
    drawn[:, ::2] /= np.maximum(seen, 0.1)[:, None]
    drawn[:, 1] = warp.nearest(stacks[:, 1])
    drawn *= drawn[:, 1:2] > 0
    return replace(
        view,
        stacks=drawn.astype(np.float16),
        structures=np.asarray(
            warp.nearest(view.structures[None].astype(np.float32))[0], np.uint8
        ),
        lesions=np.rint(warp.linear(view.lesions.astype(np.float32))).astype(np.uint8),
    )


def draw_item(
    joint: ScannedJoint,
    rng: np.random.Generator,
    render: RenderSettings | None = None,
) -> dict[str, Tensor]:
    """Draw a shape, choose some stacks, disturb them, and say what their truth is."""
    warp = draw_warp(render, rng)
    chosen = _choose(joint.contrasts, rng)
    view = joint.seen_by(chosen)
    return show_stacks(warped(view, warp) if warp else view, chosen, rng, render)


def show_stacks(
    view: JointView,
    chosen: NDArray[np.int64],
    rng: np.random.Generator,
    render: RenderSettings | None = None,
) -> dict[str, Tensor]:
    """Disturb the chosen stacks, and say what their truth can be."""
    shape = view.structures.shape
    stacks = np.zeros((LARGEST_STACKS, 3, *shape), np.float32)
    contrast = np.zeros(LARGEST_STACKS, np.int64)
    for place, number in enumerate(chosen):
        stacks[place] = _disturb(view.stacks[number].astype(np.float32), rng, render)
        contrast[place] = view.contrasts[number]
    count = len(chosen)
    reached = (stacks[:count, 1] > 0).any(axis=0)
    sees_fluid = _reach(stacks, contrast, count, FLUID)
    sees_edema = _reach(
        stacks, contrast, count, tuple(c for c in Contrast if c.shows_edema)
    )
    valid = np.stack([sees_fluid, sees_edema, sees_edema, sees_fluid])
    return {
        "stacks": torch.from_numpy(stacks),
        "contrast": torch.from_numpy(contrast),
        "present": torch.arange(LARGEST_STACKS) < count,
        "structures": torch.from_numpy(view.structures.astype(np.int64)),
        "lesions": torch.from_numpy(view.lesions.astype(np.float32) / 255.0),
        "reached": torch.from_numpy(reached),
        "valid": torch.from_numpy(valid),
    }


def disturbed_frame(frame: JointFrame, rng: np.random.Generator) -> JointFrame:
    """Move and turn a true frame as far as the localizer may err."""
    turn = Rotation.from_rotvec(
        np.radians(rng.normal(0, AXIS_ERROR_DEG, 3)).clip(-0.3, 0.3)
    ).as_matrix()
    error_mm = rng.normal(0, CENTER_ERROR_MM, 3).clip(-6, 6)
    return JointFrame(
        center_lps_mm=frame.center_lps_mm + error_mm,
        cranial=turn @ frame.cranial,
        posterior=turn @ frame.posterior,
        lateral=turn @ frame.lateral,
    )


def _acquire_region(
    planned: Scene,
    lying: Scene,
    joint: FacetJoint,
    protocol: Protocol,
    subject: SubjectTissue,
    settings: SimulateSettings,
    rng: np.random.Generator,
) -> Volume:
    """Acquire one protocol around a joint, its slices where they were planned."""
    imperfections = draw_imperfections(
        protocol, planned, scanner=settings.scanner, rng=rng
    )
    return acquire(
        lying,
        _region(planned, planned.joints[joint], protocol, rng),
        slice_thickness_mm=protocol.slice_thickness_mm,
        signals=physics_signals(protocol, subject),
        # The region is no field of view of its own.
        imperfections=replace(imperfections, wrap_share=0.0),
        rng=rng,
    )


def _truth(
    poses: Sequence[Scene], joint: FacetJoint, grid: VolumeGeometry
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return true structures and lesions in every pose."""
    masks = [truth_joint_masks(scene, joint, grid) for scene in poses]
    lesions = np.stack([[one.lesions[k] for k in Lesion] for one in masks])
    structures = np.stack([one.structures for one in masks])
    return structures, np.rint(lesions * 255).astype(np.uint8)


def _region(
    scene: Scene, frame: JointFrame, protocol: Protocol, rng: np.random.Generator
) -> VolumeGeometry:
    """Place the slices of a protocol near a joint, limited as real stacks are."""
    spacing = np.array(protocol.spacing_mm)
    middle = np.mean([v.center_lps_mm for v in scene.vertebrae], axis=0)
    tilt = Rotation.from_euler("xyz", rng.normal(0, 3, 3), degrees=True).as_matrix()
    center = frame.center_lps_mm + rng.uniform(-0.5, 0.5) * spacing[0]
    size_mm = np.full(3, REGION_MM)
    if protocol.plane is Plane.SAGITTAL:
        axes = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
        limits_mm = (
            middle[0] + rng.normal(0, 2) + BOTH_SIDES * (rng.uniform(*MIDLINE_REACH_MM))
        )
        low, high = np.clip(limits_mm, center[0] - SIDEWAYS_MM, center[0] + SIDEWAYS_MM)
        center[0], size_mm[0] = (low + high) / 2, high - low
    else:
        axes = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        lean = np.cross(frame.lateral * np.sign(frame.lateral[0]), [0.0, 0.0, 1.0])
        axes = _leaned(axes, frame.cranial, rng) if lean.any() else axes
        if rng.random() < 0.3:
            size_mm[0] = rng.uniform(18, 40)
            center += axes[0] * rng.normal(0, 5)
    shape = np.maximum(3, np.ceil(size_mm / spacing)).astype(int)
    return VolumeGeometry.centered(
        center_lps_mm=center,
        axes=axes @ tilt,
        spacing_mm=spacing,
        shape=(int(shape[0]), int(shape[1]), int(shape[2])),
    )


def _leaned(
    axes: NDArray[np.float64], cranial: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Lean axial slices in the sagittal plane part of the way to the joint's level."""
    angle = np.arctan2(cranial[1], cranial[2]) * rng.uniform(0.0, 1.1)
    turn = Rotation.from_euler("x", -angle).as_matrix()
    leaned: NDArray[np.float64] = axes @ turn.T
    return leaned


def _choose(
    contrasts: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose stacks as grading does: at most one contrast that shows edema."""
    kept = rng.permutation(_of_one_edema_contrast(contrasts, rng))
    if rng.random() < WHOLE_STUDY:
        present = rng.random(len(kept)) >= LEFT_OUT
        chosen = kept[present] if present.any() else kept[:1]
        chosen = _capped(chosen, contrasts)
    else:
        chosen = kept[: int(rng.integers(1, LARGEST_STACKS))]
    able = kept[_shows_edema(contrasts[kept])]
    if rng.random() < 0.9 and able.size and not _shows_edema(contrasts[chosen]).any():
        chosen[0] = rng.choice(able)
    return np.asarray(chosen, np.int64)


def _of_one_edema_contrast(
    contrasts: NDArray[np.uint8], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Leave out one of the two contrasts that show edema, where a case has both."""
    is_post = contrasts == contrast_index(Contrast.T1_FS_POST)
    is_t2_fs = contrasts == contrast_index(Contrast.T2_FS)
    post_alone = rng.random() < POST_ALONE
    if not (is_post.any() and is_t2_fs.any()):
        return np.arange(len(contrasts))
    return np.flatnonzero(~(is_t2_fs if post_alone else is_post))


def _capped(
    chosen: NDArray[np.int64], contrasts: NDArray[np.uint8]
) -> NDArray[np.int64]:
    """Keep no more stacks than fit, one that shows edema among them if there is one."""
    if len(chosen) <= LARGEST_STACKS:
        return chosen
    shown = int(np.argmax(_shows_edema(contrasts[chosen])))
    others = np.delete(chosen, shown)[: LARGEST_STACKS - 1]
    return np.append(others, chosen[shown])


def _shows_edema(contrasts: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Tell which contrasts show edema."""
    return np.isin(contrasts, [contrast_index(c) for c in Contrast if c.shows_edema])


def _disturb(
    stack: NDArray[np.float32],
    rng: np.random.Generator,
    render: RenderSettings | None,
) -> NDArray[np.float32]:
    """Change the look of one stack, from sharpness to noise, and hide parts of it."""
    image, reached = stack[0], stack[1] > 0
    if render and render.blur_mm and rng.random() < BLURRED:
        image = _blurred(image, reached, rng.uniform(0, render.blur_mm))
    shape = image.shape
    ramps = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    slope = rng.normal(0, 0.12, 3).astype(np.float32)
    bias = (
        ramps[0][:, None, None] * slope[0]
        + ramps[1][:, None] * slope[1]
        + ramps[2] * slope[2]
    )
    lowest = float(image.min())
    gamma = np.float32(rng.uniform(*(render.gamma if render else USUAL_GAMMA)))
    span = max(float(image.max()) - lowest, 1e-3)
    image = (((image - lowest) / span) ** gamma) * span + lowest
    image = (image - lowest) * np.exp(bias) * rng.uniform(0.85, 1.2) + lowest
    image = image + rng.normal(0, 0.05)
    image += rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, 0.06))
    if rng.random() < 0.15:
        axis = int(rng.integers(3))
        cut = int(rng.integers(1, max(2, shape[axis] // 3)))
        hidden = [slice(None)] * 3
        hidden[axis] = slice(0, cut) if rng.random() < 0.5 else slice(-cut, None)
        reached = reached.copy()
        reached[tuple(hidden)] = False
    return np.stack([image * reached, stack[1] * reached, stack[2] * reached])


def _blurred(
    image: NDArray[np.float32], reached: NDArray[np.bool_], sigma_mm: float
) -> NDArray[np.float32]:
    """Blur a stack alike in all directions; what it does not reach has no share."""
    sigma = sigma_mm / np.array(GRID_SPACING_MM)
    total = gaussian_filter(image * reached, sigma, truncate=3.0)
    weight = gaussian_filter(reached.astype(np.float32), sigma, truncate=3.0)
    soft: NDArray[np.float32] = total / np.maximum(weight, 0.1)
    return np.where(reached, soft, image)


def _reach(
    stacks: NDArray[np.float32],
    contrast: NDArray[np.int64],
    count: int,
    wanted: tuple[Contrast, ...],
) -> NDArray[np.bool_]:
    """Tell where a stack of one of the wanted contrasts reaches."""
    numbers = [contrast_index(c) for c in wanted]
    able = np.isin(contrast[:count], numbers)
    if not able.any():
        return np.zeros(stacks.shape[2:], bool)
    return np.asarray((stacks[:count][able, 1] > 0).any(axis=0))
