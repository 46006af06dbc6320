"""Bands that saturate the signal in front of the spine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.fields import lattice_lps_mm, upsample
from facetgrade.simulate.settings import ScannerSettings


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SaturationBand:
    """Half space in front of the spine whose signal is saturated.

    Attributes
    ----------
    point_lps_mm, normal : (3,) float64 ndarray
        Border plane; the normal points into the band.
    strength : float
        Share of the signal that is lost.
    edge_mm : float
        Softness of the border.
    """

    point_lps_mm: NDArray[np.float64]
    normal: NDArray[np.float64]
    strength: float
    edge_mm: float


def draw_saturation(
    bodies_lps_mm: NDArray[np.float64],
    forward: NDArray[np.float64],
    scanner: ScannerSettings,
    rng: np.random.Generator,
) -> SaturationBand | None:
    """Place a band in front of the vertebral bodies, against the motion there.

    Parameters
    ----------
    bodies_lps_mm : (N, 3) float64 ndarray
        Centers of the vertebral bodies.
    forward : (3,) float64 ndarray
        Direction from the spine to the belly.
    scanner : ScannerSettings
        How often and how far in front.
    rng : Generator
        Source of all draws.

    Returns
    -------
    SaturationBand or None
        None when the series has no band.
    """
    if rng.random() > scanner.saturation_probability:
        return None
    middle = bodies_lps_mm.mean(axis=0)
    tilted = Rotation.from_rotvec(rng.normal(0.0, np.deg2rad(4.0), 3)).apply(forward)
    foremost_mm = float(((bodies_lps_mm - middle) @ forward).max())
    ahead_mm = foremost_mm + rng.uniform(*scanner.saturation_distance_mm)
    return SaturationBand(
        point_lps_mm=middle + ahead_mm * forward,
        normal=tilted / np.linalg.norm(tilted),
        strength=rng.uniform(0.6, 0.98),
        edge_mm=rng.uniform(2.0, 8.0),
    )


def saturation_profile(
    band: SaturationBand, geometry: VolumeGeometry
) -> NDArray[np.float32]:
    """Compute the share of the signal that a saturation band leaves.

    Parameters
    ----------
    band : SaturationBand
        From `draw_saturation`.
    geometry : VolumeGeometry
        Grid of the result.

    Returns
    -------
    (slice, row, column) float32 ndarray
        Between 0 and 1.
    """
    lattice = lattice_lps_mm(geometry, 6.0)
    beyond_mm = (lattice - band.point_lps_mm) @ band.normal
    inside = 1.0 / (1.0 + np.exp(-beyond_mm / band.edge_mm))
    return upsample((1.0 - band.strength * inside).astype(np.float32), geometry.shape)
