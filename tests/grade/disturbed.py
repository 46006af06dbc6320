"""Small studies whose images are disturbed, and a joint in their middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.findings import JointFrame, LocatedJoint
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.study import Plane, Sequence, Series, Stack, Study

LEFT = FacetJoint(Level.L4_L5, Side.LEFT)
CENTER_LPS_MM = np.array([12.0, -34.0, 56.0])
SHAPE = (7, 120, 128)
SPACING_MM = (4.0, 0.6, 0.5)


def located() -> LocatedJoint:
    """Place the joint in the middle of every stack."""
    lateral, posterior, cranial = np.eye(3)
    frame = JointFrame(
        center_lps_mm=CENTER_LPS_MM,
        cranial=cranial,
        posterior=posterior,
        lateral=lateral,
    )
    return LocatedJoint(
        number=4,
        level=LEFT.level,
        side=LEFT.side,
        frame=frame,
        score=0.9,
        level_probability=0.99,
    )


def series_of(
    voxels: NDArray[np.float32],
    sequence: Sequence = Sequence.T1,
    *,
    name: str = "series",
    axes: NDArray[np.float64] | None = None,
) -> Series:
    """Wrap sagittal slices whose middle is the joint."""
    sagittal = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    geometry = VolumeGeometry.centered(
        center_lps_mm=CENTER_LPS_MM,
        axes=sagittal if axes is None else axes,
        spacing_mm=SPACING_MM,
        shape=(voxels.shape[0], voxels.shape[1], voxels.shape[2]),
    )
    volume = Volume(geometry=geometry, voxels=voxels.astype(np.float32))
    return Series(
        uid=name,
        description=name,
        sequence=sequence,
        plane=Plane.SAGITTAL,
        stacks=(Stack(volume=volume),),
    )


def study_of(*series: Series, **changes: object) -> Study:
    """Put series into one study."""
    return Study(uid="1.2", source=".", subject="", date="", series=series, **changes)


def tissue_with_bar(
    height_mm: float, width_mm: float, value: float = 5.0, *, behind_mm: float = 6.0
) -> NDArray[np.float32]:
    """Muscle of 100 with a bar in the three middle slices, behind the joint."""
    voxels = np.full(SHAPE, 100.0, np.float32)
    rows = (np.arange(SHAPE[1]) - (SHAPE[1] - 1) / 2) * SPACING_MM[1]
    columns = (np.arange(SHAPE[2]) - (SHAPE[2] - 1) / 2) * SPACING_MM[2]
    bar = np.abs(rows)[:, None] <= height_mm / 2
    bar = bar & (np.abs(columns - behind_mm) <= width_mm / 2)
    voxels[2:5, bar] = value
    return voxels


def textured(seed: int = 0) -> NDArray[np.float32]:
    """Random tissue with edges of every direction."""
    rng = np.random.default_rng(seed)
    shape = (12, 160, 160)
    blobs = ndimage.gaussian_filter(rng.standard_normal(shape), (0, 3.0, 3.0))
    sharp = ndimage.gaussian_filter(np.sign(blobs) + 1.5, (0, 0.8, 0.8))
    return np.asarray(100.0 * sharp + 2.0 * rng.standard_normal(shape), np.float32)


def textured_at_every_scale(seed: int = 0) -> NDArray[np.float32]:
    """Random tissue whose detail fills k-space, with bright spots and little noise."""
    rng = np.random.default_rng(seed)
    shape = (12, 256, 256)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(n) for n in shape[1:]]))
    frequency[0, 0] = 1.0 / shape[1]
    spectrum = np.fft.fft2(rng.standard_normal(shape)) / frequency**1.5
    pattern = np.fft.ifft2(spectrum).real
    pattern /= pattern.std(axis=(1, 2), keepdims=True)
    noise = 0.03 * rng.standard_normal(shape)
    return np.asarray(100.0 * np.abs(np.exp(0.7 * pattern) + noise), np.float32)


def moved(still: NDArray[np.float32], shift: int, *, axis: int = 1) -> NDArray:
    """Acquire the second half of every 16 lines of k-space after a shift."""
    late = (np.arange(still.shape[axis]) % 16) >= 8
    lines = late[:, None] if axis == 1 else late[None, :]
    shifted = np.fft.fft2(np.roll(still, (shift, shift), axis=(1, 2)))
    kspace = np.where(lines, shifted, np.fft.fft2(still))
    return np.abs(np.fft.ifft2(kspace)).astype(np.float32)


def truncated(
    voxels: NDArray[np.float32], kept: float, *, axis: int
) -> NDArray[np.float32]:
    """Reconstruct from the inner lines of k-space, as with a low phase resolution."""
    kspace = np.fft.fft2(voxels)
    frequency = np.abs(np.fft.fftfreq(voxels.shape[axis]))
    lines = (frequency < 0.5 * kept).astype(np.float32)
    kspace *= lines[:, None] if axis == 1 else lines
    return np.abs(np.fft.ifft2(kspace)).astype(np.float32)
