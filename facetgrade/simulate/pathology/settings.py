"""Settings of the simulated facet synovitis: the `[pathology]` section."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
PerGrade = tuple[Probability, Probability, Probability, Probability, Probability]
Range = tuple[float, float]


class _Section(BaseModel):
    """Frozen section without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ExtensionSettings(_Section):
    """How often each site is involved in grade 4; at least one always is."""

    foramen: Probability
    ligamentum_flavum: Probability
    pedicle: Probability
    transverse_process: Probability
    vertebral_body: Probability


class LookalikeSettings(_Section):
    """How often each finding that must never count is drawn.

    The first three are drawn per joint, the others per patient.
    """

    synovial_cyst: Probability
    facet_fat_pad: Probability
    perineural_cyst: Probability
    epidural_veins: Probability
    remote_muscle_edema: Probability
    subcutaneous_edema: Probability
    interspinous_bursitis: Probability
    endplate_edema: Probability
    endplate_fat: Probability
    hemangioma: Probability
    high_intensity_zone: Probability
    tarlov_cyst: Probability
    denervated_multifidus: Probability
    laminectomy: Probability
    fatty_multifidus: Probability
    pedicle_screws: Probability


class PathologySettings(_Section):
    """How facet synovitis of a wanted grade is drawn.

    Attributes
    ----------
    grade_probabilities : tuple of float
        Share of grades 0-4 among joints.
    patient_correlation : float
        Correlation of the hidden severity of two joints of one patient.
    followup_transitions : tuple of tuple of float
        Row g: probabilities of grades 0-4 at follow-up after grade g.
    margin : float
        Smallest distance of the perimeter fraction from 0.5.
    attempts : int
        Paintings of one joint before the measured grade is accepted as it is.
    film_width_mm : tuple of float
        Range of the physiologic fluid film of grade 0.
    effusion_width_mm : tuple of float
        Range of the greatest fluid width from grade 1 on.
    recess_distension : float
        Probability that an effusion also swells the recesses.
    effusion_missing : float
        Probability of a physiologic film only in grades 2-4.
    synovium_mm : tuple of float
        Range of the thickness of the thickened synovial lining.
    soft_tissue_thickness_mm : tuple of float
        Range of the mean thickness of periarticular edema.
    height_share : tuple of float
        Range of the share of the joint's height that an abnormal sector covers.
    edge_noise : float
        Relative roughness of the edge of edema.
    edge_width_mm : float
        Distance over which edema fades from all to nothing.
    marrow_edema : float
        Probability of articular-process marrow edema beside soft-tissue edema.
    marrow_only : float
        Probability that grade 2 has marrow edema without soft-tissue edema.
    marrow_depth_mm : tuple of float
        Range of the depth of marrow edema from the joint.
    extension : ExtensionSettings
        Sites of grade 4.
    lookalikes : LookalikeSettings
        Findings that do not count.
    """

    grade_probabilities: PerGrade
    patient_correlation: Probability
    followup_transitions: tuple[PerGrade, PerGrade, PerGrade, PerGrade, PerGrade]
    margin: Annotated[float, Field(ge=0.0, lt=0.4)]
    attempts: Annotated[int, Field(ge=1)]
    film_width_mm: Range
    effusion_width_mm: Range
    recess_distension: Probability
    effusion_missing: Probability
    synovium_mm: Range
    soft_tissue_thickness_mm: Range
    height_share: Range
    edge_noise: Annotated[float, Field(ge=0.0)]
    edge_width_mm: Annotated[float, Field(gt=0.0)]
    marrow_edema: Probability
    marrow_only: Probability
    marrow_depth_mm: Range
    extension: ExtensionSettings
    lookalikes: LookalikeSettings

    @model_validator(mode="after")
    def _check_sums(self) -> PathologySettings:
        """Refuse probabilities of grades that do not sum to 1."""
        for row in (self.grade_probabilities, *self.followup_transitions):
            if abs(sum(row) - 1.0) > 1e-6:
                raise ValueError(f"grade probabilities must sum to 1, got {row}")
        return self
