"""What to draw for a wanted grade, before anything is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, Structure
from facetgrade.grade.perimeter import SECTORS
from facetgrade.simulate.pathology.edema import EdemaTexture
from facetgrade.simulate.pathology.effusion import EffusionPlan
from facetgrade.simulate.pathology.settings import PathologySettings
from facetgrade.simulate.pathology.surroundings import Surroundings

LARGEST_FRACTION = 0.97
_SMALLEST_FRACTION = 0.08
_LEAST_MM = 1.7
_NONE_MM = -2.0
_FALL_MM = 1.2
# Dorsal, ventral (flaval), superior, inferior recess.
_RECESS_SHARES = np.array([0.7, 0.4, 0.5, 0.6])
_SUPERIOR = (Structure.SUPERIOR_ARTICULAR_PROCESS,)
_INFERIOR = (Structure.INFERIOR_ARTICULAR_PROCESS, Structure.LAMINA)
_MARROW_CHOICES = (_SUPERIOR, _INFERIOR, _SUPERIOR + _INFERIOR)
_MARROW_SHARES = (0.25, 0.2, 0.55)


@dataclass(frozen=True, kw_only=True, slots=True)
class JointPlan:
    """Everything that one joint shows.

    Attributes
    ----------
    effusion : EffusionPlan
        Film or effusion.
    perimeter_fraction : float
        Wanted share of the perimeter, 0 without soft-tissue edema.
    thickness_mm : float
        Mean thickness of soft-tissue edema.
    marrow_depth_mm : float
        Depth of articular-process marrow edema, 0 without.
    marrow_structures : tuple of Structure
        Bones that take it: one process or both, the lamina with the inferior one.
    sites : tuple of ExtensionSite
        Sites of grade 4.
    texture : EdemaTexture
        Look of the edges.
    """

    effusion: EffusionPlan
    perimeter_fraction: float
    thickness_mm: float
    marrow_depth_mm: float
    marrow_structures: tuple[Structure, ...]
    sites: tuple[ExtensionSite, ...]
    texture: EdemaTexture


def draw_plan(
    rng: np.random.Generator, grade: int, settings: PathologySettings
) -> JointPlan:
    """Draw what a joint of the wanted grade shows.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    grade : int
        0-4.
    settings : PathologySettings
        Ranges and probabilities.

    Returns
    -------
    JointPlan
        The drawing instructions.

    Raises
    ------
    ValueError
        If the grade is not 0-4.
    """
    if grade not in range(5):
        raise ValueError(f"grade must be 0-4, got {grade}")
    wet = grade == 1 or (grade >= 2 and rng.random() >= settings.effusion_missing)
    marrow_only = grade == 2 and rng.random() < settings.marrow_only
    marrow = marrow_only or (grade >= 2 and rng.random() < settings.marrow_edema)
    depth_mm = rng.uniform(*settings.marrow_depth_mm)
    return JointPlan(
        effusion=_draw_effusion(rng, wet, settings),
        perimeter_fraction=0.0
        if grade < 2 or marrow_only
        else _draw_fraction(rng, grade, settings.margin),
        thickness_mm=rng.uniform(*settings.soft_tissue_thickness_mm),
        marrow_depth_mm=depth_mm if marrow else 0.0,
        marrow_structures=_MARROW_CHOICES[int(rng.choice(3, p=_MARROW_SHARES))],
        sites=_draw_sites(rng, settings) if grade == 4 else (),
        texture=EdemaTexture(
            roughness=settings.edge_noise * rng.uniform(0.6, 1.4),
            edge_mm=settings.edge_width_mm * rng.uniform(0.6, 1.4),
            strength=rng.uniform(0.75, 1.0),
        ),
    )


def draw_sectors(rng: np.random.Generator, around: Surroundings) -> NDArray[np.intp]:
    """Put the fillable sectors into the order in which edema takes them.

    Edema starts behind or beside the joint, where most of it is seen, and creeps along
    both ways; in one joint of four a second focus takes every third sector.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    around : Surroundings
        Sectors of the joint.

    Returns
    -------
    (N,) intp ndarray
        Indices of fillable sectors, first taken first.
    """
    sectors = np.flatnonzero(around.fillable)
    first = _by_distance(sectors, rng.normal(3.0, 9.0), rng.uniform(0.5, 2.0))
    if rng.random() >= 0.25:
        return first
    second = _by_distance(sectors, rng.uniform(0.0, SECTORS), 1.0)
    rank = np.empty(SECTORS)
    rank[first] = np.arange(len(first))
    other = np.empty(SECTORS)
    other[second] = 3.0 * np.arange(len(second)) + 6.0
    return sectors[np.argsort(np.minimum(rank, other)[sectors], kind="stable")]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class ThicknessPattern:
    """Random but fixed pattern from which thickness tables of any share are cut.

    Attributes
    ----------
    order : (N,) intp ndarray
        Sectors in the order in which edema takes them.
    relative : (P, 72) float64 ndarray
        Thickness relative to the mean.
    middle, share : (72,) float64 ndarray
        Relative height of the middle of the abnormal band, and its share of the height.
    """

    order: NDArray[np.intp]
    relative: NDArray[np.float64]
    middle: NDArray[np.float64]
    share: NDArray[np.float64]


def draw_pattern(
    rng: np.random.Generator, around: Surroundings, settings: PathologySettings
) -> ThicknessPattern:
    """Draw how thickness and height of the edema vary around the joint."""
    planes = len(around.plane_heights_mm)
    wave = _periodic_noise(rng, 5)
    slow = _periodic_noise(rng, 2)
    vertical = np.linspace(-1.0, 1.0, planes)[:, None] * rng.normal(0.0, 0.25)
    low, high = settings.height_share
    middle = 0.5 + 0.18 * _periodic_noise(rng, 3) + rng.normal(0.0, 0.1)
    share = low + (high - low) * np.clip(0.5 + 0.4 * slow, 0.0, 1.0)
    return ThicknessPattern(
        order=draw_sectors(rng, around),
        relative=np.clip(1.0 + 0.3 * wave[None, :] + vertical, 0.4, 1.8),
        middle=np.clip(middle, 0.1, 0.9),
        share=share,
    )


def thickness_table(
    pattern: ThicknessPattern,
    around: Surroundings,
    *,
    sectors: int,
    thickness_mm: float,
    height_share: float,
) -> NDArray[np.float64]:
    """Cut a table of wanted thickness with a given number of abnormal sectors.

    Parameters
    ----------
    pattern : ThicknessPattern
        Order, variation and bands.
    around : Surroundings
        Room in each plane and sector.
    sectors : int
        How many sectors become abnormal.
    thickness_mm : float
        Mean thickness.
    height_share : float
        Share of the height over which a sector must be abnormal to count.

    Returns
    -------
    (P, 72) float64 ndarray
        mm, negative where no edema is wanted.
    """
    planes = len(around.plane_heights_mm)
    needed = int(np.ceil(height_share * planes)) + 1
    table = np.full((planes, SECTORS), _NONE_MM)
    taken = np.zeros(SECTORS, bool)
    taken[pattern.order[:sectors]] = True
    taper = _taper(taken)
    for sector in np.flatnonzero(taken).tolist():
        band = _band(around.room_mm[:, sector], pattern, sector, needed)
        wanted = thickness_mm * pattern.relative[band, sector] * taper[sector]
        wanted *= _rounded(band)
        table[band, sector] = np.maximum(wanted, _LEAST_MM)
    return _falling_off(table)


def _draw_effusion(
    rng: np.random.Generator, wet: bool, settings: PathologySettings
) -> EffusionPlan:
    """Draw a film or an effusion with distended recesses."""
    if not wet:
        dry = rng.random() < 0.2
        film_mm = 0.0 if dry else rng.uniform(*settings.film_width_mm)
        return EffusionPlan(
            width_mm=film_mm,
            recess_mm=(0.0, 0.0, 0.0, 0.0),
            synovium_mm=0.0,
            patchiness=rng.uniform(0.3, 1.0),
        )
    low, high = settings.effusion_width_mm
    width_mm = low + (high - low) * rng.beta(1.0, 2.0)
    swelling = rng.uniform(0.2, 1.0, 4) * width_mm + 0.3
    if rng.random() >= settings.recess_distension:
        swelling[:] = 0.0
    return EffusionPlan(
        width_mm=width_mm,
        recess_mm=tuple((swelling * _RECESS_SHARES).tolist()),
        synovium_mm=rng.uniform(*settings.synovium_mm),
        patchiness=rng.uniform(0.0, 0.35),
    )


def _draw_fraction(rng: np.random.Generator, grade: int, margin: float) -> float:
    """Draw the wanted share of the perimeter, on one side of one half."""
    if grade == 2:
        return float(rng.uniform(_SMALLEST_FRACTION, 0.5 - margin))
    return float(rng.uniform(0.5 + margin, LARGEST_FRACTION))


def _draw_sites(
    rng: np.random.Generator, settings: PathologySettings
) -> tuple[ExtensionSite, ...]:
    """Draw at least one site of grade 4."""
    chances = settings.extension
    weights = {
        ExtensionSite.FORAMEN: chances.foramen,
        ExtensionSite.LIGAMENTUM_FLAVUM: chances.ligamentum_flavum,
        ExtensionSite.PEDICLE: chances.pedicle,
        ExtensionSite.TRANSVERSE_PROCESS: chances.transverse_process,
        ExtensionSite.VERTEBRAL_BODY: chances.vertebral_body,
    }
    drawn = [site for site, chance in weights.items() if rng.random() < chance]
    if not drawn:
        share = np.array(list(weights.values())) + 1e-9
        drawn = [list(weights)[int(rng.choice(len(share), p=share / share.sum()))]]
    return tuple(drawn)


def _by_distance(
    sectors: NDArray[np.intp], seed: float, lateral_speed: float
) -> NDArray[np.intp]:
    """Sort sectors by their distance from a seed, one way faster than the other."""
    offset = (sectors - seed + SECTORS / 2.0) % SECTORS - SECTORS / 2.0
    cost = np.where(offset > 0, offset / lateral_speed, -offset)
    return sectors[np.argsort(cost, kind="stable")]


def _periodic_noise(rng: np.random.Generator, waves: int) -> NDArray[np.float64]:
    """Draw a smooth periodic curve over the sectors, standard deviation about 1."""
    angle = np.arange(SECTORS) * 2.0 * np.pi / SECTORS
    curve = np.zeros(SECTORS)
    for wave in range(1, waves + 1):
        sine, cosine = rng.standard_normal(2)
        curve += sine * np.sin(wave * angle) + cosine * np.cos(wave * angle)
    return np.asarray(curve / np.sqrt(waves))


def _taper(taken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Thin the edema toward the ends of its arcs."""
    taper = np.ones(SECTORS)
    for step, share in ((1, 0.45), (2, 0.65), (3, 0.85)):
        end = taken & ~(np.roll(taken, step) & np.roll(taken, -step))
        taper[end] = np.minimum(taper[end], share)
    return taper


def _rounded(band: NDArray[np.intp]) -> NDArray[np.float64]:
    """Thin the edema toward the upper and lower end of its band."""
    if len(band) == 0:
        return np.ones(0)
    middle, half = (band[0] + band[-1]) / 2.0, (band[-1] - band[0] + 2.0) / 2.0
    rounded: NDArray[np.float64] = np.sqrt(1.0 - 0.8 * ((band - middle) / half) ** 2)
    return rounded


def _falling_off(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let the thickness fall by steps beside the abnormal part, not at once."""
    edge = np.minimum(table, _LEAST_MM)
    for _ in range(3):
        beside = np.maximum(np.roll(edge, 1, axis=1), np.roll(edge, -1, axis=1))
        beside[1:] = np.maximum(beside[1:], edge[:-1])
        beside[:-1] = np.maximum(beside[:-1], edge[1:])
        edge = np.where(table > 0.0, edge, np.maximum(edge, beside - _FALL_MM))
    return np.where(table > 0.0, table, edge)


def _band(
    room_mm: NDArray[np.float64], pattern: ThicknessPattern, sector: int, needed: int
) -> NDArray[np.intp]:
    """Choose the planes of one sector that become abnormal."""
    planes = len(room_mm)
    roomy = np.flatnonzero(room_mm >= 1.2)
    wanted = max(needed, round(float(pattern.share[sector]) * planes))
    middle = float(pattern.middle[sector]) * (planes - 1)
    nearest = np.argsort(np.abs(roomy - middle), kind="stable")
    return np.sort(roomy[nearest[:wanted]])
