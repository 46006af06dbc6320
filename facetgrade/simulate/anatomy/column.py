"""What the spine holds beside bone: discs, foramina, bone, ligaments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Structure
from facetgrade.simulate.anatomy.bones import Box, Skeleton, vertebra_code
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import SACRAL, Interspace
from facetgrade.simulate.anatomy.proportions import MOBILE, Proportions
from facetgrade.simulate.anatomy.space import Field, SpineSpace
from facetgrade.simulate.scene import Tissue

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ColumnStyle:
    """One person's canal, ligaments and discs.

    Attributes
    ----------
    sac_width, sac_depth : float
        Thecal sac relative to the canal.
    sac_end : float
        Where the sac ends, 0 = middle of S1, 1 = middle of S3.
    conus : float
        Where the cord ends, 0 = middle of T12, 1 = middle of L2.
    flavum_mm : float
        Thickness of the ligamentum flavum.
    roots : (N, 2) float64 ndarray
        Places of the roots in the sac, relative to its half extents.
    bulge_mm : dict of str to float
        How far each disc stands out behind and beside the endplates.
    protrusion : dict of str to (float, float)
        How far a herniation of the disc stands out in mm, and its place to the left.
    squareness : float
        Exponent of the outline of the discs.
    """

    sac_width: float
    sac_depth: float
    sac_end: float
    conus: float
    flavum_mm: float
    roots: NDArray[np.float64]
    bulge_mm: dict[str, float]
    protrusion: dict[str, tuple[float, float]]
    squareness: float


def draw_column_style(
    rng: np.random.Generator, person: Person, squareness: float
) -> ColumnStyle:
    """Draw one person's canal, ligaments and discs."""
    angle = rng.uniform(0.05 * np.pi, 0.95 * np.pi, 14)
    radius = rng.uniform(0.5, 0.85, 14)
    return ColumnStyle(
        sac_width=float(rng.uniform(0.66, 0.85)),
        sac_depth=float(rng.uniform(0.66, 0.86)),
        sac_end=float(rng.uniform(0.2, 0.75)),
        conus=float(np.clip(rng.normal(0.5, 0.2), 0.0, 1.0)),
        flavum_mm=float(rng.uniform(2.8, 4.4)),
        roots=np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1),
        bulge_mm={
            s.upper: float(max(rng.normal(0.3 + 2.2 * s.degeneration, 0.7), -0.5))
            for s in person.interspaces
        },
        protrusion={
            s.upper: _draw_protrusion(rng, s.degeneration) for s in person.interspaces
        },
        squareness=squareness,
    )


def _draw_protrusion(
    rng: np.random.Generator, degeneration: float
) -> tuple[float, float]:
    """Draw size and place of a herniation, mostly none."""
    size, place = rng.uniform(1.5, 6.0), rng.normal(0.0, 6.0)
    herniated = rng.random() < 0.3 * degeneration
    return float(size) * herniated, float(place)


def paint_foramina(
    tissue: Labels, structure: Labels, space: SpineSpace, person: Person
) -> None:
    """Paint the foramina with fat and a ganglion each."""
    box, space = space.window(45.0, (0.0, 45.0))
    tissue, structure = tissue[box], structure[box]
    bodies = space.table.bodies
    beside = np.abs(space.left)
    for item in person.interspaces:
        size, below = person.sizes[item.upper], person.sizes.get(item.lower, None)
        top = bodies[item.upper] + 0.02 * size.height
        lower = bodies[item.lower] - (below.height / 2.0 if below else 0.0)
        rows = _rows_between(space, top - 2.0, lower + 6.0)
        if rows is None:
            continue
        along, back = space.along[rows], space.back[rows]
        side = beside[rows]
        inner = size.canal_width / 2.0 - 1.0
        reach = (max(size.pedicle_width, 9.0) + 5.0) / 2.0
        wall, deep = size.depth / 2.0, size.canal_depth * 0.75
        middle, tall = (top + lower + 4.0) / 2.0, (lower + 4.0 - top) / 2.0
        wide = (side - inner - reach) / reach
        far = (back - wall - deep / 2.0 + 3.0) / (deep / 2.0 + 3.0)
        high = (along - middle) / tall
        hole = (np.abs(wide) < 1.0) & (np.abs(far) < 1.0) & (np.abs(high) < 1.0)
        hole &= structure[rows] != Structure.CANAL
        # Powers are slow, so they are taken within the box around the hole only.
        at = np.nonzero(hole)
        wide, far, high, side, along, back = (
            np.broadcast_to(values, hole.shape)[at]
            for values in (wide, far, high, side, along, back)
        )
        hole[at] = wide**4 + far**4 + high**4 < 1.0
        tissue[rows][hole] = Tissue.FORAMINAL_FAT
        structure[rows][hole] = Structure.FORAMEN
        root = (inner + 5.5 + (along - top - 6.0) * 0.5, wall + 4.0, top + 6.0)
        ganglion = (
            ((side - root[0]) / 8.0) ** 2
            + ((back - root[1]) / 3.2) ** 2
            + ((along - root[2] - (side - inner - 5.5) * 0.5) / 4.2) ** 2
        ) < 1.0
        nerve = ganglion & hole[at]
        tissue[rows][tuple(axis[nerve] for axis in at)] = Tissue.NERVE


def _rows_between(space: SpineSpace, start: float, stop: float) -> Box | None:
    """Return the block of slices and rows whose `along` lies in a range."""
    inside = (space.along[:, :, 0] >= start) & (space.along[:, :, 0] <= stop)
    inside &= np.abs(space.back[:, :, 0]) < 60.0
    slices = np.flatnonzero(inside.any(axis=1))
    rows = np.flatnonzero(inside.any(axis=0))
    if slices.size == 0 or rows.size == 0:
        return None
    return (
        slice(int(slices[0]), int(slices[-1]) + 1),
        slice(int(rows[0]), int(rows[-1]) + 1),
        slice(None),
    )


def paint_interspinous(tissue: Labels, space: SpineSpace, streaks: Field) -> None:
    """Paint the ligaments between and behind the spinous processes."""
    table = space.table
    start = space.size(table.canal_middle) + space.size(table.canal_half_depth) + 3.0
    end = space.size(table.tip)
    between = (np.abs(space.left) < 3.5) & (space.back > start) & (space.back < end)
    between &= space.along < table.bodies["S1"]
    tissue[between] = Tissue.INTRAMUSCULAR_FAT
    tissue[between & (streaks > -0.2)] = Tissue.LIGAMENT
    behind = (np.abs(space.left) < 3.0) & (np.abs(space.back - end - 1.5) < 1.8)
    tissue[behind & (space.along < table.bodies["S1"])] = Tissue.LIGAMENT


def paint_discs(
    layers: tuple[Labels, Labels, Labels],
    space: SpineSpace,
    person: Person,
    style: ColumnStyle,
) -> None:
    """Paint all discs into the layers tissue, structure, vertebra."""
    for item in person.interspaces:
        sizes = (person.sizes[item.upper], person.sizes[item.lower])
        box = _disc_box(space, item, sizes[1])
        if box is not None:
            _paint_disc(tuple(a[box] for a in layers), (space, box), item, sizes, style)


def paint_remnants(
    layers: tuple[Labels, Labels, Labels], space: SpineSpace, person: Person
) -> None:
    """Paint the discs left between the sacral bodies; bone cuts them to shape."""
    bodies = space.table.bodies
    for (upper, lower), height in zip(
        pairwise(SACRAL), person.sacrum.remnant_mm, strict=True
    ):
        middle = 0.48 * bodies[upper] + 0.52 * bodies[lower]
        reach = height / 2.0 + 2.0
        rows = _rows_between(space, middle - reach, middle + reach)
        if rows is None:
            continue
        part = [layer[rows] for layer in layers]
        width = space.size(space.table.half_width)[rows]
        depth = space.size(space.table.half_depth)[rows]
        radius = np.hypot(space.left[rows] / width, space.back[rows] / depth)
        disc = (radius < 1.05) & (np.abs(space.along[rows] - middle) < reach)
        part[0][disc] = Tissue.ANNULUS_FIBROSUS
        if height > 3.5:
            part[0][disc & (radius < 0.65)] = Tissue.NUCLEUS_PULPOSUS
        if upper == "S1":
            part[1][disc] = Structure.DISC
            part[2][disc] = vertebra_code(upper)


def _disc_box(space: SpineSpace, item: Interspace, size: Proportions) -> Box | None:
    """Return the block of the grid around a disc."""
    half = np.array([size.width_upper, size.depth_upper, 40.0]) / 2.0 + 8.0
    reach = np.abs(item.pose.axes).T @ half
    center = item.pose.center_lps_mm
    index = space.grid.to_index(np.stack([center - reach, center + reach]))
    low = np.clip(np.floor(index.min(axis=0)), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 1, space.grid.shape)
    if np.any(high <= low):
        return None
    k, j, i = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return k, j, i


def _paint_disc(
    layers: tuple[Labels, ...],
    place: tuple[SpineSpace, Box],
    item: Interspace,
    sizes: tuple[Proportions, Proportions],
    style: ColumnStyle,
) -> None:
    """Paint one disc; bone is painted later and cuts it to shape."""
    tissue, structure, vertebra = layers
    (space, box), (upper, lower) = place, sizes
    points = (space.x[:, :, box[2]], space.y[:, box[1]], space.z[box[0]])
    dx, dy, dz = (p - c for p, c in zip(points, item.pose.center_lps_mm, strict=True))
    x, y, z = (
        (dx * a[0] + dy * a[1] + dz * a[2]).astype(np.float32) for a in item.pose.axes
    )
    bulge = style.bulge_mm[item.upper]
    width = (upper.width_lower + lower.width_upper) / 4.0 + bulge * 0.7
    depth = (upper.depth_lower + lower.depth_upper) / 4.0 + bulge * 0.8
    power = np.float32(style.squareness)
    size, place_mm = style.protrusion[item.upper]
    reach = depth + size * np.exp(-(((x - place_mm) / 7.0) ** 2)) * (y > 0.0)
    total = (np.abs(x) / width) ** power + (np.abs(y) / reach) ** power
    radius = np.asarray(total ** (1.0 / power), np.float32)
    # Past the rim the disc is as high as the gap; inside, the endplates are hollow.
    half = item.height_mm / 2.0 + 1.5 - y * np.float32(np.tan(np.radians(5.0)))
    half = half + 5.0 * np.maximum(1.0 - radius, 0.0)
    disc = (radius < 1.0) & (np.abs(z) < half)
    tissue[disc] = Tissue.ANNULUS_FIBROSUS
    structure[disc] = Structure.DISC
    vertebra[disc] = vertebra_code(item.upper)
    core = 0.72 - 0.5 * max(item.degeneration - 0.35, 0.0)
    nucleus = disc & (radius * (1.0 + 0.06 * y / depth) < core)
    cleft = np.abs(z) < 0.35 + 0.12 * item.height_mm * item.degeneration
    if item.degeneration > 0.2:
        nucleus &= ~(cleft & (radius < 0.8 * core))
    if item.degeneration < 0.85:
        tissue[nucleus] = Tissue.NUCLEUS_PULPOSUS


def paint_bones(
    layers: tuple[Labels, Labels, Labels],
    skeleton: Skeleton,
    space: SpineSpace,
    person: Person,
) -> None:
    """Paint vertebrae and sacrum over everything else."""
    tissue, structure, vertebra = layers
    near_disc = structure == Structure.DISC
    bone = skeleton.distance_mm < 0.0
    shell = max(person.cortical_mm, 0.6 * float(space.grid.spacing_mm[0]))
    marrow = bone & (skeleton.distance_mm < -shell)
    sacral = (skeleton.codes == 0) | (skeleton.codes >= vertebra_code("S1"))
    tissue[bone] = Tissue.CORTICAL_BONE
    tissue[bone & near_disc] = Tissue.ENDPLATE
    tissue[marrow] = Tissue.MARROW
    tissue[marrow & sacral] = Tissue.SACRAL_MARROW
    np.copyto(structure, skeleton.parts, where=bone)
    np.copyto(vertebra, skeleton.codes, where=bone)
    _paint_veins(tissue, space, person)


def _paint_veins(tissue: Labels, space: SpineSpace, person: Person) -> None:
    """Paint the basivertebral veins from the back wall into the bodies."""
    for name in MOBILE:
        middle = space.table.bodies[name]
        rows = _rows_between(space, middle - 6.0, middle + 6.0)
        if rows is None:
            continue
        half = person.sizes[name].depth / 2.0
        back = space.back[rows]
        spread = 0.6 + 2.4 * np.clip(back / half, 0.0, 1.0)
        vein = (
            (back > 0.1 * half)
            & (back < half + 1.0)
            & (np.abs(space.along[rows] - middle) < spread)
            & (np.abs(space.left[rows]) < spread * 1.8)
        )
        marrow = tissue[rows] == Tissue.MARROW
        shell = tissue[rows] == Tissue.CORTICAL_BONE
        tissue[rows][vein & (marrow | shell)] = Tissue.BASIVERTEBRAL_VEIN
