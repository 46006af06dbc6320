"""Settings of the simulated anatomy, section ``[anatomy]`` of simulate.toml."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Spread(BaseModel):
    """Normal distribution cut to an interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: float
    sd: Annotated[float, Field(ge=0)]
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Spread:
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"need low <= mean <= high, got {self}")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value; a value outside the interval is drawn anew."""
        for _ in range(50):
            value = rng.normal(self.mean, self.sd)
            if self.low <= value <= self.high:
                return float(value)
        return self.mean


class Span(BaseModel):
    """Uniform distribution."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Span:
        if self.low > self.high:
            raise ValueError(f"need low <= high, got {self}")
        return self

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        return float(rng.uniform(self.low, self.high))


_NONE = Span(low=0.0, high=0.0)


class AnatomySettings(BaseModel):
    """Grids and ranges of the simulated patient.

    Lengths are mm, angles degrees, fractions 0-1. Sources of the numbers stand in
    the configuration file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_spacing_mm: Positive
    column_spacing_mm: Positive
    half_width_mm: Positive
    anterior_extent_mm: Positive

    size_scale: Spread
    proportion_sd: Annotated[float, Field(ge=0, le=0.2)]
    sacral_slope_deg: Spread
    lordosis_excess_deg: Spread
    lordosis_deg: Span
    scoliosis_deg: Spread
    patient_tilt_deg: Spread
    position_jitter_mm: Annotated[float, Field(ge=0)]
    listhesis_probability: Probability
    listhesis_mm: Span
    deformation_mm: Span

    disc_height_scale: Spread
    disc_degeneration: Span
    cortical_mm: Span

    facet_angle_sd_deg: Annotated[float, Field(ge=0)]
    facet_tropism_sd_deg: Annotated[float, Field(ge=0)]
    facet_curvature: Span
    joint_gap_mm: Span
    narrowed_gap_mm: Span
    facet_degeneration_probability: Probability
    facet_osteophyte_mm: Span = _NONE
    facet_hypertrophy_mm: Span = _NONE
    flavum_thickening_mm: Span = _NONE
    endplate_osteophyte_mm: Span = _NONE

    four_lumbar_probability: Probability
    six_lumbar_probability: Probability
    sacralised_l5_probability: Probability
    lumbarised_s1_probability: Probability
    wedged_l5_deg: Span
    s1_s2_disc: Span
    sacral_kyphosis_deg: Span

    subcutaneous_mm: Span
    muscle_fat_fraction: Span
