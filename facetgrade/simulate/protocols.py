"""What a series asks of the scanner: sequence timing, slices, their placement."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from facetgrade.simulate.relaxation import FIELDS_T, RELAXATION, at_field
from facetgrade.simulate.scene import Tissue
from facetgrade.simulate.streams import side_stream
from facetgrade.study import Plane, Sequence

if TYPE_CHECKING:
    from facetgrade.simulate.settings import ProtocolRanges, ScannerSettings


class FatSuppression(StrEnum):
    """How the signal of fat is removed."""

    NONE = "none"
    SPECTRAL = "spectral"
    STIR = "stir"
    DIXON_WATER = "dixon-water"


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """Timing and slices of one series.

    Attributes
    ----------
    name : str
        Key of the protocol in the configuration, such as ``sagittal_t2``.
    sequence, plane : Sequence, Plane
        What the series shows.
    field_t : float
        Field strength in tesla.
    tr_ms, te_ms : float
        Repetition and effective echo time.
    ti_ms : float
        Inversion time; 0 without inversion.
    echo_train_length : int
        Echoes per excitation.
    fat_suppression : FatSuppression
        How fat is removed.
    contrast_agent : bool
        Images are taken after gadolinium.
    slice_thickness_mm, gap_mm : float
        Excited thickness and the distance between neighboring slices' edges.
    pixel_mm : float
        In-plane distance of pixels, the same along rows and columns.
    matrix : int
        Rows and columns.
    slices : int
        Slices, of all blocks together.
    """

    name: str
    sequence: Sequence
    plane: Plane
    field_t: float
    tr_ms: float
    te_ms: float
    ti_ms: float
    echo_train_length: int
    fat_suppression: FatSuppression
    contrast_agent: bool
    slice_thickness_mm: float
    gap_mm: float
    pixel_mm: float
    matrix: int
    slices: int

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel distances along (slice, row, column)."""
        return (self.slice_thickness_mm + self.gap_mm, self.pixel_mm, self.pixel_mm)


def draw_protocol(
    name: str,
    ranges: ProtocolRanges,
    *,
    field_t: float,
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> Protocol:
    """Draw the timing and slices of one series from its ranges.

    Parameters
    ----------
    name : str
        Key of `ranges` in the configuration.
    ranges : ProtocolRanges
        What sites use.
    field_t : float
        Field strength of the scanner.
    scanner : ScannerSettings
        Inversion times per field strength.
    rng : Generator
        Source of all draws.
    """
    suppression = ranges.fat_suppression[rng.integers(len(ranges.fat_suppression))]
    stir = suppression is FatSuppression.STIR
    matrix = int(rng.choice(ranges.matrix))
    fov_mm = rng.uniform(*ranges.fov_mm)
    tr_ms = round(rng.uniform(*ranges.tr_ms))
    te_ms = round(rng.uniform(*ranges.te_ms), 1)
    ti_ms = round(rng.uniform(*stir_ti_range_ms(scanner, field_t))) if stir else 0.0
    if ranges.csf_null_share is not None:
        share = side_stream(rng).uniform(*ranges.csf_null_share)
        ti_ms = round(share * csf_null_ms(tr_ms, field_t))
    return Protocol(
        name=name,
        sequence=ranges.sequence,
        plane=ranges.plane,
        field_t=field_t,
        tr_ms=tr_ms,
        te_ms=te_ms,
        ti_ms=ti_ms,
        echo_train_length=round(rng.uniform(*ranges.echo_train_length)),
        fat_suppression=suppression,
        contrast_agent=ranges.contrast_agent,
        slice_thickness_mm=round(rng.uniform(*ranges.slice_thickness_mm), 1),
        gap_mm=round(rng.uniform(*ranges.gap_mm), 2),
        pixel_mm=round(fov_mm / matrix, 4),
        matrix=matrix,
        slices=int(rng.integers(ranges.slices[0], ranges.slices[1] + 1)),
    )


def stir_ti_range_ms(scanner: ScannerSettings, field_t: float) -> tuple[float, float]:
    """Return the inversion times that null fat at a field strength.

    Parameters
    ----------
    scanner : ScannerSettings
        Inversion times at 1.5 T and 3 T, and of any other field a site has set.
    field_t : float
        Field strength in tesla.

    Returns
    -------
    tuple of float
        Lowest and highest; between and beyond the listed fields both ends follow the
        power law of T1.
    """
    listed = scanner.stir_ti_ms.get(field_key(field_t))
    if listed is not None:
        return listed
    low, high = (scanner.stir_ti_ms[field_key(known_t)] for known_t in FIELDS_T)
    return at_field((low[0], high[0]), field_t), at_field((low[1], high[1]), field_t)


def csf_null_ms(tr_ms: float, field_t: float) -> float:
    """Return the inversion time after which CSF gives no signal.

    Parameters
    ----------
    tr_ms : float
        Repetition time: the longer, the more has recovered before the inversion.
    field_t : float
        Field strength in tesla.

    References
    ----------
    .. [1] Bernstein, King, Zhou. Handbook of MRI Pulse Sequences, 2004, ch. 14:
       TI = T1 ln(2 / (1 + exp(-TR/T1))).
    """
    t1_ms = at_field(RELAXATION[Tissue.CSF].t1_ms, field_t)
    return float(t1_ms * np.log(2.0 / (1.0 + np.exp(-tr_ms / t1_ms))))


def field_key(field_t: float) -> str:
    """Return the key of a field strength in the settings, such as ``1.5T``."""
    return f"{field_t:g}T"
