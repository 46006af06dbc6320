"""What metal does to spin-echo images: voids, piled-up rims, fat not suppressed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.scene import Tissue

# Volume susceptibilities: titanium 182 ppm, tissue -9 ppm (Schenck, Med Phys
# 1996;23:815, doi 10.1118/1.597854).
_SUSCEPTIBILITY_PPM = 191.0
_REACH_MM = 45.0  # where the field of screws is too weak to miss fat
_FADE_MM = 12.0  # at its end, so that no edge of it shows
_FAT_PPM = 3.4
# Fat pulses are about 200 Hz wide: beyond a third of 3.4 ppm they miss the fat.
_MISSED_PPM = 1.2
_MISSED_EDGE_PPM = 0.3
_B0_LPS = np.array([0.0, 0.0, 1.0])

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MetalField:
    """Metal within a block of the scene and the field it adds.

    Attributes
    ----------
    box : tuple of slice
        Part of the block that the metal disturbs.
    metal : (S, R, C) bool ndarray
        Metal, in the box.
    offset_ppm : (S, R, C) float32 ndarray
        Change of the field along B0, in the box.
    """

    box: Box
    metal: NDArray[np.bool_]
    offset_ppm: NDArray[np.float32]


def metal_field(
    tissue: NDArray[np.uint8], geometry: VolumeGeometry
) -> MetalField | None:
    """Compute the field that metal adds, None where there is no metal.

    Parameters
    ----------
    tissue : (S, R, C) uint8 ndarray
        `Tissue` of a block.
    geometry : VolumeGeometry
        Grid of the block; B0 lies along LPS z.

    References
    ----------
    .. [1] Salomir, de Senneville, Moonen. Concepts Magn Reson B 2003;19:26,
       doi 10.1002/cmr.b.10083: the field is the convolution with a dipole,
       chi (1/3 - (k.B0)^2 / k^2) in k-space.
    """
    everywhere = tissue == Tissue.METAL
    if not everywhere.any():
        return None
    box = _box_around(everywhere, geometry.spacing_mm)
    metal = everywhere[box]
    shape = [scipy.fft.next_fast_len(n, real=True) for n in metal.shape]
    spectrum = scipy.fft.rfftn(metal.astype(np.float32), s=shape)
    spectrum *= _dipole(shape, geometry)
    offset = scipy.fft.irfftn(spectrum, s=shape)
    inside = tuple(slice(0, n) for n in metal.shape)
    offset_ppm = _SUSCEPTIBILITY_PPM * offset[inside].astype(np.float32)
    _fade_out(offset_ppm, box, geometry)
    return MetalField(box=box, metal=metal, offset_ppm=offset_ppm)


def missed_fat(field: MetalField) -> NDArray[np.float32]:
    """Compute the share of fat that suppression misses where the field is off."""
    return _beyond_even(_missed_share, field.offset_ppm)


def hit_water(field: MetalField) -> NDArray[np.float32]:
    """Compute the share of water that the fat pulse leaves: some resonates as fat."""
    return np.float32(1.0) - _beyond_even(_hit_share, field.offset_ppm)


def _missed_share(offset_ppm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of fat outside the band of the pulse."""
    excess = (np.abs(offset_ppm) - _MISSED_PPM) / _MISSED_EDGE_PPM
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(excess, -30.0, 30.0))))


def _hit_share(offset_ppm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of water inside the band of the pulse."""
    hit = np.exp(-(((offset_ppm + _FAT_PPM) / (2.0 * _MISSED_PPM)) ** 4))
    return np.asarray(0.9 * hit)


def _beyond_even(
    share: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    offset_ppm: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Rescale from what an even field has to 1: nothing begins where the box does."""
    even = share(np.zeros(1, np.float32))
    beyond = (share(offset_ppm) - even) / (1.0 - even)
    return np.asarray(np.maximum(beyond, 0.0), np.float32)


def displace(
    signal: NDArray[np.float32],
    field: MetalField,
    steps_per_ppm: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Move signal along the gradients by the field, where it leaves voids and rims.

    Parameters
    ----------
    signal : (S, R, C) float32 ndarray
        Signal in the box of the field.
    field : MetalField
        Metal and field.
    steps_per_ppm : (3,) float64 ndarray
        Displacement in voxels for a field of 1 ppm.

    Returns
    -------
    (S, R, C) float32 ndarray
        Signal where the scanner puts it; metal has none.
    """
    offset = field.offset_ppm
    goal = np.zeros(signal.shape, np.int64)
    kept = ~field.metal
    for axis, count in enumerate(signal.shape):
        lines = np.arange(count).reshape([-1 if k == axis else 1 for k in range(3)])
        moved = np.rint(lines + steps_per_ppm[axis] * offset).astype(np.int64)
        kept &= (moved >= 0) & (moved < count)
        goal = goal * count + moved
    piled = np.bincount(goal[kept], weights=signal[kept], minlength=signal.size)
    image = piled.reshape(signal.shape).astype(np.float32)
    smooth = ndimage.gaussian_filter(image, 0.7, mode="nearest")
    far = np.linalg.norm(steps_per_ppm) * np.abs(offset) < 0.5
    return np.where(far, image, smooth)


def _box_around(metal: NDArray[np.bool_], spacing_mm: NDArray[np.float64]) -> Box:
    """Bound the metal and what it disturbs, within the block."""
    bounds = []
    for axis, count in enumerate(metal.shape):
        others = tuple(k for k in range(3) if k != axis)
        lines = np.flatnonzero(metal.any(axis=others))
        margin = int(np.ceil(_REACH_MM / spacing_mm[axis]))
        bounds.append(
            slice(max(int(lines[0]) - margin, 0), min(int(lines[-1]) + margin, count))
        )
    return bounds[0], bounds[1], bounds[2]


def _fade_out(
    offset_ppm: NDArray[np.float32], box: Box, geometry: VolumeGeometry
) -> None:
    """Let the field fall to 0 at the ends of its box, in place, not at the block's."""
    for axis, (part, count) in enumerate(zip(box, geometry.shape, strict=True)):
        index = np.arange(part.stop - part.start)
        to_end = np.full(len(index), np.inf)
        if part.start > 0:
            to_end = np.minimum(to_end, index)
        if part.stop < count:
            to_end = np.minimum(to_end, index[::-1])
        ramp = np.minimum(to_end * geometry.spacing_mm[axis] / _FADE_MM, 1.0)
        shape = [-1 if k == axis else 1 for k in range(3)]
        smooth = ramp * ramp * (3.0 - 2.0 * ramp)
        offset_ppm *= smooth.astype(np.float32).reshape(shape)


def _dipole(shape: list[int], geometry: VolumeGeometry) -> NDArray[np.float32]:
    """Evaluate 1/3 - (k.B0)^2 / k^2 at the frequencies of a real transform."""
    along = geometry.axes @ _B0_LPS
    frequency = [
        scipy.fft.fftfreq(shape[0], geometry.spacing_mm[0])[:, None, None],
        scipy.fft.fftfreq(shape[1], geometry.spacing_mm[1])[None, :, None],
        scipy.fft.rfftfreq(shape[2], geometry.spacing_mm[2])[None, None, :],
    ]
    square = sum(k**2 for k in frequency)
    axial = sum(k * share for k, share in zip(frequency, along, strict=True))
    square[0, 0, 0] = 1.0
    kernel = 1.0 / 3.0 - axial**2 / square
    kernel[0, 0, 0] = 0.0
    return np.asarray(kernel, np.float32)
