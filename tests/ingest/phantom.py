"""A patient of five tissues, coarse enough for tests of the contrast rules."""

from __future__ import annotations

import numpy as np

from facetgrade.geometry import Volume, VolumeGeometry

# relative signals of spin-echo physics at 1.5 T: fluid, fat, muscle, marrow
SIGNALS = {
    "T1": (0.13, 0.73, 0.23, 0.43),
    "T2": (0.54, 0.49, 0.04, 0.22),
    "STIR": (0.53, 0.06, 0.12, 0.20),
    "T2-FS": (0.59, 0.03, 0.11, 0.17),
    "T1-FS": (0.13, 0.05, 0.23, 0.24),
}
SAGITTAL = ((1, 0, 0), (0, 0, -1), (0, 1, 0))
AXIAL = ((0, 0, 1), (0, 1, 0), (1, 0, 0))


def patient(signals, axes=SAGITTAL, *, shade_mm=np.inf):
    """Canal in the middle, bone in front, muscle behind, fat around and under skin."""
    spacing_mm = (4.0, 2.0, 2.0)
    extents_mm = np.array([68.0, 160.0, 200.0])  # along x, y, z
    shape = tuple(
        int(extents_mm[np.argmax(np.abs(axis))] / mm)
        for axis, mm in zip(axes, spacing_mm, strict=True)
    )
    grid = VolumeGeometry.centered(
        center_lps_mm=(0, 0, 0), axes=axes, spacing_mm=spacing_mm, shape=shape
    )
    x, y, _ = np.moveaxis(grid.voxel_centers_lps_mm(), -1, 0)
    fluid, fat, muscle, marrow = signals
    values = np.full(grid.shape, fat)
    values[(y < -8) & (y > -40) & (np.abs(x) < 22)] = marrow
    values[(y > 9) & (y < 42) & (np.abs(x) < 33)] = muscle
    values[(y < -5) & (y > -40) & (np.abs(x) > 26)] = muscle
    values[(np.abs(y) <= 9) & (np.abs(x) < 24)] = marrow
    values[np.hypot(x, y) < 8] = fluid
    values[y > 60] = 0.0
    noise = np.random.default_rng(0).normal(0, 0.01, (2, *grid.shape))
    values = np.hypot(values * np.exp(y / shade_mm) + noise[0], noise[1])
    return Volume(geometry=grid, voxels=values.astype(np.float32))
