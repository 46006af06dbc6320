"""Settings of the segmenter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SegmentSettings(BaseModel):
    """Section ``[segment]`` of the pipeline configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    joints_per_pass: int = Field(ge=1)
    largest_shift_mm: float = Field(gt=0.0)
    core_radius_mm: float = Field(gt=0.0)
