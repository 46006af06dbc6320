"""Soft tissue around the spine: skin, fat, muscles, vessels, organs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.space import Field, SpineSpace, SpineTable
from facetgrade.simulate.anatomy.texture import Texture, draw_texture
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class TorsoStyle:
    """One person's soft tissue.

    Attributes
    ----------
    subcutaneous_mm : float
        Fat behind the spinous processes.
    fat_fraction : float
        Share of fat in the multifidus.
    muscle_scale : float
        Size of the muscles.
    half_width_mm, depth_mm : float
        Half width and depth of the trunk.
    flatness : float
        How much the back follows the table rather than the spinous processes.
    vessel_shift_mm : (4,) float64 ndarray
        Displacement of aorta and vena cava to the left and backward.
    streaks, grain, bowel : Texture
        Random fields of fat streaks, fine fat and abdominal content.
    """

    subcutaneous_mm: float
    fat_fraction: float
    muscle_scale: float
    half_width_mm: float
    depth_mm: float
    flatness: float
    vessel_shift_mm: NDArray[np.float64]
    streaks: Texture
    grain: Texture
    bowel: Texture


def draw_torso_style(rng: np.random.Generator, settings: AnatomySettings) -> TorsoStyle:
    """Draw one person's soft tissue."""
    fat = settings.subcutaneous_mm.draw(rng)
    return TorsoStyle(
        subcutaneous_mm=fat,
        fat_fraction=settings.muscle_fat_fraction.draw(rng),
        muscle_scale=float(rng.uniform(0.8, 1.15)),
        half_width_mm=float(rng.uniform(140.0, 165.0) + fat),
        depth_mm=float(rng.uniform(215.0, 265.0) + 1.5 * fat),
        flatness=float(rng.uniform(0.3, 0.9)),
        vessel_shift_mm=rng.normal(0.0, 2.5, 4),
        streaks=draw_texture(rng, (14.0, 5.0, 3.5)),
        grain=draw_texture(rng, (6.0, 2.5, 2.5)),
        bowel=draw_texture(rng, (22.0, 18.0, 18.0)),
    )


def paint_torso(
    space: SpineSpace, style: TorsoStyle, person: Person, streaks: Field
) -> Labels:
    """Return the tissue of every voxel as if there were no spine.

    Parameters
    ----------
    space : SpineSpace
        Coordinates of the grid.
    style : TorsoStyle
        The person's soft tissue.
    person : Person
        The person.
    streaks : (S, R, C) float32 ndarray
        `style.streaks` on the grid.
    """
    tissue = np.full(space.grid.shape, Tissue.ABDOMINAL_FAT, np.uint8)
    skin = _back_surface(space, style)
    fascia = _fascia_surface(space, style, person)
    _paint_abdomen(tissue, space, style)
    _paint_psoas(tissue, space, style, streaks)
    _paint_back_muscles(tissue, space, style, (fascia, streaks))
    _paint_cover(tissue, space, style, skin, fascia)
    return tissue


def _tips(table: SpineTable, z: Field) -> Field:
    """Return how far back (y) spine and spinous processes reach at each height."""
    curve = table.curve
    reach = np.interp(curve.along, table.along, table.tip)
    y = curve.points[:, 1] + reach * curve.normals[:, 0]
    heights = curve.points[:, 2] + reach * curve.normals[:, 1] - 8.0
    bins = np.arange(z.min() - 20.0, z.max() + 21.0, 2.0)
    nearest = np.abs(heights[:, None] - bins[None]).argmin(axis=0)
    smooth = gaussian_filter1d(y[nearest], 10.0, mode="nearest")
    return np.asarray(np.interp(z, bins, smooth), np.float32)


def _back_surface(space: SpineSpace, style: TorsoStyle) -> Field:
    """Return y of the skin of the back, (S, 1, C)."""
    tips = _tips(space.table, space.z)
    curve = space.table.curve
    flat = float(
        np.percentile(_tips(space.table, curve.points[:, 2].astype(np.float32)), 75)
    )
    level = style.flatness * flat + (1.0 - style.flatness) * tips
    level = np.maximum(level + style.subcutaneous_mm, tips + 6.0)
    beside = np.abs(space.x - space.curve_at_height(0)) / style.half_width_mm
    rounding = np.clip(1.0 - np.minimum(beside, 1.0) ** 3.0, 0.0, 1.0) ** (1 / 3.0)
    surface: Field = (level - style.depth_mm / 2.0 * (1.0 - rounding)).astype(
        np.float32
    )
    return surface


def _fascia_surface(space: SpineSpace, style: TorsoStyle, person: Person) -> Field:
    """Return y of the back of the muscles, (S, 1, C)."""
    tips = _tips(space.table, space.z)
    beside = np.abs(space.x - space.curve_at_height(0))
    bulge = 5.0 * style.muscle_scale * np.exp(-(((beside - 34.0) / 16.0) ** 2))
    fall = 0.0105 * np.maximum(beside - 42.0, 0.0) ** 2
    groove = 2.0 * np.exp(-((beside / 5.0) ** 2))
    surface: Field = (tips - 1.0 * person.scale + bulge - fall - groove).astype(
        np.float32
    )
    return surface


def _paint_cover(
    tissue: Labels, space: SpineSpace, style: TorsoStyle, skin: Field, fascia: Field
) -> None:
    """Paint fat, fascia, skin and the air behind."""
    y = space.y
    limit = np.minimum(fascia, skin - 5.0)
    tissue[np.broadcast_to(y > limit, tissue.shape)] = Tissue.SUBCUTANEOUS_FAT
    thin = max(1.2, float(space.grid.spacing_mm[0]) * 0.75)
    layer = np.abs(y - limit) < thin / 2.0
    tissue[np.broadcast_to(layer, tissue.shape)] = Tissue.FASCIA
    septa = style.grain.on(space.grid)
    septum = (np.abs(septa) < 0.05) & (y > limit + 4.0)
    tissue[septum & (tissue == Tissue.SUBCUTANEOUS_FAT)] = Tissue.FASCIA
    tissue[np.broadcast_to(y > skin - 2.0, tissue.shape)] = Tissue.SKIN
    tissue[np.broadcast_to(y > skin, tissue.shape)] = Tissue.AIR
    belly = 2.0 * skin.max(axis=2, keepdims=True) - style.depth_mm - skin
    tissue[np.broadcast_to(y < belly + 15.0, tissue.shape)] = Tissue.SUBCUTANEOUS_FAT
    tissue[np.broadcast_to(y < belly + 2.0, tissue.shape)] = Tissue.SKIN
    tissue[np.broadcast_to(y < belly, tissue.shape)] = Tissue.AIR


def _stations(space: SpineSpace, values: dict[str, float]) -> Field:
    """Interpolate values given at bodies along the spine, (S, R, 1)."""
    bodies = space.table.bodies
    along = [bodies[name] for name in values]
    return np.interp(space.along, along, list(values.values())).astype(np.float32)


def _paint_back_muscles(
    tissue: Labels, space: SpineSpace, style: TorsoStyle, fields: tuple[Field, Field]
) -> None:
    """Paint multifidus, erector spinae and quadratus lumborum with their fat."""
    fascia, streaks = fields
    beside = np.abs(space.left)
    wall = space.size(space.table.half_depth)
    split = _stations(
        space,
        {
            "T10": 9,
            "L1": 13,
            "L3": 19,
            "L4": 25,
            "L5": 31,
            "S1": 36,
            "S3": 30,
            "S5": 12,
        },
    )
    outer = style.muscle_scale * _stations(
        space, {"T10": 58, "L1": 68, "L3": 74, "L4": 68, "L5": 52, "S1": 44, "S2": 40}
    )
    split = split * style.muscle_scale + 2.0 * streaks
    floor = wall + 10.0 + 0.004 * np.maximum(beside - 30.0, 0.0) ** 2
    edge = outer - 10.0 * np.exp(-np.maximum(space.back - floor, 0.0) / 8.0)
    muscle = (space.back > floor) & (beside < edge) & (space.y < fascia)
    tissue[muscle] = Tissue.MUSCLE
    inner = muscle & (beside < split)
    border = muscle & (np.abs(beside - split) < 0.8 + 2.5 * style.fat_fraction)
    deep = np.clip((space.back - floor) / 30.0, 0.0, 1.0)
    # Fat gathers in the medial and deep multifidus and toward the sacrum.
    low = _stations(space, {"T10": -0.5, "L3": 0.0, "L5": 0.35, "S2": 0.7})
    load = _normal_quantile(style.fat_fraction) + low + 0.4 - 0.8 * deep
    grain = 0.75 * streaks + 0.75 * style.grain.on(space.grid)
    tissue[inner & (grain < load)] = Tissue.INTRAMUSCULAR_FAT
    tissue[muscle & ~inner & (grain < load - 0.6)] = Tissue.INTRAMUSCULAR_FAT
    tissue[border] = Tissue.INTRAMUSCULAR_FAT
    quadratus = (
        ((beside - 60.0 * style.muscle_scale) / 17.0) ** 2
        + ((space.back - wall - 9.0) / 8.0) ** 2
    ) < 1.0
    region = _stations(space, {"T11": 0.0, "T12": 1.0, "L4": 1.0, "L5": 0.0}) > 0.5
    tissue[quadratus & region] = Tissue.MUSCLE


def _normal_quantile(share: float) -> float:
    """Return an approximate quantile of the normal distribution."""
    return float(5.063 * (share**0.135 - (1.0 - share) ** 0.135))


def _paint_psoas(
    tissue: Labels, space: SpineSpace, style: TorsoStyle, streaks: Field
) -> None:
    """Paint the psoas muscles."""
    beside = np.abs(space.left)
    radius = style.muscle_scale * _stations(
        space, {"T12": 0.5, "L1": 6, "L2": 11, "L3": 15, "L4": 19, "L5": 20, "S2": 19}
    )
    middle = space.size(space.table.half_width) + radius * _stations(
        space, {"L4": 0.8, "L5": 1.0, "S1": 1.9, "S2": 2.4}
    )
    forward = _stations(space, {"L1": 3, "L3": 1, "L4": -3, "L5": -10, "S1": -28})
    shape = ((beside - middle) / radius) ** 2 + (
        (space.back - forward) / (radius * 1.2)
    ) ** 2
    psoas = (shape < 1.0) & (radius > 1.0)
    tissue[psoas] = Tissue.MUSCLE
    fat = psoas & (streaks < -2.2 + style.fat_fraction)
    tissue[fat] = Tissue.INTRAMUSCULAR_FAT


def _paint_abdomen(tissue: Labels, space: SpineSpace, style: TorsoStyle) -> None:
    """Paint bowel, organs and the great vessels in front of the spine."""
    wall = space.size(space.table.half_depth)
    front = space.back + wall
    loops = style.bowel.on(space.grid)
    region = (front < -22.0) & (np.abs(loops) > 0.45)
    tissue[region] = Tissue.BOWEL
    tissue[(front < -30.0) & (loops > 1.5)] = Tissue.AIR
    level = _stations(space, {"T10": 1.0, "L2": 0.6, "L4": 0.0, "S5": 0.0})
    liver = (
        (front < -28.0) & (space.left < -8.0 - 60.0 * (1.0 - level)) & (level > 0.55)
    )
    tissue[liver] = Tissue.ORGAN
    height = _stations(space, {"T11": -1.4, "T12": -0.9, "L3": 0.95, "L4": 1.5})
    for side in (1.0, -1.0):
        kidney = (
            ((side * space.left - 66.0) / 25.0) ** 2
            + ((space.back - 4.0) / 19.0) ** 2
            + (height + 0.12 * side) ** 2
        )
        tissue[kidney < 1.0] = Tissue.ORGAN
    _paint_vessels(tissue, space, style)


def _paint_vessels(tissue: Labels, space: SpineSpace, style: TorsoStyle) -> None:
    """Paint aorta, vena cava and the iliac vessels."""
    box, space = space.window(85.0, (-55.0, 0.0))
    tissue = tissue[box]
    wall = space.size(space.table.half_depth)
    shift = style.vessel_shift_mm
    fork = _stations(space, {"L4": 0.0, "L5": 1.0, "S2": 2.3})
    above = _stations(space, {"L4": 1.0, "L5": 0.0}) > 0.3
    for middle, radius, k in ((11.0, 9.5, 0), (-15.0, 11.0, 2)):
        depth = space.back + wall + 10.5 + shift[k + 1]
        trunk = ((space.left - middle - shift[k]) / radius) ** 2 + (depth / 9.0) ** 2
        tissue[(trunk < 1.0) & above] = Tissue.VESSEL
        for side in (1.0, -1.0):
            beside = space.left - middle * (1.0 - 0.4 * fork) - side * 26.0 * fork
            branch = beside**2 + (depth + 2.0) ** 2
            tissue[(branch < 36.0) & ~above & (fork < 2.2)] = Tissue.VESSEL
