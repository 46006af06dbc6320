"""The protocol and the scanner of series that hold nothing but a ramp."""

from __future__ import annotations

from facetgrade.simulate.imperfections import Imperfections
from facetgrade.simulate.protocols import FatSuppression, Protocol
from facetgrade.study import Plane, Sequence

PROTOCOL = Protocol(
    name="axial_t2_fs",
    sequence=Sequence.T2_FS,
    plane=Plane.AXIAL,
    field_t=1.5,
    tr_ms=4000.0,
    te_ms=70.0,
    ti_ms=0.0,
    echo_train_length=16,
    fat_suppression=FatSuppression.SPECTRAL,
    contrast_agent=False,
    slice_thickness_mm=4.0,
    gap_mm=0.4,
    pixel_mm=0.7,
    matrix=48,
    slices=5,
)
IMPERFECTIONS = Imperfections(
    snr=30.0,
    coil_depth_mm=100.0,
    coil_correction=1.0,
    bias_amplitude=0.0,
    phase_axis=2,
    kept_phase=0.8,
    kept_frequency=1.0,
    chemical_shift_px=1.0,
    fat_residual=0.1,
)
