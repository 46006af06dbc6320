"""Coordinates relative to the spine on a grid, and what is painted there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.curve import SpineCurve, curve_through
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import SACRAL
from facetgrade.simulate.anatomy.proportions import MOBILE
from facetgrade.simulate.anatomy.sacrum import sacral_half_extents

Field = NDArray[np.float32]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SpineTable:
    """Sizes along the spine, at the distances `along` of the curve.

    Attributes
    ----------
    curve : SpineCurve
        Curve through bodies and discs from T10 to S5 in LPS mm.
    bodies : dict of str to float
        Distance along the curve of each body's middle.
    along : (N,) float64 ndarray
        Stations of the sizes.
    half_width, half_depth : (N,) float64 ndarray
        Of the bodies and discs, mm.
    canal_half_width, canal_half_depth, canal_middle : (N,) float64 ndarray
        Of the spinal canal; its middle is counted from the curve backward.
    tip : (N,) float64 ndarray
        How far behind the curve the spinous processes reach.
    """

    curve: SpineCurve
    bodies: dict[str, float]
    along: NDArray[np.float64]
    half_width: NDArray[np.float64]
    half_depth: NDArray[np.float64]
    canal_half_width: NDArray[np.float64]
    canal_half_depth: NDArray[np.float64]
    canal_middle: NDArray[np.float64]
    tip: NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class SpineSpace:
    """Coordinates of one grid relative to one spine.

    All arrays broadcast over the grid's (slice, row, column).

    Attributes
    ----------
    grid : VolumeGeometry
        Grid with the LPS axes as its own.
    table : SpineTable
        The spine.
    x, y, z : float32 ndarray
        LPS mm of the voxels, one dimension each.
    along, back : (S, R, 1) float32 ndarray
        Distance along the spine (caudal) and behind it.
    left : (S, R, C) float32 ndarray
        Distance to the left of it.
    """

    grid: VolumeGeometry
    table: SpineTable
    x: Field
    y: Field
    z: Field
    along: Field
    back: Field
    left: Field

    def window(
        self, beside_mm: float, back_mm: tuple[float, float]
    ) -> tuple[Box, SpineSpace]:
        """Return the block that holds a tube along the spine, and its coordinates.

        Parameters
        ----------
        beside_mm : float
            Half width of the tube.
        back_mm : tuple of float
            Front and back of the tube, behind the curve.
        """
        back = self.back[:, :, 0]
        within = np.asarray((back > back_mm[0]) & (back < back_mm[1]))
        shift = self.left[:, :, 0] - self.x[0, 0, 0]
        x = self.x[0, 0]
        low, high = -shift.max() - beside_mm, -shift.min() + beside_mm
        box = (
            _span(np.asarray(within.any(axis=1))),
            _span(np.asarray(within.any(axis=0))),
            _span(np.asarray((x >= low) & (x <= high))),
        )
        return box, self.block(box)

    def block(self, box: Box) -> SpineSpace:
        """Return the coordinates of a block of the grid."""
        flat = (box[0], box[1], slice(None))
        start = (box[0].start, box[1].start, box[2].start)
        shape = tuple(s.stop - s.start for s in box)
        return SpineSpace(
            grid=self.grid.crop(start, (shape[0], shape[1], shape[2])),
            table=self.table,
            x=self.x[:, :, box[2]],
            y=self.y[:, box[1]],
            z=self.z[box[0]],
            along=self.along[flat],
            back=self.back[flat],
            left=self.left[box],
        )

    def size(self, values: NDArray[np.float64]) -> Field:
        """Interpolate a column of the table, shape (S, R, 1)."""
        return np.interp(self.along, self.table.along, values).astype(np.float32)

    def between(self, values: dict[str, float]) -> Field:
        """Interpolate values given at the middles of some bodies, (S, R, 1)."""
        along = [self.table.bodies[name] for name in values]
        return np.interp(self.along, along, list(values.values())).astype(np.float32)

    def curve_at_height(self, column: int) -> Field:
        """Return x (0) or y (1) of the curve at each slice's height, (S, 1, 1)."""
        points = self.table.curve.points[::-1]
        heights = np.maximum.accumulate(points[:, 2])
        return np.interp(self.z, heights, points[:, column]).astype(np.float32)


def _span(chosen: NDArray[np.bool_]) -> slice:
    """Return the range from the first to the last true value; empty if none."""
    index = np.flatnonzero(chosen)
    return slice(int(index[0]), int(index[-1]) + 1) if index.size else slice(0, 0)


def tabulate_spine(person: Person) -> SpineTable:
    """Collect sizes along the spine of a person."""
    rows: list[tuple[float, ...]] = []
    points: list[NDArray[np.float64]] = []
    names: list[str] = []
    discs = {space.upper: space.pose.center_lps_mm for space in person.interspaces}
    for name in MOBILE:
        size = person.sizes[name]
        row: tuple[float, ...] = (
            (size.width_upper + size.width_lower) / 4.0,
            size.depth / 2.0,
            size.canal_width / 2.0,
            size.canal_depth / 2.0,
            (size.depth + size.canal_depth) / 2.0,
            size.depth / 2.0 + size.spinous_length,
        )
        points += [person.poses[name].center_lps_mm, discs[name]]
        names += [name, ""]
        rows += [row, row]
    for name, row in zip(SACRAL, _sacral_rows(person), strict=True):
        points.append(person.poses[name].center_lps_mm)
        names.append(name)
        rows.append(row)
    curve = curve_through(np.array(points), smooth_mm=12.0)
    columns = np.array(rows).T
    return SpineTable(
        curve=curve,
        bodies={n: float(s) for n, s in zip(names, curve.stations, strict=True) if n},
        along=curve.stations,
        half_width=columns[0],
        half_depth=columns[1],
        canal_half_width=columns[2],
        canal_half_depth=columns[3],
        canal_middle=columns[4],
        tip=columns[5],
    )


def _sacral_rows(person: Person) -> list[tuple[float, ...]]:
    """Return the sizes at the middles of S1 to S5."""
    rows: list[tuple[float, ...]] = []
    for half_width, half_depth in zip(*sacral_half_extents(person), strict=True):
        canal = 0.55 * half_depth
        rows.append(
            (
                half_width,
                half_depth,
                0.62 * half_width,
                canal,
                half_depth + 0.95 * canal,
                2.1 * half_depth + 16.0,
            )
        )
    return rows


def lay_out(grid: VolumeGeometry, table: SpineTable) -> SpineSpace:
    """Evaluate the spine's coordinates on a grid."""
    x, y, z = (
        grid.index_to_lps[axis, 3] + grid.spacing_mm[k] * np.arange(grid.shape[k])
        for axis, k in ((0, 2), (1, 1), (2, 0))
    )
    along, back = table.curve.locate(y, z)
    middle = table.curve.at(along, 0).astype(np.float32)
    columns = x.astype(np.float32)[None, None, :]
    return SpineSpace(
        grid=grid,
        table=table,
        x=columns,
        y=y.astype(np.float32)[None, :, None],
        z=z.astype(np.float32)[:, None, None],
        along=along[:, :, None],
        back=back[:, :, None],
        left=columns - middle[:, :, None],
    )
