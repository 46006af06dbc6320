"""Settings of a training run, one TOML file per network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from facetgrade.evaluate.settings import BeliefChoices
from facetgrade.segment.settings import BeliefSettings

LARGEST_BEND_MM = 3.0  # more folds space between knots that are 12 mm apart
USUAL_GAMMA = (0.8, 1.25)  # exponents of the tone curves of segmenters


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunSettings(_Section):
    """What is trained, how long, where it is kept.

    `start` names the weights to go on from (empty: none; ``shipped``: those in use),
    `keep` which averaged weights a run ends with, `patience` how many validations
    without a better score end it (0: none do). `blend` is the share of what was learned
    that the result takes over, the rest stays as in `start`. `device` is as for
    `facetgrade grade`; under torchrun each process takes a GPU of its own.
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
    blend: float = Field(default=1.0, gt=0.0, le=1.0)
    mask_size: Literal["truth", "start"] = "truth"
    device: str = "cpu"

    @model_validator(mode="after")
    def _starts_from_something(self) -> Self:
        if self.blend < 1.0 and not self.start:
            raise ValueError("run.blend below 1 needs run.start: weights to blend with")
        if self.mask_size == "start" and not self.start:
            raise ValueError('run.mask_size = "start" needs run.start')
        return self


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
    """How pictures are drawn from a cached patient at every step.

    The segmenter's joints are turned by up to `rotation_deg` about each axis, stretched
    along each by a factor out of `scale`, moved by up to `shift_mm` and bent by up to
    `bend_mm`, all this in `shape_share` of the draws. Each of their stacks gets a tone
    curve with an exponent out of `gamma`, and every second one is blurred by a Gaussian
    with a standard deviation of up to `blur_mm`. The localizer bends and blurs nothing
    and has tone curves of its own.
    """

    physics_share: float = Field(ge=0.0, le=1.0)
    rotation_deg: float = Field(ge=0.0)
    scale: tuple[PositiveFloat, PositiveFloat]
    shift_mm: float = Field(ge=0.0)
    bend_mm: float = Field(default=0.0, ge=0.0, le=LARGEST_BEND_MM)
    shape_share: float = Field(default=1.0, ge=0.0, le=1.0)
    gamma: tuple[PositiveFloat, PositiveFloat] = USUAL_GAMMA
    blur_mm: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _are_ranges(self) -> Self:
        for name, (low, high) in (("scale", self.scale), ("gamma", self.gamma)):
            if low > high:
                raise ValueError(f"{name} must rise, got {(low, high)}")
        return self


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


class FitSettings(BeliefChoices):
    """Values of ``[segment.belief]`` that are tried on the annotated cases.

    They come after the values in use, which are not named again. With fewer than
    `least_joints` different joints, or as many with outlines for the correction, what
    is in use stays.
    """

    least_joints: int = Field(ge=1)

    @model_validator(mode="after")
    def _are_beliefs(self) -> Self:
        usual = {"threshold": 0.5, "smallest_mm3": 0.0, "least_mean_probability": 0.0}
        for keys in self.lesions.values():
            for key, values in keys.items():
                for value in values:
                    BeliefSettings(**{**usual, key: value})
        return self


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
    fit: FitSettings | None = None

    @model_validator(mode="after")
    def _fits_to_something(self) -> Self:
        if self.fit and not self.data:
            raise ValueError("section fit needs section data: cases to fit to")
        return self

    @model_validator(mode="after")
    def _can_match_mask_size(self) -> Self:
        if self.run.mask_size == "truth":
            return self
        if self.run.architecture != "joint-segmenter":
            raise ValueError('run.mask_size = "start" is for the joint-segmenter')
        if not sum(self.cases.validation.values()):
            raise ValueError(
                'run.mask_size = "start" needs simulated patients in cases.validation'
            )
        return self
