"""Numbers of a frame that can be believed: its plane in space and its rescale."""

from __future__ import annotations

from typing import Any

import numpy as np

from facetgrade.errors import IngestError

FARTHEST_MM = 100_000.0  # no scanner is larger
LARGEST_RESCALE = 1e9


def checked_plane(
    position: list[float], orientation: list[float], spacing: list[float]
) -> dict[str, Any]:
    """Return the plane of a frame as arguments of `Frame`.

    Raises
    ------
    IngestError
        If the numbers do not describe a plane in space.
    """
    if len(position) != 3 or len(orientation) != 6:
        raise IngestError(
            "has no ImagePositionPatient or ImageOrientationPatient; it is a screenshot"
            " or was converted without geometry"
        )
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    unit = all(0.9 < length < 1.1 for length in lengths)
    if not unit or abs(row @ column) > 0.02:
        raise IngestError("has an ImageOrientationPatient that is not a rotation")
    if not np.all(np.abs(position) < FARTHEST_MM):
        raise IngestError("has an ImagePositionPatient that is outside of any scanner")
    if len(spacing) != 2 or not all(0.01 < mm < 50.0 for mm in spacing):
        raise IngestError("has no usable PixelSpacing; its size in mm is unknown")
    row = row / lengths[0]
    column = column - (column @ row) * row
    return {
        "position_lps_mm": np.array(position, float),
        "row_direction": row,
        "column_direction": column / np.linalg.norm(column),
        "pixel_spacing_mm": (spacing[0], spacing[1]),
    }


def checked_rescale(slope: float, intercept: float) -> dict[str, Any]:
    """Return the rescale of a frame as arguments of `Frame`; NaN is absent.

    Raises
    ------
    IngestError
        If the numbers are beyond those of any image.
    """
    if abs(slope) > LARGEST_RESCALE or abs(intercept) > LARGEST_RESCALE:
        raise IngestError("has an impossible RescaleSlope or RescaleIntercept")
    return {
        "slope": 1.0 if np.isnan(slope) or not slope else slope,
        "intercept": 0.0 if np.isnan(intercept) else intercept,
    }
