"""The outline of a joint for the pictures of a report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facetgrade.findings import JointMasks
from facetgrade.grade.perimeter import joint_outline
from facetgrade.grade.settings import PerimeterSettings


def outline(masks: JointMasks, settings: PerimeterSettings) -> NDArray[np.bool_]:
    """Outline a joint for the pictures just as the perimeter is measured."""
    return joint_outline(masks.structures, masks.geometry.spacing_mm, settings)
