"""Osteophytes of worn facet joints and discs, and what thickens beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import Interspace
from facetgrade.simulate.anatomy.settings import AnatomySettings, Span
from facetgrade.simulate.anatomy.sources import has_solid_processes

# Where on the rim spurs grow: middle and spread of the angle in degrees, 0 = dorsal
# and lateral, 90 = top, 180 = ventral and medial; and the smallest and largest number.
_RIM = ((0.0, 32.0, (3, 5)), (180.0, 28.0, (2, 3)), (90.0, 35.0, (0, 1)))
_WORN_DISC = 0.4  # degeneration from which the endplates grow lips
_FRONT_DEG = {"S1": 50.0}  # how far from the front lips grow; beside S1 are its wings
_OTHER_FRONT_DEG = 105.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Spur:
    """One spur at the rim of a facet or an endplate.

    Attributes
    ----------
    angle_deg : float
        Place on the rim: of a facet, 0 dorsolateral, 90 cranial, 180 ventromedial; of
        an endplate, 0 in front, 90 left.
    length_mm : float
        How far it stands out of the bone.
    tip_mm : float
        Radius of its tip.
    hook : float
        Share of the length by which the tip bends toward the other bone.
    """

    angle_deg: float
    length_mm: float
    tip_mm: float
    hook: float


@dataclass(frozen=True, kw_only=True, slots=True)
class JointWear:
    """What grows at one worn facet joint.

    Attributes
    ----------
    spurs : tuple of two tuples of Spur
        At the inferior articular process of the upper and at the superior articular
        process of the lower vertebra.
    hypertrophy_mm : tuple of two float
        How much thicker both processes are all around, away from the joint space.
    flavum_mm : float
        How much thicker the ligamentum flavum in front of the joint is.
    """

    spurs: tuple[tuple[Spur, ...], tuple[Spur, ...]]
    hypertrophy_mm: tuple[float, float]
    flavum_mm: float

    @property
    def longest_mm(self) -> float:
        """Length of the longest spur, 0 without any."""
        return max((s.length_mm for side in self.spurs for s in side), default=0.0)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Osteophytes:
    """All that wear has added to one person's spine.

    Attributes
    ----------
    joints : mapping of (str, Side) to JointWear
        Worn facet joints by the name of the upper vertebra.
    lips : mapping of str to tuple of two tuples of Spur
        By the name of the upper vertebra, at the lower endplate of it and at the upper
        endplate of the vertebra below.
    """

    joints: Mapping[tuple[str, Side], JointWear]
    lips: Mapping[str, tuple[tuple[Spur, ...], tuple[Spur, ...]]]

    def provenance(self) -> dict[str, str]:
        """Return the longest spur of each joint that has any, as text."""
        return {
            f"osteophyte_{upper}_{side.value}_mm": f"{wear.longest_mm:.1f}"
            for (upper, side), wear in self.joints.items()
            if wear.longest_mm > 0.0
        }


def draw_osteophytes(
    rng: np.random.Generator, person: Person, source: str, settings: AnatomySettings
) -> Osteophytes:
    """Draw what grows at the worn joints and discs of one person.

    Parameters
    ----------
    rng : Generator
        A stream of its own, so that a seed gives the same person with and without.
    person : Person
        Wear of discs and joints.
    source : str
        Anatomy source; processes made of solids are thickened by their builder.
    settings : AnatomySettings
        Ranges; those that end at 0 add nothing.
    """
    joints = {}
    lips = {}
    for item in person.interspaces:
        for side in Side:
            if item.arthrosis[side] > 0.0:
                joints[item.upper, side] = _draw_wear(rng, item, side, source, settings)
        if item.degeneration > _WORN_DISC:
            span = settings.endplate_osteophyte_mm
            upper = _draw_lips(rng, item.upper, item.degeneration, span)
            lower = _draw_lips(rng, item.lower, item.degeneration, span)
            lips[item.upper] = upper, lower
    return Osteophytes(joints=joints, lips=lips)


def _draw_wear(
    rng: np.random.Generator,
    item: Interspace,
    side: Side,
    source: str,
    settings: AnatomySettings,
) -> JointWear:
    """Draw what grows at one joint, more where it is more worn."""
    worn = item.arthrosis[side]
    upper = _draw_spurs(rng, worn, settings.facet_osteophyte_mm)
    lower = _draw_spurs(rng, worn, settings.facet_osteophyte_mm)
    thicker = [
        _grown(settings.facet_hypertrophy_mm, worn * rng.uniform(0.6, 1.0))
        * (not has_solid_processes(source, name))
        for name in (item.upper, item.lower)
    ]
    return JointWear(
        spurs=(upper, lower),
        hypertrophy_mm=(thicker[0], thicker[1]),
        flavum_mm=_grown(settings.flavum_thickening_mm, worn * rng.uniform(0.6, 1.0)),
    )


def _draw_spurs(rng: np.random.Generator, worn: float, span: Span) -> tuple[Spur, ...]:
    """Draw the spurs of one articular process."""
    if span.high <= 0.0:
        return ()
    return tuple(
        Spur(
            angle_deg=float(rng.normal(middle, spread)),
            length_mm=_grown(span, worn * rng.uniform(0.5, 1.0)),
            tip_mm=float(rng.uniform(0.9, 2.0)),
            hook=float(rng.uniform(-0.1, 0.6)),
        )
        for middle, spread, count in _RIM
        for _ in range(int(rng.integers(count[0], count[1] + 1)))
    )


def _draw_lips(
    rng: np.random.Generator, name: str, worn: float, span: Span
) -> tuple[Spur, ...]:
    """Draw the lips of one endplate, each a row of spurs beside each other."""
    if span.high <= 0.0:
        return ()
    reach = _FRONT_DEG.get(name, _OTHER_FRONT_DEG)
    spurs = []
    for middle in rng.uniform(-reach, reach, int(rng.integers(1, 4))):
        length = _grown(span, worn * rng.uniform(0.2, 1.0))
        hook = float(rng.uniform(0.0, 0.5))
        for step in (-2, -1, 0, 1, 2):
            spurs.append(
                Spur(
                    angle_deg=float(middle + step * rng.uniform(5.0, 8.0)),
                    length_mm=length * float(1.0 - 0.25 * abs(step)),
                    tip_mm=float(rng.uniform(0.8, 1.3)),
                    hook=hook,
                )
            )
    return tuple(spurs)


def _grown(span: Span, share: float) -> float:
    """Return the value at a share of a range."""
    return float(span.low + share * (span.high - span.low))
