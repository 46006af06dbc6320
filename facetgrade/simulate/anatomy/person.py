"""One person's draw: sizes, posture, joints, and how it is told in the provenance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.posture import (
    Alignment,
    Interspace,
    Pose,
    facet_targets,
    sacral_tilts,
    stack_bodies,
)
from facetgrade.simulate.anatomy.proportions import (
    CHAIN,
    Proportions,
    draw_proportions,
)
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.variant import LevelVariant, draw_variant

_LUMBAR = CHAIN[3:8]
_THORACIC_TILT_DEG = 4.0  # kyphosis between neighbors above L1


@dataclass(frozen=True, kw_only=True, slots=True)
class SacralStyle:
    """Individual shape of a sacrum.

    Attributes
    ----------
    wing_scale : float
        Width of the sacrum relative to its size.
    table_deg : float
        How far the upper endplate leans forward of the axis of S1.
    width_scale, depth_scale : tuple of float
        Extents of the bodies S1 to S5 relative to the usual.
    remnant_mm : tuple of float
        Heights of the disc remnants below S1 to S4.
    """

    wing_scale: float
    table_deg: float
    width_scale: tuple[float, ...]
    depth_scale: tuple[float, ...]
    remnant_mm: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Person:
    """Everything that decides the shape of one simulated spine.

    Attributes
    ----------
    sizes : mapping of str to Proportions
        Sizes of `CHAIN`.
    variant : LevelVariant
        Junction and rib count.
    alignment : Alignment
        Angles and shifts.
    poses : mapping of str to Pose
        Bodies from the top, sacral segments included.
    interspaces : tuple of Interspace
        Discs with their joints from the top, the last is L5-S1.
    scale : float
        Size of the person, 1 = adult mean.
    cortical_mm : float
        Thickness of the bone's shell.
    sacrum : SacralStyle
        Individual shape of the sacrum.
    """

    sizes: Mapping[str, Proportions]
    variant: LevelVariant
    alignment: Alignment
    poses: Mapping[str, Pose]
    interspaces: tuple[Interspace, ...]
    scale: float
    cortical_mm: float
    sacrum: SacralStyle

    @property
    def wing_half_mm(self) -> float:
        """Half width of the sacrum at S1."""
        return self.sizes["S1"].transverse_span / 2.0 * self.sacrum.wing_scale

    def provenance(self) -> dict[str, str]:
        """Return the drawn parameters worth keeping, as text.

        `transitional` is ``yes`` where the spine could be numbered in another way;
        `lumbar_type_vertebrae`, `sacralised_l5`, `lumbarised_s1` and `s1_s2_disc`
        say why. `slip_<name>_mm` is listed where a vertebra has slipped forward.
        """
        variant = self.variant
        tilt = self.alignment.tilt
        slips = {
            f"slip_{name}_mm": f"{value:.1f}"
            for name, value in self.alignment.slip.items()
        }
        wear = [item.degeneration for item in self.interspaces]
        return {
            "size_scale": f"{self.scale:.3f}",
            "sacral_slope_deg": f"{tilt['S1']:.1f}",
            "lordosis_deg": f"{tilt['S1'] - tilt['L1']:.1f}",
            "lumbar_type_vertebrae": str(variant.lumbar_count),
            "ribs_down_to": variant.ribbed[-1],
            "sacralised_l5": f"{variant.sacralised:.2f}",
            "lumbarised_s1": f"{variant.lumbarised:.2f}",
            "s1_s2_disc": f"{variant.s1_s2_disc:.2f}",
            "transitional": "yes" if variant.is_transitional else "no",
            "scoliosis_deg": f"{np.ptp(list(self.alignment.roll.values())):.1f}",
            "disc_degeneration": f"{np.mean(wear):.2f}",
            **slips,
        }


def draw_person(rng: np.random.Generator, settings: AnatomySettings) -> Person:
    """Draw one person within the ranges of the settings."""
    scale = settings.size_scale.draw(rng)
    variant = draw_variant(rng, settings)
    sizes = draw_proportions(rng, scale=scale, sd=settings.proportion_sd)
    sizes = _shape_junction(rng, sizes, variant, settings)
    wear = _draw_degeneration(rng, settings)
    alignment = _draw_alignment(rng, sizes, variant, wear, settings)
    origin = rng.normal(0.0, settings.position_jitter_mm / 2.0, 3)
    poses = stack_bodies(sizes, alignment, origin)
    return Person(
        sizes=sizes,
        variant=variant,
        alignment=alignment,
        poses=poses,
        interspaces=_draw_interspaces(rng, sizes, alignment, poses, wear, settings),
        scale=scale,
        cortical_mm=settings.cortical_mm.draw(rng),
        sacrum=_draw_sacral_style(rng, sizes["S1"].disc_height, scale),
    )


def _draw_sacral_style(
    rng: np.random.Generator, first_mm: float, scale: float
) -> SacralStyle:
    """Draw the shape of a sacrum whose upper disc remnant is given."""
    lower = scale * np.array([1.8, 1.3, 1.0]) * rng.uniform(0.3, 1.3, 3)
    return SacralStyle(
        wing_scale=float(rng.uniform(0.95, 1.12)),
        table_deg=float(np.clip(rng.normal(0.0, 4.0), -7.0, 7.0)),
        width_scale=tuple(float(v) for v in rng.normal(1.0, 0.05, 5)),
        depth_scale=tuple(float(v) for v in rng.normal(1.0, 0.07, 5)),
        remnant_mm=(first_mm, *(float(v) for v in lower)),
    )


def _shape_junction(
    rng: np.random.Generator,
    sizes: dict[str, Proportions],
    variant: LevelVariant,
    settings: AnatomySettings,
) -> dict[str, Proportions]:
    """Wedge L5 and make L5 or S1 transitional."""
    fifth, first = sizes["L5"], sizes["S1"]
    fused, freed = variant.sacralised, variant.lumbarised
    sizes["L5"] = replace(
        fifth,
        wedge_deg=settings.wedged_l5_deg.draw(rng) * (1.0 - 0.6 * fused),
        transverse_span=fifth.transverse_span * (1.0 + 0.15 * fused),
        disc_height=fifth.disc_height * (1.0 - 0.7 * fused),
    )
    sizes["S1"] = replace(
        first,
        width_lower=first.width_lower * (1.0 + 0.2 * freed),
        depth_lower=first.depth_lower * (1.0 + 0.22 * freed),
        disc_height=1.0 + 8.0 * max(freed, variant.s1_s2_disc * 0.5),
    )
    return sizes


def _draw_degeneration(
    rng: np.random.Generator, settings: AnatomySettings
) -> dict[str, float]:
    """Draw how worn each disc is, more so at the lower levels."""
    person = settings.disc_degeneration.draw(rng)
    low = {"L3": 0.1, "L4": 0.25, "L5": 0.25}
    return {
        name: float(
            np.clip(person * 0.7 + low.get(name, 0.0) + rng.normal(0, 0.2) - 0.1, 0, 1)
        )
        for name in CHAIN
    }


def _draw_alignment(
    rng: np.random.Generator,
    sizes: Mapping[str, Proportions],
    variant: LevelVariant,
    wear: Mapping[str, float],
    settings: AnatomySettings,
) -> Alignment:
    """Draw the angles, slips and disc heights of one person."""
    slope = settings.sacral_slope_deg.draw(rng)
    wanted = slope + settings.lordosis_excess_deg.draw(rng)
    wanted = float(
        np.clip(wanted, settings.lordosis_deg.low, settings.lordosis_deg.high)
    )
    tilt = sacral_tilts(
        slope,
        settings.sacral_kyphosis_deg.draw(rng) * (1.0 - 0.2 * variant.lumbarised),
    )
    tilt.update(_lumbar_tilts(rng, sizes, slope=slope, lordosis=wanted))
    for lower, upper in (("L1", "T12"), ("T12", "T11"), ("T11", "T10")):
        tilt[upper] = tilt[lower] + rng.normal(_THORACIC_TILT_DEG, 1.5)
    roll, turn = _draw_scoliosis(rng, settings)
    person = settings.disc_height_scale.draw(rng)
    heights = {
        name: size.disc_height * person * (1.0 - 0.45 * wear[name] ** 2)
        for name, size in sizes.items()
    }
    heights["S1"] = sizes["S1"].disc_height
    return Alignment(
        tilt=tilt,
        roll=roll,
        turn=turn,
        slip=_draw_slip(rng, settings),
        disc_height={n: max(h, 2.0) if n != "S1" else h for n, h in heights.items()},
    )


def _lumbar_tilts(
    rng: np.random.Generator,
    sizes: Mapping[str, Proportions],
    *,
    slope: float,
    lordosis: float,
) -> dict[str, float]:
    """Spread the lordosis over bodies and discs and return the lean of L1 to L5."""
    bodies = {n: sizes[n].wedge_deg + rng.normal(0.0, 1.0) for n in _LUMBAR}
    discs = {
        n: max(sizes[n].disc_wedge_deg * rng.normal(1.0, 0.15), 1.0) for n in _LUMBAR
    }
    inner = sum(bodies[n] for n in _LUMBAR)
    factor = np.clip((lordosis - inner) / sum(discs.values()), 0.1, 1.8)
    tilts, lean = {}, slope
    for name in reversed(_LUMBAR):
        lean -= discs[name] * float(factor) + bodies[name] / 2.0
        tilts[name] = lean
        lean -= bodies[name] / 2.0
    return tilts


def _draw_scoliosis(
    rng: np.random.Generator, settings: AnatomySettings
) -> tuple[dict[str, float], dict[str, float]]:
    """Draw a sideways curve with its rotation on top of how the patient lies."""
    curve = settings.scoliosis_deg.draw(rng) / 2.0
    roll0 = settings.patient_tilt_deg.draw(rng)
    turn0 = settings.patient_tilt_deg.draw(rng)
    phase = rng.uniform(0.0, np.pi)
    steps = np.arange(len(CHAIN)) / len(CHAIN)
    bend = curve * np.sin(2.0 * np.pi * steps * rng.uniform(0.6, 1.1) + phase)
    roll = {n: roll0 + float(b - bend[-1]) for n, b in zip(CHAIN, bend, strict=True)}
    turn = {
        n: turn0 + 0.7 * float(b - bend[-1]) for n, b in zip(CHAIN, bend, strict=True)
    }
    for name in ("S2", "S3", "S4", "S5"):
        roll[name], turn[name] = roll["S1"], turn["S1"]
    return roll, turn


def _draw_slip(rng: np.random.Generator, settings: AnatomySettings) -> dict[str, float]:
    """Draw a forward slip, mostly of L4."""
    if rng.random() >= settings.listhesis_probability:
        return {}
    name = str(rng.choice(["L3", "L4", "L5"], p=[0.15, 0.6, 0.25]))
    return {name: settings.listhesis_mm.draw(rng)}


def _draw_interspaces(
    rng: np.random.Generator,
    sizes: Mapping[str, Proportions],
    alignment: Alignment,
    poses: Mapping[str, Pose],
    wear: Mapping[str, float],
    settings: AnatomySettings,
) -> tuple[Interspace, ...]:
    """Draw the discs and joints from the top to L5-S1."""
    return tuple(
        _draw_interspace(
            rng,
            sizes,
            alignment.disc_height[upper],
            (poses[upper], poses[lower]),
            wear[upper],
            settings,
        )
        for upper, lower in pairwise(CHAIN)
    )


def _draw_interspace(
    rng: np.random.Generator,
    sizes: Mapping[str, Proportions],
    height_mm: float,
    poses: tuple[Pose, Pose],
    wear: float,
    settings: AnatomySettings,
) -> Interspace:
    """Draw one disc with its two joints."""
    upper, lower = poses
    size = sizes[upper.name]
    disc = _middle_pose(upper, lower, size, sizes[lower.name])
    angle = size.facet_angle_deg + rng.normal(0.0, settings.facet_angle_sd_deg)
    tropism = rng.normal(0.0, settings.facet_tropism_sd_deg) / 2.0
    angles = {
        side: float(np.clip(angle + side.sign * tropism, 12.0, 80.0)) for side in Side
    }
    chance = settings.facet_degeneration_probability * (0.5 + wear)
    worn = {s: float(rng.uniform(0.3, 1.0)) * (rng.random() < chance) for s in Side}
    gaps = {
        s: (settings.narrowed_gap_mm if worn[s] > 0 else settings.joint_gap_mm).draw(
            rng
        )
        for s in Side
    }
    return Interspace(
        upper=upper.name,
        lower=lower.name,
        pose=disc,
        height_mm=height_mm,
        degeneration=wear,
        facets=facet_targets(size, disc, angles_deg=angles),
        gap_mm=gaps,
        curvature={s: settings.facet_curvature.draw(rng) for s in Side},
        arthrosis=worn,
    )


def _middle_pose(
    upper: Pose, lower: Pose, upper_size: Proportions, lower_size: Proportions
) -> Pose:
    """Return the middle and the mean axes of the disc between two bodies."""
    roof = upper.to_lps(np.array([0.0, 0.0, -upper_size.height / 2.0]))
    floor = lower.to_lps(np.array([0.0, 0.0, lower_size.height / 2.0]))
    mean = upper.axes + lower.axes
    u, _, vt = np.linalg.svd(mean)
    return Pose(
        name=f"{upper.name}-{lower.name}",
        center_lps_mm=(roof + floor) / 2.0,
        axes=np.asarray(u @ vt),
    )
