"""Settings of evaluations: intervals, definitions, the held-out benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from facetgrade.anatomy import Lesion, Level
from facetgrade.evaluate.summary import Bootstrap
from facetgrade.grade.settings import ConfidenceSettings

LIMIT_NAMES = {"low": "lower limit", "high": "upper limit"}


class _Section(BaseModel):
    """Part of the configuration: unknown keys and missing keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IntervalSettings(_Section):
    """How confidence intervals are made."""

    resamples: Annotated[int, Field(ge=1)]
    seed: int
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]

    @property
    def bootstrap(self) -> Bootstrap:
        """The same as the record that the statistics take."""
        return Bootstrap(self.resamples, self.seed, self.coverage)


class Target(_Section):
    """What a figure should reach.

    Attributes
    ----------
    label : str
        What the figure is called.
    at_least, at_most : float or None
        Its bound.
    holds : float or None
        What its interval should hold. One of the three is given.
    limit : {"low", "high"} or None
        Confidence limit that the bound is for; None: the value itself.
    figure : str
        Name of the figure; empty: that of the target.
    factor, value : str
        Studies that it is taken of, such as ``motion`` and ``yes``; empty: all.
    beside : mapping of str to str
        Figures to show under it without a bound, each with its label.
    """

    label: str
    at_least: float | None = None
    at_most: float | None = None
    holds: float | None = None
    limit: Literal["low", "high"] | None = None
    figure: str = ""
    factor: str = ""
    value: str = ""
    beside: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if [self.at_least, self.at_most, self.holds].count(None) != 2:
            raise ValueError("give at_least, at_most or holds")
        if self.limit is not None and self.holds is not None:
            raise ValueError("limit goes with at_least or at_most, not with holds")
        if bool(self.factor) != bool(self.value):
            raise ValueError("give factor and value together")
        return self

    @property
    def text(self) -> str:
        """The bound in words."""
        if self.holds is not None:
            return f"interval holds {self.holds:g}"
        bound = (
            f"at most {self.at_most:g}"
            if self.at_least is None
            else f"at least {self.at_least:g}"
        )
        return f"{LIMIT_NAMES[self.limit]} {bound}" if self.limit else bound

    def judged(self, estimate: Mapping[str, Any] | None) -> float | None:
        """Return the number that `at_least` or `at_most` is for; None if undefined."""
        found: float | None = (estimate or {}).get(self.limit or "value")
        return found

    def is_met(self, estimate: Mapping[str, Any] | None) -> bool:
        """Tell whether what is judged is as it should be; undefined ones are not."""
        judged = self.judged(estimate)
        if self.at_least is not None:
            return judged is not None and judged >= self.at_least
        if self.at_most is not None:
            return judged is not None and judged <= self.at_most
        low, high = ((estimate or {}).get(limit) for limit in ("low", "high"))
        if self.holds is None or low is None or high is None:
            return False
        return bool(low <= self.holds <= high)


class DefinitionSettings(_Section):
    """When a place is right, a volume or an effusion present, a joint gradable."""

    tolerance_mm: Annotated[float, Field(gt=0.0)]
    surface_tolerance_mm: Annotated[float, Field(gt=0.0)]
    floor_mm3: Annotated[float, Field(gt=0.0)]
    least_effusion_mm: Annotated[float, Field(ge=0.0)]
    min_covered: Annotated[float, Field(gt=0.0, le=1.0)]
    metal_mm: Annotated[float, Field(ge=0.0)]


class GroupSettings(_Section):
    """Held-out studies of one kind.

    Attributes
    ----------
    name : str
        Value of the factor "group".
    anatomy : str
        Anatomy source of the simulator. A benchmark takes one that training never used,
        or changes ranges in `overrides`; a calibration takes those of training.
    overrides : mapping
        Keys of simulate.toml that differ, by section.
    """

    name: str
    anatomy: str
    overrides: dict[str, Any] = Field(default_factory=dict)


class BenchmarkSettings(_Section):
    """Which held-out studies are simulated.

    Attributes
    ----------
    studies : int
        Number of examinations; patients take turns through the groups.
    seed : int
        Patient number n is simulated with seed + n.
    pairs : bool
        Whether every patient has two time points.
    levels : tuple of Level
        Levels that are graded.
    simulate_config : str
        File of the simulator's settings, relative to the repository.
    data_folder : str
        Folder of the anatomy that is not part of facetgrade, relative to the current
        folder.
    overrides : mapping
        Keys of simulate.toml that differ in every group, by section.
    groups : tuple of GroupSettings
        At least one.
    """

    studies: Annotated[int, Field(ge=1)]
    seed: int
    pairs: bool
    levels: tuple[Level, ...]
    simulate_config: str
    data_folder: str
    overrides: dict[str, Any] = Field(default_factory=dict)
    groups: Annotated[tuple[GroupSettings, ...], Field(min_length=1)]


class EvaluateSettings(_Section):
    """The whole of evaluate.toml."""

    intervals: IntervalSettings
    definitions: DefinitionSettings
    benchmark: BenchmarkSettings
    targets: dict[str, Target]


class CalibrationGroup(GroupSettings):
    """Studies to calibrate on, never with the meshes of the benchmark."""

    anatomy: Literal["parametric", "mean-shape"]


class CalibrationStudies(BenchmarkSettings):
    """Which studies are simulated to calibrate on."""

    groups: Annotated[tuple[CalibrationGroup, ...], Field(min_length=1)]


class StartSettings(_Section):
    """Where the fits start; weak priors hold them near.

    Attributes
    ----------
    vote_temperature, min_numbering_probability, min_sacrum_vote : float
        As in the section ``[localize]`` of pipeline.toml; only ever raised.
    minimum_typicality : float
        As in grade.toml; only ever raised, as simulated joints are all typical.
    confidence : ConfidenceSettings
        As in grade.toml, with the stated coverage.
    """

    vote_temperature: Annotated[float, Field(gt=0.0)]
    min_numbering_probability: Annotated[float, Field(ge=0.0, le=1.0)]
    min_sacrum_vote: Annotated[float, Field(ge=0.0, le=1.0)]
    minimum_typicality: Annotated[float, Field(ge=0.0, le=1.0)]
    confidence: ConfidenceSettings


class ChoiceSettings(_Section):
    """What thresholds are chosen by.

    Attributes
    ----------
    right_numberings : float
        Share of the decided numberings that must be right.
    least_numbering_probability : float
        No smaller probability is ever decided.
    claimed_without_sacrum : float
        Share of the studies cut above the sacrum that may count as showing it.
    largest_sacrum_vote : float
        The vote for a sacrum in view is never asked to be larger.
    flagged_joints : float
        Share of the joints located right that is flagged as unlike training.
    chance : float
        Share of exact grades that is no better than guessing.
    """

    right_numberings: Annotated[float, Field(gt=0.0, le=1.0)]
    least_numbering_probability: Annotated[float, Field(ge=0.0, le=1.0)]
    claimed_without_sacrum: Annotated[float, Field(ge=0.0, le=1.0)]
    largest_sacrum_vote: Annotated[float, Field(ge=0.0, le=1.0)]
    flagged_joints: Annotated[float, Field(ge=0.0, le=1.0)]
    chance: Annotated[float, Field(ge=0.0, le=1.0)]


class BeliefChoices(_Section):
    """Values of the section ``[segment.belief]`` that are tried.

    Attributes
    ----------
    rounds : int
        How often all keys are gone through.
    least_gain : float
        By how much a value must score better to replace the one before it.
    lesions : mapping of Lesion to mapping of str to tuple of float
        Values of each key of `BeliefSettings`, the first to start with.
    """

    rounds: Annotated[int, Field(ge=1)]
    least_gain: Annotated[float, Field(ge=0.0)]
    lesions: dict[Lesion, dict[str, Annotated[tuple[float, ...], Field(min_length=1)]]]


class ReadingChoices(BeliefChoices):
    """Those values, and of ``[segmented]``.

    Attributes
    ----------
    edema_probability : tuple of float
        Values of `SegmentedSettings.edema_probability`, the first to start with.
    """

    edema_probability: Annotated[tuple[float, ...], Field(min_length=1)]


class CalibrateSettings(_Section):
    """The whole of calibrate.toml; of `numbering` only vertebrae are looked at."""

    intervals: IntervalSettings
    definitions: DefinitionSettings
    studies: CalibrationStudies
    numbering: CalibrationStudies
    start: StartSettings
    choices: ChoiceSettings
    belief: ReadingChoices
