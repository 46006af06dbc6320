"""Settings of the report stage: section ``[report]`` of configs/pipeline.toml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ReportSettings(BaseModel):
    """How the pictures of a report are made.

    Attributes
    ----------
    field_of_view_mm : float
        Side of the square that each picture of a joint shows.
    pixel_mm : float
        Pixel of the pictures after interpolation.
    jpeg_quality : int
        1-95.
    max_pictures_per_joint : int
        The three planes come first, then native slices of further series.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_of_view_mm: float = Field(ge=20, le=200)
    pixel_mm: float = Field(ge=0.05, le=2)
    jpeg_quality: int = Field(ge=1, le=95)
    max_pictures_per_joint: int = Field(ge=3, le=20)
