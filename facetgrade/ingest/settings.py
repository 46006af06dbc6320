"""Settings of the ingest stage: `[ingest]` of pipeline.toml, series_rules.toml."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from facetgrade.study import Sequence

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


def _compilable(pattern: str) -> str:
    """Accept only patterns that compile."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"bad regular expression {pattern!r}: {error}") from error
    return pattern


Pattern = Annotated[str, AfterValidator(_compilable)]


class _Section(BaseModel):
    """Section whose keys are all required and all known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ArchiveLimits(_Section):
    """How large an archive may be before it is refused as a bomb."""

    max_entries: Count
    max_total_mb: Positive
    max_ratio: Positive
    ratio_applies_above_mb: Positive


class StackSettings(_Section):
    """Tolerances of sorting frames into geometric stacks.

    Attributes
    ----------
    orientation_tolerance_deg : float
        Frames whose axes differ by less are parallel.
    same_position_mm : float
        Frames of one orientation that are closer than this show the same slice.
    spacing_tolerance : float
        Largest deviation of a gap from the typical gap, as a fraction of it.
    shear_tolerance_mm : float
        Largest in-plane offset of a slice from the line through its stack.
    split_gap : float
        A gap of more than this many typical gaps ends a stack.
    short_part_gap : float
        The same where the part before or after has less than `min_slices`.
    min_slices : int
        Stacks with fewer slices are not used.
    max_interpolated_fraction : float
        Largest share of slices of a stack that may be interpolated.
    """

    orientation_tolerance_deg: Positive
    same_position_mm: Positive
    spacing_tolerance: Fraction
    shear_tolerance_mm: Positive
    split_gap: Positive
    short_part_gap: Positive
    min_slices: Count
    max_interpolated_fraction: Fraction


class SpaceSettings(_Section):
    """When series of different frames of reference share one patient space."""

    min_overlap: Fraction


class ScoutSettings(_Section):
    """Which sagittal localizers help to number the vertebrae.

    Attributes
    ----------
    max_spacing_mm : float
        Slices farther apart than this may all miss the bodies.
    max_midline_mm : float
        Largest distance of a slice from the middle of the series that are graded.
    min_shared : float
        Least share of the height of these series that a localizer shows.
    """

    max_spacing_mm: Positive
    max_midline_mm: Positive
    min_shared: Fraction


class NiftiSettings(_Section):
    """How label maps and CT are told from MR images in NIfTI."""

    max_label_values: Count
    min_piecewise_constant: Fraction
    ct_below: float
    ct_fraction: Fraction
    ct_fat_below: float
    ct_fat_fraction: Fraction
    max_unpacked_mb: Positive
    isotropic_tolerance: Fraction


class PhysicsRules(_Section):
    """Limits of timing tags for each contrast class, ms."""

    t1_max_tr_ms: Positive
    t1_max_te_ms: Positive
    t2_min_tr_ms: Positive
    t2_min_te_ms: Positive
    stir_min_ti_ms: Positive
    stir_max_ti_ms: Positive
    stir_max_te_ms: Positive
    stir_min_tr_ms: Positive
    flair_t1_min_ti_ms: Positive
    flair_t1_max_ti_ms: Positive
    gradient_max_flip_deg: Positive
    spoiled_t1_max_tr_ms: Positive
    spoiled_t1_max_te_ms: Positive
    fat_sat_scan_options: tuple[str, ...]
    fat_sat_sequence_name: Pattern


class TextRules(_Section):
    """Words in descriptions, as regular expressions without regard to case."""

    t1: Pattern
    t2: Pattern
    pd: Pattern
    stir: Pattern
    other: Pattern
    fat_suppressed: Pattern
    not_fat_suppressed: Pattern
    contrast: Pattern
    no_contrast: Pattern
    dixon: Pattern
    dixon_water: Pattern
    dixon_in_phase: Pattern
    dixon_opposed_or_fat: Pattern
    lumbar: Pattern


class RejectRules(_Section):
    """What is never graded."""

    modalities: tuple[str, ...]
    localizer_image_types: tuple[str, ...]
    reformat_image_types: tuple[str, ...]
    map_image_types: tuple[str, ...]
    localizer_text: Pattern
    reformat_text: Pattern
    map_text: Pattern
    body_parts: tuple[str, ...]
    nifti_label_name: Pattern
    nifti_ct_name: Pattern


_N_FEATURES = 10
_Features = Annotated[
    tuple[float, ...], Field(min_length=_N_FEATURES, max_length=_N_FEATURES)
]
_Weights = Annotated[
    tuple[float, ...], Field(min_length=_N_FEATURES + 1, max_length=_N_FEATURES + 1)
]


class PixelRules(_Section):
    """Logistic model of the decision from the pixels; see `ingest/contrast.py`.

    Attributes
    ----------
    clear : float
        Log odds that overrule a description.
    hint : float
        Log odds that decide where all else is silent.
    fat_loss : float
        Share of the log contrast of fat over muscle in a plain T2 that is lost from
        here on by fat suppression.
    feature_low, feature_high : tuple of float
        Features are clipped to this range, that of the series behind the weights.
    weights : mapping of Sequence to tuple of float
        One weight for each feature, then the constant.
    """

    clear: Positive
    hint: Positive
    fat_loss: Positive
    feature_low: _Features
    feature_high: _Features
    weights: dict[Sequence, _Weights]


class ChoiceRules(_Section):
    """When two series of one class are candidates for the same job."""

    same_region_overlap: Fraction


class SeriesRules(_Section):
    """The whole of series_rules.toml."""

    physics: PhysicsRules
    text: TextRules
    reject: RejectRules
    pixels: PixelRules
    choice: ChoiceRules


class IngestSettings(_Section):
    """`[ingest]` of pipeline.toml together with series_rules.toml."""

    archive: ArchiveLimits
    stacks: StackSettings
    space: SpaceSettings
    scout: ScoutSettings
    nifti: NiftiSettings
    series_rules: SeriesRules
