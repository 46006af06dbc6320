"""Settings of the localizer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LocalizeSettings(BaseModel):
    """Section ``[localize]`` of the pipeline configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    min_body_score: float = Field(ge=0.0, le=1.0)
    min_joint_score: float = Field(ge=0.0, le=1.0)
    min_numbering_probability: float = Field(ge=0.0, le=1.0)
    min_sacrum_vote: float = Field(ge=0.0, le=1.0)
    vote_temperature: float = Field(gt=0.0)
    scout_weight: float = Field(gt=0.0, le=1.0)
    usual_distance_mm: tuple[float, float, float]
