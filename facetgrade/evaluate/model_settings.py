"""Settings of `facetgrade compare-models`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from facetgrade.evaluate.settings import IntervalSettings


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VerdictSettings(_Section):
    """How much worse a model may be: losses of kappa with quadratic weights."""

    largest_loss: float = Field(ge=0.0)
    largest_benchmark_loss: float = Field(ge=0.0)


class OutlineSettings(_Section):
    """When outlines are compared."""

    least_mm3: float = Field(gt=0.0)


class CompareModelsSettings(_Section):
    """The whole file."""

    intervals: IntervalSettings
    verdict: VerdictSettings
    definitions: OutlineSettings
