"""One vertebra in its own frame: signed distance, parts, facets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side
from facetgrade.geometry import VolumeGeometry

FAR_MM = 12.0  # distances are cut here; nothing reads them farther out
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class FacetSite:
    """One half of a facet joint, in any right-handed frame of the vertebra.

    Attributes
    ----------
    center_mm : (3,) float64 ndarray
        Middle of the joint as this bone sees it.
    normal : (3,) float64 ndarray
        Unit direction from the inferior articular process (upper bone) to the
        superior articular process (lower bone).
    across, cranial : (3,) float64 ndarray
        Unit directions along the joint: backward and upward.
    width_mm, height_mm : float
        Extents of the articular surface along `across` and `cranial`.
    """

    center_mm: Array
    normal: Array
    across: Array
    cranial: Array
    width_mm: float
    height_mm: float

    @property
    def axes(self) -> Array:
        """Normal, across and cranial as rows."""
        return np.stack([self.normal, self.across, self.cranial])


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class VertebraTemplate:
    """Shape of one vertebra.

    The local frame has its origin in the middle of the body and the axes left,
    posterior, cranial, in mm; its grid has the index order (cranial, posterior,
    left), so that an upright vertebra is an ordinary LPS volume.

    Attributes
    ----------
    name : str
        Name of the vertebra.
    geometry : VolumeGeometry
        Grid in local mm.
    distance_mm : (K, J, I) float32 ndarray
        Signed distance to the bone surface, negative inside, cut at `FAR_MM`.
    parts : (K, J, I) uint8 ndarray
        `Structure` of the nearest part of the bone, also outside of it.
    superior, inferior : mapping of Side to FacetSite
        Facets of the superior and of the inferior articular processes.
    """

    name: str
    geometry: VolumeGeometry
    distance_mm: NDArray[np.float32]
    parts: NDArray[np.uint8]
    superior: Mapping[Side, FacetSite]
    inferior: Mapping[Side, FacetSite]


def local_grid(low_mm: Array, high_mm: Array, spacing_mm: float) -> VolumeGeometry:
    """Make an upright grid that spans two (left, posterior, cranial) corners."""
    low, high = np.asarray(low_mm, float), np.asarray(high_mm, float)
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    return VolumeGeometry.from_axes(
        origin_lps_mm=low,
        axes=[[0, 0, 1], [0, 1, 0], [1, 0, 0]],
        spacing_mm=(spacing_mm,) * 3,
        shape=(int(count[2]), int(count[1]), int(count[0])),
    )


def open_axes(
    geometry: VolumeGeometry,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return x, y, z of an upright grid, shaped to broadcast over it."""
    origin = geometry.index_to_lps[:3, 3]
    spacing = geometry.spacing_mm
    z, y, x = (
        (origin[axis] + spacing[k] * np.arange(geometry.shape[k])).astype(np.float32)
        for k, axis in enumerate((2, 1, 0))
    )
    return x[None, None, :], y[None, :, None], z[:, None, None]
