"""Variants of the lumbosacral junction and the number of lumbar-type vertebrae.

Vertebrae are named from the sacrum upward: the first sacral-type segment is S1, the
one above it L5 and so on, whatever carries ribs. A person with four lumbar-type
vertebrae therefore has ribs at L1, one with six has none at T12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.proportions import CHAIN
from facetgrade.simulate.anatomy.settings import AnatomySettings


@dataclass(frozen=True, kw_only=True, slots=True)
class LevelVariant:
    """One person's junction.

    Attributes
    ----------
    lumbar_count : int
        Vertebrae without ribs above the sacrum: 4, 5 or 6.
    sacralised : float
        0 free L5 to 1 L5 with a thin disc and transverse processes fused to the
        sacrum (it keeps the name L5).
    lumbarised : float
        0 ordinary S1 to 1 S1 with a square body and a full disc below; its wings make
        it sacral-type, so it keeps the name S1.
    s1_s2_disc : float
        Size of the disc remnant between S1 and S2, 0 none to 1 full.
    fused_sides : tuple of Side
        Where the transverse process of a sacralised L5 reaches the sacrum.
    """

    lumbar_count: int
    sacralised: float
    lumbarised: float
    s1_s2_disc: float
    fused_sides: tuple[Side, ...]

    @property
    def is_transitional(self) -> bool:
        """Tell whether a reader could number this spine in another way."""
        return self.lumbar_count != 5 or self.sacralised > 0.3 or self.lumbarised > 0.3

    @property
    def ribbed(self) -> tuple[str, ...]:
        """Vertebrae that carry ribs."""
        last = {4: "L1", 5: "T12", 6: "T11"}[self.lumbar_count]
        return CHAIN[: CHAIN.index(last) + 1]


def draw_variant(rng: np.random.Generator, settings: AnatomySettings) -> LevelVariant:
    """Draw the junction of one person."""
    four, six = settings.four_lumbar_probability, settings.six_lumbar_probability
    count = int(rng.choice([4, 5, 6], p=[four, 1.0 - four - six, six]))
    kind = rng.random()
    amount = float(rng.uniform(0.35, 1.0))
    remnant = settings.s1_s2_disc.draw(rng) * float(rng.uniform(0.0, 1.0))
    sides = (tuple(Side), (Side.LEFT,), (Side.RIGHT,))[rng.choice(3, p=[0.6, 0.2, 0.2])]
    sacralised = kind < settings.sacralised_l5_probability
    lumbarised = (
        not sacralised
        and kind
        < settings.sacralised_l5_probability + settings.lumbarised_s1_probability
    )
    return LevelVariant(
        lumbar_count=count,
        sacralised=amount if sacralised else 0.0,
        lumbarised=amount if lumbarised else 0.0,
        s1_s2_disc=max(remnant, amount) if lumbarised else remnant,
        fused_sides=sides if sacralised else (),
    )
