"""Studies made unlike anything that the networks were trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import Volume
from facetgrade.study import Sequence as Contrast
from facetgrade.study import Series, Study

BLUR_MM = 4.0
Change = Callable[[Volume, np.random.Generator], NDArray[np.float32]]


def changed_study(study: Study, change: str, rng: np.random.Generator) -> Study:
    """Return a study whose images were changed in one of `CHANGES`.

    Parameters
    ----------
    study : Study
        As read.
    change : str
        Name of the change; ``MISREAD`` changes what series are taken for.
    rng : Generator
        Noise and order.
    """
    if change == MISREAD:
        return replace(study, series=_misread(study.series))
    spoil = CHANGES[change]

    def spoiled(series: Series) -> Series:
        stacks = tuple(
            replace(
                stack, volume=replace(stack.volume, voxels=spoil(stack.volume, rng))
            )
            for stack in series.stacks
        )
        return replace(series, stacks=stacks)

    return replace(study, series=tuple(spoiled(one) for one in study.series))


def _misread(series: tuple[Series, ...]) -> tuple[Series, ...]:
    """Take T1 for fat-suppressed T2, and leave out what is."""
    return tuple(
        replace(one, sequence=Contrast.T2_FS) if one.sequence is Contrast.T1 else one
        for one in series
        if not one.sequence.shows_edema
    )


def _kept(volume: Volume, _rng: np.random.Generator) -> NDArray[np.float32]:
    """Change nothing."""
    return volume.voxels


def _noise(volume: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
    """Replace the patient by the noise of an empty coil."""
    shape = volume.geometry.shape
    noise = np.hypot(*rng.standard_normal((2, *shape), np.float32))
    return np.asarray(noise * np.float32(volume.voxels.mean()), np.float32)


def _inverted(volume: Volume, _rng: np.random.Generator) -> NDArray[np.float32]:
    """Exchange bright and dark, as a display with inverted gray scale does."""
    return np.asarray(volume.voxels.max() - volume.voxels, np.float32)


def _blurred(volume: Volume, _rng: np.random.Generator) -> NDArray[np.float32]:
    """Blur within the slices."""
    sigma = np.array([0.0, BLUR_MM, BLUR_MM]) / volume.geometry.spacing_mm
    return np.asarray(ndimage.gaussian_filter(volume.voxels, sigma), np.float32)


def _shuffled(volume: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
    """Put the slices into another order."""
    return volume.voxels[rng.permutation(len(volume.voxels))]


def _reversed(volume: Volume, _rng: np.random.Generator) -> NDArray[np.float32]:
    """Exchange front and back of the patient."""
    axis = int(np.abs(volume.geometry.axes[:, 1]).argmax())
    return np.ascontiguousarray(np.flip(volume.voxels, axis))


CHANGES: Mapping[str, Change] = {
    "as it is": _kept,
    "noise alone": _noise,
    "bright and dark exchanged": _inverted,
    f"blurred by {BLUR_MM:g} mm": _blurred,
    "slices in another order": _shuffled,
    "front and back exchanged": _reversed,
}
MISREAD = "T1 taken for fat-suppressed T2"
ALL_CHANGES = (*CHANGES, MISREAD)
