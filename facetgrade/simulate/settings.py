"""Settings of the simulated scanner, its protocols and the studies it writes."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.pathology.settings import PathologySettings
from facetgrade.simulate.protocols import FatSuppression, field_key
from facetgrade.simulate.relaxation import FIELDS_T
from facetgrade.study import Plane, Sequence


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    """Check that a range starts with its lower end."""
    if limits[0] > limits[1]:
        raise ValueError("a range is [lowest, highest]")
    return limits


def _share(limits: tuple[float, float]) -> tuple[float, float]:
    """Check that a range lies within 0 and 1."""
    if limits[0] < 0.0 or limits[1] > 1.0:
        raise ValueError("a share lies between 0 and 1")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Share = Annotated[tuple[float, float], AfterValidator(_ordered), AfterValidator(_share)]
Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class _Section(BaseModel):
    """Part of the configuration: unknown keys and missing keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtocolRanges(_Section):
    """Ranges from which one series of one study is drawn.

    A protocol with `instead` takes the place of another in a share of the scanners of
    at least some field. One that is `aside` has a stream of its own: a study is the
    same with and without it. `csf_null_share` makes an inversion sequence: its TI is
    that share of the TI that nulls CSF at the drawn TR.
    """

    sequence: Sequence
    plane: Plane
    fat_suppression: tuple[FatSuppression, ...]
    contrast_agent: bool
    tr_ms: Range
    te_ms: Range
    echo_train_length: Range
    slice_thickness_mm: Range
    gap_mm: Range
    fov_mm: Range
    matrix: tuple[int, ...]
    slices: tuple[int, int]
    aside: bool = False
    instead: str | None = None
    instead_share: Probability = 0.0
    least_field_t: float = 0.0
    csf_null_share: Range | None = None


class ScannerSettings(_Section):
    """Ranges of field strength and of what disturbs the image."""

    field_t: Annotated[tuple[Annotated[float, Field(gt=0.0)], ...], Field(min_length=1)]
    stir_ti_ms: dict[str, Range]
    snr: Range
    coil_depth_mm: Range
    coil_correction: Range
    bias_amplitude: Range
    kept_phase_fraction: Range
    kept_frequency_fraction: Range
    chemical_shift_px: Range
    spectral_fat_residual: Range
    dixon_fat_residual: Range
    fat_failure_probability: Probability
    fat_failure_radius_mm: Range
    fat_failure_strength: Share
    slice_shift_mm: Range
    ghost_amplitude: Range
    pulsation_amplitude: Share
    pulsation_csf_share: Share
    heart_rate_bpm: Range
    flow_void: Range
    saturation_probability: Probability
    saturation_distance_mm: Range
    motion_probability: Probability
    motion_moves: tuple[int, int]
    motion_shift_mm: Range
    motion_rotation_deg: Range
    wrap_probability: Probability
    wrap_share: Share
    windows: Annotated[tuple[Literal["fermi", "hamming"], ...], Field(min_length=1)]
    coil_elements: Annotated[
        tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)
    ]
    phase_swapped: Probability

    @model_validator(mode="after")
    def _nulls_fat_at_every_field(self) -> Self:
        """Check that the inversion time of every scanner is listed or follows."""
        ends = {field_key(known_t) for known_t in FIELDS_T}
        if not ends <= self.stir_ti_ms.keys():
            unlisted = {field_key(t) for t in self.field_t} - self.stir_ti_ms.keys()
            if unlisted:
                raise ValueError(f"stir_ti_ms lacks {', '.join(sorted(unlisted))}")
        return self


class StudySettings(_Section):
    """Which series a study has and how patients are placed."""

    always: tuple[str, ...]
    sometimes: dict[str, Probability]
    blocks_probability: Probability
    tilt_deg: Range
    shift_mm: Range
    shift_between_probability: Probability
    shift_between_mm: Range
    rotation_between_deg: Range
    transfer_syntaxes: tuple[str, ...]
    habits: dict[str, float]


class SimulateSettings(_Section):
    """Everything that `configs/simulate.toml` says."""

    anatomy: AnatomySettings
    pathology: PathologySettings
    scanner: ScannerSettings
    protocols: dict[str, ProtocolRanges]
    study: StudySettings

    @model_validator(mode="after")
    def _knows_every_protocol(self) -> Self:
        """Check that whatever names a protocol names one there is."""
        named = {*self.study.always, *self.study.sometimes}
        named |= {one.instead for one in self.protocols.values() if one.instead}
        if unknown := named - self.protocols.keys():
            raise ValueError(f"no such protocol: {', '.join(sorted(unknown))}")
        return self
