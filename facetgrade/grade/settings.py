"""Settings of the grade stage, the keys of ``configs/grade.toml``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Section(BaseModel):
    """Frozen section in which every key must be written out."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PerimeterSettings(_Section):
    """How the joint is outlined and how its perimeter is counted.

    Attributes
    ----------
    process_depth_mm : float
        Articular process within this in-plane distance of the joint space belongs to
        the outline.
    joint_space_gap_mm : float
        Pieces of joint space farther apart belong to different joints.
    minimum_joint_space_mm2 : float
        Planes with less joint space are above or below the joint.
    closing_mm : float
        Gaps of the outline narrower than this are closed.
    reach_mm : float
        Edema farther from the outline does not fill a sector.
    minimum_thickness_mm : float
        Radial thickness of edema (and of soft tissue) that makes a sector count.
    rays_per_sector : int
        Rays through each sector; half of them must agree.
    ray_step_mm : float
        Distance of samples along a ray.
    combine : str
        How planes become one fraction: ``height_30`` or ``worst_plane``.
    height_share : float
        Share of the joint's height over which a sector must be abnormal
        (``height_30``).
    worst_plane_minimum_available : float
        A plane with a smaller share of available sectors cannot be the worst plane.
    """

    process_depth_mm: Positive
    joint_space_gap_mm: Positive
    minimum_joint_space_mm2: Positive
    closing_mm: NonNegative
    reach_mm: Positive
    minimum_thickness_mm: Positive
    rays_per_sector: Annotated[int, Field(ge=1)]
    ray_step_mm: Positive
    combine: Literal["height_30", "worst_plane"]
    height_share: Share
    worst_plane_minimum_available: Share


class MeasureSettings(_Section):
    """How probability maps become extents.

    Attributes
    ----------
    low_threshold, high_threshold : float
        Probabilities at which the lower and the upper end of an interval is measured;
        the value itself uses 0.5.
    volume_floor : float
        Smaller probabilities do not add to a volume.
    maximum_gap_mm : float
        Largest distance of opposing articular surfaces.
    width_percentile : float
        Percentile of the local widths that counts as the greatest width.
    bridge_mm : float
        Signals separated by less are continuous.
    flaval_recess_mm : float
        Depth of flavum beside the outline that counts as recess of the joint.
    process_reach_mm : float
        Articular process farther from the outline is not that of this joint.
    perimeter : PerimeterSettings
        Outline and sectors.
    """

    low_threshold: Share
    high_threshold: Share
    volume_floor: Share
    maximum_gap_mm: Positive
    width_percentile: Annotated[float, Field(gt=0.0, le=100.0)]
    bridge_mm: NonNegative
    flaval_recess_mm: NonNegative
    process_reach_mm: Positive
    perimeter: PerimeterSettings


class RuleSettings(_Section):
    """Thresholds between the grades.

    Attributes
    ----------
    minimum_width_mm : float
        Effusion at least this wide is grade 1; narrower fluid is physiologic.
    maximum_physiologic_mm3 : float
        More fluid than this is grade 1 whatever its width: a distended recess.
    minimum_soft_tissue_edema_mm3, minimum_marrow_edema_mm3 : float
        Less is noise. Soft-tissue edema must also fill one sector of the perimeter
        fraction that grades.
    minimum_extension_mm3 : float
        Abnormal volume in a site that counts as extension.
    minimum_cyst_mm3 : float
        Cyst volume that is named.
    majority : float
        A larger perimeter fraction is grade 3; exactly this is grade 2.
    borderline_low, borderline_high : float
        Fractions between these (inclusive) are flagged.
    borderline_width_mm : float
        So are widths no farther than this from `minimum_width_mm`, where they decide.
    borderline_least : float
        So is edema that fills no more of the perimeter than this, where it decides.
    extension_without_majority : str
        Extension without a majority of the perimeter is grade 2 (``strict``) or
        grade 4 (``liberal``).
    """

    minimum_width_mm: Positive
    maximum_physiologic_mm3: Positive
    minimum_soft_tissue_edema_mm3: NonNegative
    minimum_marrow_edema_mm3: NonNegative
    minimum_extension_mm3: Positive
    minimum_cyst_mm3: Positive
    majority: Share
    borderline_low: Share
    borderline_high: Share
    borderline_width_mm: NonNegative
    borderline_least: Share
    extension_without_majority: Literal["strict", "liberal"]


class MetalSettings(_Section):
    """When a signal void near a joint is metal.

    Attributes
    ----------
    reach_mm : float
        Voids farther from the center of the joint do not touch joint or surroundings.
    surroundings_mm : float
        Half width of the block from which the level of dark tissue is taken.
    dark_tissue_percentile : float
        Percentile of the blocks around all joints that is dark tissue: muscle.
    void_level : float
        What is darker than this share of dark tissue is void.
    minimum_width_mm, minimum_area_mm2 : float
        Void that is at least this wide and large in the plane of a slice is metal.
    bright_radius_mm, bright_share : float
        A void is fluid where more than this share of the tissue so near to its middle
        is brighter than dark tissue on a fluid-sensitive contrast.
    """

    reach_mm: Positive
    surroundings_mm: Positive
    dark_tissue_percentile: Annotated[float, Field(gt=0.0, lt=100.0)]
    void_level: Share
    minimum_width_mm: Positive
    minimum_area_mm2: Positive
    bright_radius_mm: Positive
    bright_share: Share


class MotionSettings(_Section):
    """When the patient moved during a series.

    A series moved where `MotionMeasure.step` and `ripple`, each over its value here,
    are 1 or more on average.

    Attributes
    ----------
    step, ripple : float
        Scale of the two measures.
    slices : int
        Slices of a series that are looked at.
    """

    step: Positive
    ripple: Positive
    slices: Annotated[int, Field(ge=1)]


class AcceptanceSettings(_Section):
    """When a joint is not graded, or graded with a flag.

    Attributes
    ----------
    minimum_joint_in_view : float
        Share of the outline that a series must cover.
    minimum_surroundings_in_view : float
        The same for the tissue within reach of the outline.
    joint_radius_mm : float
        Slices that pass this near to the joint's center are slices of the joint.
    minimum_slices : int
        Slices of the joint that one stack of the graded contrast must have.
    minimum_typicality : float
        A joint less like the training data is not graded.
    flagged_typicality : float
        A joint less like the training data is flagged.
    sure_level_probability : float
        A smaller probability of the level is flagged.
    maximum_shear_deg : float
        Slices whose positions run farther off their normal contradict themselves.
    metal : MetalSettings
        When a signal void is metal.
    motion : MotionSettings
        When the patient moved.
    """

    minimum_joint_in_view: Share
    minimum_surroundings_in_view: Share
    joint_radius_mm: Positive
    minimum_slices: Annotated[int, Field(ge=1)]
    minimum_typicality: Share
    flagged_typicality: Share
    sure_level_probability: Share
    maximum_shear_deg: Annotated[float, Field(gt=0.0, lt=90.0)]
    metal: MetalSettings
    motion: MotionSettings


class Decision(_Section):
    """One yes-or-no decision of the rules as a logistic curve.

    Attributes
    ----------
    offset : float
        Shift of the measurement against its threshold, in the unit of the decision.
    scale : float
        Error of the measurement, in the same unit.
    """

    offset: float
    scale: Positive


class Margin(_Section):
    """How far an interval is widened; negative values narrow it.

    Attributes
    ----------
    below, above : float
        Added to the lower and the upper end, in the scale of `grade.margins`.
    """

    below: float
    above: float


class MarginSettings(_Section):
    """Margins of the extents that are reported with an interval, by `fit_margins`.

    Attributes
    ----------
    effusion_mm3, soft_tissue_edema_mm3, marrow_edema_mm3 : Margin
        On the logarithm of the volume.
    effusion_width_mm : Margin
        In mm.
    perimeter_fraction : Margin
        As a fraction; for the share that grades, by height and on the worst plane.
    """

    effusion_mm3: Margin
    effusion_width_mm: Margin
    soft_tissue_edema_mm3: Margin
    marrow_edema_mm3: Margin
    perimeter_fraction: Margin


_Points = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    Field(min_length=2, max_length=64),
]


class Curve(_Section):
    """True values that measured ones stand for on average; straight between them.

    Attributes
    ----------
    measured, true : tuple of float
        From 0 upward, equally many. Beyond the last one both grow alike.
    """

    measured: _Points
    true: _Points

    @model_validator(mode="after")
    def _rises_from_zero(self) -> Self:
        if len(self.measured) != len(self.true):
            raise ValueError("give as many true values as measured ones")
        for values in (self.measured, self.true):
            if values[0] != 0.0 or any(a >= b for a, b in pairwise(values)):
                raise ValueError("values must rise from 0")
        return self


class CorrectionSettings(_Section):
    """What the decisive measurements are corrected by, from `fit_correction`.

    Attributes
    ----------
    effusion_width_mm : Curve
        In mm.
    perimeter_fraction : Curve
        Of the fraction that grades; fitted to ``height_30``.
    """

    effusion_width_mm: Curve
    perimeter_fraction: Curve


class ConfidenceSettings(_Section):
    """What measurements say, and how surely; fitted on joints kept for it.

    Attributes
    ----------
    effusion : Decision
        Wider than the threshold? Unit: log ratio of width and threshold.
    edema : Decision
        Edema outside the capsule? Unit: log ratio of volume and threshold.
    majority : Decision
        More than half of the perimeter? Unit: difference of logits.
    extension : Decision
        A site of grade 4 reached? Unit: log ratio of volume and threshold.
    interval_weight : float
        How much half the measured interval adds to the scale.
    background : float
        Share of joints whose grade says nothing, spread over all grades.
    coverage : float
        Stated coverage of the prediction set and of the intervals of extents.
    set_probability : float
        Probability that the set has to hold; calibrated to reach `coverage`.
    correction : CorrectionSettings
        What the networks see too small or too large on average.
    margins : MarginSettings
        What makes the intervals of extents reach `coverage`.
    """

    effusion: Decision
    edema: Decision
    majority: Decision
    extension: Decision
    interval_weight: NonNegative
    background: Share
    coverage: Annotated[float, Field(gt=0.0, lt=1.0)]
    set_probability: Share
    correction: CorrectionSettings
    margins: MarginSettings


class SegmentedSettings(_Section):
    """How answers of the segmenter are measured; what is painted is measured as it is.

    Attributes
    ----------
    edema_probability : float
        From this probability on edema of soft tissue fills a sector. Below 0.5: of
        the thin ends of edema the segmenter is unsure one by one, though most are
        there, so that masks at 0.5 surround too little of the joint.
    """

    edema_probability: Annotated[float, Field(gt=0.0, le=0.5)]


class GradeSettings(_Section):
    """The whole of ``configs/grade.toml``."""

    measure: MeasureSettings
    segmented: SegmentedSettings
    rules: RuleSettings
    acceptance: AcceptanceSettings
    confidence: ConfidenceSettings
