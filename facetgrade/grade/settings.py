"""Settings of the grade stage, the keys of ``configs/grade.toml``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
