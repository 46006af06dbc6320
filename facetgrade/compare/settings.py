"""Settings of a comparison: ``configs/compare.toml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    """Part of the configuration: unknown keys and missing keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RegistrationSettings(_Section):
    """How the two images of a joint are laid upon each other.

    Attributes
    ----------
    radius_mm : float
        Ball around the joint in which the images are compared.
    margin_mm : float
        How much farther the second image is sampled, for the search.
    step_mm : float
        Voxel of the sampled images.
    sampling : float
        Share of the voxels that the metric looks at.
    smoothing_mm : tuple of float
        Sigma of each resolution level, coarse first.
    shrink : tuple of int
        Factor of each resolution level.
    largest_step_mm, smallest_step_mm : float
        Of the optimizer.
    iterations : int
        At each resolution level.
    error_radius_mm : float
        Points this far from the center carry the error.
    minimum_similarity : float
        A smaller correlation of the aligned images is a failure.
    maximum_error_mm : float
        A larger estimated error is a failure.
    maximum_shift_mm, maximum_turn_deg : float
        A larger difference from the located joint frames is a failure.
    seed : int
        Of the sampling.
    """

    radius_mm: Positive
    margin_mm: NonNegative
    step_mm: Positive
    sampling: Annotated[float, Field(gt=0.0, le=1.0)]
    smoothing_mm: tuple[NonNegative, ...]
    shrink: tuple[Count, ...]
    largest_step_mm: Positive
    smallest_step_mm: Positive
    iterations: Count
    error_radius_mm: Positive
    minimum_similarity: Share
    maximum_error_mm: Positive
    maximum_shift_mm: Positive
    maximum_turn_deg: Positive
    seed: int


class IdentitySettings(_Section):
    """When two examinations are not of one patient with the same level names.

    Attributes
    ----------
    registration : RegistrationSettings
        Of the spine around one level, coarser and wider than that of a joint.
    minimum_similarity : float
        A smaller correlation of the aligned spines is of two patients.
    level_margin : float
        A larger gain by shifting one level means that the names differ.
    """

    registration: RegistrationSettings
    minimum_similarity: Share
    level_margin: Share


class SmallestDetectableChange(_Section):
    """Changes of single joints that are more than measurement error.

    1.96 * sqrt(2) * SEM, SEM the standard error of one measurement from repeat scans.

    Attributes
    ----------
    effusion_mm3, effusion_width_mm, soft_tissue_edema_mm3, marrow_edema_mm3,
    articular_marrow_edema_mm3, edema_mm3, perimeter_fraction, extension_mm3 : float
        One limit for each followed extent.
    repeat_scans : int
        Scans behind them.
    joints : int
        Joints that were graded on both scans of a patient.
    """

    effusion_mm3: NonNegative
    effusion_width_mm: NonNegative
    soft_tissue_edema_mm3: NonNegative
    marrow_edema_mm3: NonNegative
    articular_marrow_edema_mm3: NonNegative
    edema_mm3: NonNegative
    perimeter_fraction: NonNegative
    extension_mm3: NonNegative
    repeat_scans: Count
    joints: Count

    @property
    def limits(self) -> dict[str, float]:
        """Limit of each extent by its name in tables."""
        return self.model_dump(exclude={"repeat_scans", "joints"})


class StatisticsSettings(_Section):
    """How cohorts are described.

    Attributes
    ----------
    resamples : int
        Of the patient-cluster bootstrap.
    permutations : int
        Random flips of whole patients, where all flips are more than this.
    exact_tables : int
        Tables that the exact test of symmetry enumerates; beyond it draws as many.
    coverage : float
        Nominal coverage of the intervals.
    seed : int
        Of everything drawn.
    """

    resamples: Count
    permutations: Count
    exact_tables: Count
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]
    seed: int


class PictureSettings(_Section):
    """How the pictures of a comparison are made; as in ``[report]``."""

    field_of_view_mm: Annotated[float, Field(ge=20, le=200)]
    pixel_mm: Annotated[float, Field(ge=0.05, le=2)]
    jpeg_quality: Annotated[int, Field(ge=1, le=95)]


class CompareSettings(_Section):
    """The whole of ``configs/compare.toml``."""

    registration: RegistrationSettings
    identity: IdentitySettings
    statistics: StatisticsSettings
    pictures: PictureSettings
    smallest_detectable_change: SmallestDetectableChange
