"""Settings of a training run, one TOML file per network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunSettings(_Section):
    """What is trained, how long, where it is kept.

    `start` names the weights to go on from (empty: none; ``shipped``: those in use),
    `keep` which averaged weights a run ends with, `patience` how many validations
    without a better score end it (0: none do). `device` is as for `facetgrade grade`;
    under torchrun each process takes a GPU of its own.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    architecture: Literal["spine-localizer", "joint-segmenter"]
    folder: Path
    seed: int
    steps: int = Field(ge=0)
    minutes: float = Field(ge=0.0)
    threads: int = Field(ge=1)
    workers: int = Field(ge=0)
    checkpoint_every: int = Field(ge=1)
    validate_every: int = Field(ge=1)
    start: str = ""
    keep: Literal["last", "best"] = "last"
    patience: int = Field(default=0, ge=0)
    device: str = "cpu"


class OptimizerSettings(_Section):
    """AdamW with warm-up and cosine decay."""

    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0.0)
    weight_decay: float = Field(ge=0.0)
    warmup_steps: int = Field(ge=0)
    gradient_clip: float = Field(gt=0.0)
    average_decay: float = Field(ge=0.0, lt=1.0)
    bfloat16: bool
    accumulate: int = Field(default=1, ge=1)


class CaseSettings(_Section):
    """Which simulated patients are made before the first step.

    `overrides` names the keys of `simulate_config` that differ, by section, and
    `tissue_spread` says how far tissues of the segmenter's views stray from the table.
    """

    sources: dict[str, int]
    validation: dict[str, int]
    simulate_config: Path
    overrides: dict[str, Any] = Field(default_factory=dict)
    data_folder: Path
    seed: int
    tissue_spread: float = Field(default=1.0, ge=0.0)
    joints_per_scene: int = Field(ge=1, le=10)
    views_per_joint: int = Field(ge=1)


class RenderSettings(_Section):
    """How pictures are drawn from a cached patient at every step."""

    physics_share: float = Field(ge=0.0, le=1.0)
    rotation_deg: float = Field(ge=0.0)
    scale: tuple[float, float]
    shift_mm: float = Field(ge=0.0)


class DataSettings(_Section):
    """Annotated cases that are mixed with simulated ones.

    `share` of the draws come from the manifest. Subjects without a split are put into
    validation and test with the given shares, and `splits` keeps the decision. Views in
    memory take up to `cache_mb`.
    """

    manifest: Path
    splits: Path
    split_seed: int
    validation_share: float = Field(ge=0.0, lt=1.0)
    test_share: float = Field(ge=0.0, lt=1.0)
    share: float = Field(gt=0.0, le=1.0)
    views_per_joint: int = Field(ge=1)
    weak_weight: float = Field(ge=0.0)
    cache_mb: float = Field(ge=0.0)


class CardSettings(_Section):
    """What the model card and the manifest say of the weights."""

    weights: str
    license: str
    summary: str
    intended_use: str = "Research only; not for diagnosis or treatment."


class TrainSettings(_Section):
    """A whole training configuration."""

    run: RunSettings
    network: dict[str, int | list[int]]
    optimizer: OptimizerSettings
    cases: CaseSettings
    render: RenderSettings
    card: CardSettings
    data: DataSettings | None = None
