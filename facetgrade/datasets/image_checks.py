"""Checks of the images of a study: contrast, resolution, pixels seen before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from facetgrade.datasets.findings import Finding, FindingKind
from facetgrade.geometry import Volume
from facetgrade.study import Series, Study
from facetgrade.train.manifest import ManifestRow

COARSE_SLICES_MM = 6.0  # lumbar protocols have 3-5 mm with their gap
COARSE_PIXELS_MM = 1.2  # lumbar protocols have 0.4-1.0
REGION_MM = 40.0  # around the middle of the joints
# Bright fluid and vessels make a tail to the right: fat-suppressed samples have a
# skewness of 2.4-4.0, turned over 0.6, T1 and T2 0.5-1.0.
LEAST_SKEWNESS = {True: 1.0, False: -0.3}
MOST_CLIPPED = 0.05  # of the voxels at the largest value
SAME_SLICES = 0.5  # of the smaller study


def check_images(study: Study, center_lps_mm: NDArray[np.float64]) -> Iterator[str]:
    """Yield a sentence for each series with an unusual contrast.

    Parameters
    ----------
    study : Study
        The images.
    center_lps_mm : (3,) float64 ndarray
        Middle of the annotated joints.
    """
    if not any(series.sequence.shows_edema for series in study.series):
        yield "no series is fat-suppressed, so edema cannot be seen"
    for series in study.series:
        values = _around(series, center_lps_mm)
        if values.size < 100:
            continue
        clipped = float((values >= values.max()).mean())
        if clipped > MOST_CLIPPED:
            yield f"{_name(series)}: {clipped:.0%} of the voxels are clipped"
        skewness = float(stats.skew(values))
        if skewness < LEAST_SKEWNESS[series.sequence.shows_edema]:
            yield (
                f"{_name(series)}: fluid does not stand out (skewness {skewness:.1f}); "
                "inverted, or not fat-suppressed"
            )


def check_resolution(study: Study) -> Iterator[str]:
    """Yield a sentence for each series with unusually large voxels."""
    for series in study.series:
        slices, *pixels = series.stacks[0].volume.geometry.spacing_mm
        if slices > COARSE_SLICES_MM or max(pixels) > COARSE_PIXELS_MM:
            yield (
                f"{_name(series)}: slices are {slices:.1f} mm apart, pixels "
                f"{max(pixels):.2f} mm"
            )


def slice_hashes(study: Study) -> frozenset[bytes]:
    """Hash every slice of a study by its pixels alone."""
    return frozenset(
        hashlib.sha256(plane.tobytes()).digest()
        for series in study.series
        for stack in series.stacks
        for plane in stack.volume.voxels
        if np.ptp(plane) > 0
    )


def check_duplicates(
    hashes: Mapping[str, frozenset[bytes]],
    rows: Mapping[str, ManifestRow],
    splits: Mapping[str, str],
) -> Iterator[Finding]:
    """Find studies that share slices.

    Parameters
    ----------
    hashes : mapping of str to frozenset of bytes
        Hashes of the slices of each study.
    rows : mapping of str to ManifestRow
        A row of each study.
    splits : mapping of str to str
        Split of each subject, empty where it is not decided.
    """
    names = list(hashes)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            shared = len(hashes[one] & hashes[other])
            smaller = min(len(hashes[one]), len(hashes[other]))
            if shared <= SAME_SLICES * smaller:
                continue
            first, second = rows[one], rows[other]
            apart = {splits.get(first.subject, ""), splits.get(second.subject, "")}
            leaks = len(apart) == 2 and "" not in apart
            kind = FindingKind.DUPLICATE_IMAGE
            if leaks:
                kind = FindingKind.PIXELS_IN_TWO_SPLITS
            yield Finding(
                kind=kind,
                rows=(first.number, second.number),
                sentence=f"{one} and {other} share {shared} slices"
                + (f", one in {' and one in '.join(sorted(apart))}." if leaks else "."),
            )


def _name(series: Series) -> str:
    """Name a series for people."""
    return f"{series.plane.value} {series.sequence.value} ({series.description})"


def _around(series: Series, center_lps_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the voxels of a series near a point, air left out."""
    parts: Sequence[NDArray[np.float32]] = [
        _block(stack.volume, center_lps_mm).ravel() for stack in series.stacks
    ]
    values = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not values.size:
        return values
    return np.asarray(values[values > 0.02 * values.max()], np.float32)


def _block(volume: Volume, center_lps_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Cut the voxels within `REGION_MM` along each axis of the grid."""
    index = volume.geometry.to_index(center_lps_mm)
    reach = REGION_MM / volume.geometry.spacing_mm
    low = np.clip(np.floor(index - reach), 0, volume.voxels.shape).astype(int)
    high = np.clip(np.ceil(index + reach) + 1, 0, volume.voxels.shape).astype(int)
    return volume.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
