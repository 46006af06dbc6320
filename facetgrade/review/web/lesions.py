"""Lesions a reader paints: from the joint's own grid to the page and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, Lesion
from facetgrade.findings import Extents, JointMasks, SequenceGrade
from facetgrade.geometry import VolumeGeometry, resample
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import GradeSettings

CODES: Mapping[Lesion, int] = {lesion: 1 + k for k, lesion in enumerate(Lesion)}

_MASK_PROBABILITY = 0.5


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Painted:
    """Lesions after an edit.

    Attributes
    ----------
    masks : JointMasks
        As before, with the voxels that were painted changed.
    labels : (H, R, C) uint8 ndarray
        Codes of the lesions on the joint's own grid, for the store.
    """

    masks: JointMasks
    labels: NDArray[np.uint8]


def drawn_on(grid: VolumeGeometry, masks: JointMasks) -> NDArray[np.uint8]:
    """Draw the lesions on the grid of the page.

    Parameters
    ----------
    grid : VolumeGeometry
        Grid of the page in the patient space of the masks.
    masks : JointMasks
        Lesions on the joint's own grid.

    Returns
    -------
    (slice, row, column) uint8 ndarray
        0, or the code of the most probable lesion.
    """
    labels = np.zeros(grid.shape, np.uint8)
    best = np.full(grid.shape, _MASK_PROBABILITY, np.float32)
    for lesion, code in CODES.items():
        probability = masks.lesions.get(lesion)
        if probability is None or probability.max() < _MASK_PROBABILITY:
            continue
        here = resample(probability.astype(np.float32), masks.geometry, grid)
        stronger = here >= best
        labels[stronger] = code
        best[stronger] = here[stronger]
    return labels


def paint(
    masks: JointMasks, grid: VolumeGeometry, painted: NDArray[np.uint8]
) -> Painted:
    """Bring the reader's painting back to the joint's own grid.

    Only voxels in which the painting differs from what was shown change: what is not
    touched keeps its probabilities.

    Parameters
    ----------
    masks : JointMasks
        Lesions before the edit.
    grid : VolumeGeometry
        Grid of the page in the patient space of the masks.
    painted : (slice, row, column) uint8 ndarray
        Codes on `grid`.

    Raises
    ------
    ValueError
        If the painting has another shape or unknown codes.
    """
    if painted.shape != grid.shape:
        raise ValueError(f"painted must have shape {grid.shape}, got {painted.shape}")
    if painted.max(initial=0) > len(CODES):
        raise ValueError(f"codes must be 0-{len(CODES)}, got {int(painted.max())}")
    touched = (painted != drawn_on(grid, masks)).astype(np.float32)
    changed = resample(touched, grid, masks.geometry) >= _MASK_PROBABILITY
    shares = {
        lesion: resample((painted == code).astype(np.float32), grid, masks.geometry)
        for lesion, code in CODES.items()
    }
    none = resample((painted == 0).astype(np.float32), grid, masks.geometry)
    strongest = np.maximum.reduce([none, *shares.values()])
    edited = {
        lesion: np.where(
            changed,
            (shares[lesion] >= strongest).astype(np.float32),
            masks.lesions.get(lesion, np.zeros(masks.geometry.shape, np.float32)),
        )
        for lesion in CODES
    }
    after = replace(masks, lesions=edited)
    return Painted(masks=after, labels=drawn_on(masks.geometry, after))


def regrade(masks: JointMasks, settings: GradeSettings) -> SequenceGrade:
    """Measure and grade lesions as they are drawn.

    What `facetgrade grade` corrects for its networks is left as it is: a reader's
    painting has not their errors.
    """
    extents = measure_extents(masks, settings.measure)
    return apply_rules(extents, masks.sequence, settings)


def extent_values(extents: Extents) -> dict[str, float]:
    """Name the extents that a read keeps, in mm, mm3 and as a fraction."""
    return {
        "effusion_mm3": extents.effusion_mm3.value,
        "effusion_width_mm": extents.effusion_width_mm.value,
        "edema_mm3": extents.edema_mm3,
        "soft_tissue_edema_mm3": extents.soft_tissue_edema_mm3.value,
        "marrow_edema_mm3": extents.marrow_edema_mm3.value,
        "perimeter_fraction": extents.perimeter_fraction.value,
    } | {
        f"{site.value}_mm3": extents.extension_mm3.get(site, 0.0)
        for site in ExtensionSite
    }
