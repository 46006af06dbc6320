"""Settings of the segmenter."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from facetgrade.anatomy import Lesion


class BeliefSettings(BaseModel):
    """When the network is believed that something is a lesion.

    Attributes
    ----------
    threshold : float
        Probability of the network at which a voxel is as often a lesion as not; it
        becomes one half.
    smallest_mm3, least_mean_probability : float
        What a connected piece must have to be more than noise of the network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(gt=0.0, lt=1.0)
    smallest_mm3: float = Field(ge=0.0, allow_inf_nan=False)
    least_mean_probability: float = Field(ge=0.0, le=1.0)


class SegmentSettings(BaseModel):
    """Section ``[segment]`` of the pipeline configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: str
    joints_per_pass: int = Field(ge=1)
    largest_shift_mm: float = Field(gt=0.0)
    core_radius_mm: float = Field(gt=0.0)
    belief: dict[Lesion, BeliefSettings]
