"""Probability maps of lesions as NIfTI, on the grid of each joint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from facetgrade.findings import Outcome
from facetgrade.report.atomic import write_bytes
from facetgrade.report.nifti import LabelMap, nifti_bytes

KEY = "probabilities"
_STEPS = 255


def write_probabilities(
    folder: Path, outcomes: Sequence[Outcome]
) -> dict[str, list[str]]:
    """Write how probable each lesion is at every voxel of a joint's own grid.

    The files hold whole numbers and the NIfTI slope 1/255, so that a reader sees
    probabilities from 0 to 1 in steps of 0.004. Their names end in ``_seg``, so that
    they are never taken for images.

    Parameters
    ----------
    folder : Path
        Folder of the study; the maps go into its folder ``masks``.
    outcomes : sequence of Outcome
        Give the maps.

    Returns
    -------
    dict of str to list of str
        ``probabilities`` to the names of the files relative to `folder`.
    """
    names = []
    for outcome in outcomes:
        if outcome.masks is None:
            continue
        stem = f"masks/joint_{outcome.joint.level}_{outcome.joint.side}"
        for lesion, probability in outcome.masks.lesions.items():
            steps = np.rint(probability * _STEPS).astype(np.uint8)
            drawn = LabelMap(geometry=outcome.masks.geometry, voxels=steps)
            names.append(f"{stem}_{lesion.value}_probability_seg.nii.gz")
            write_bytes(folder / names[-1], nifti_bytes(drawn, scale=1.0 / _STEPS))
    return {KEY: names} if names else {}
