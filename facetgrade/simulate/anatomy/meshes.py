"""Closed triangle surfaces: reading, splitting and signed distance."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from facetgrade.errors import AnatomyError
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.template import FAR_MM

_BAND_MM = 3.0  # closer to the surface the sign comes from its normal


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class Surface:
    """Closed surface with outward normals.

    Attributes
    ----------
    vertices_mm : (V, 3) float64 ndarray
        Points (left, posterior, cranial).
    faces : (F, 3) int64 ndarray
        Vertex numbers of each triangle.
    """

    vertices_mm: NDArray[np.float64]
    faces: NDArray[np.int64]

    def samples(self) -> tuple[NDArray[np.float64], ...]:
        """Return centers, outward normals and areas in mm2 of the triangles."""
        corners = self.vertices_mm[self.faces]
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1)
        normals = cross / np.maximum(length, 1e-12)[:, None]
        return corners.mean(axis=1), normals, length / 2.0

    def outward(self) -> Surface:
        """Return the surface with its triangles ordered so that normals point out."""
        corners = self.vertices_mm[self.faces]
        volume = np.einsum(
            "ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])
        )
        faces = self.faces if volume > 0 else self.faces[:, ::-1]
        return Surface(vertices_mm=self.vertices_mm, faces=faces)


def read_csv_mesh(vertices_path: Path, faces_path: Path) -> Surface:
    """Read vertices and 1-based faces (x anterior, y left, z cranial, mm).

    Raises
    ------
    AnatomyError
        If a file is missing or no table of three columns.
    """
    try:
        points = np.loadtxt(vertices_path, delimiter=",")
        faces = np.loadtxt(faces_path, delimiter=",", dtype=np.int64) - 1
    except (OSError, ValueError) as error:
        raise AnatomyError(vertices_path.parent, str(error)) from error
    return Surface(vertices_mm=_to_local(points), faces=faces)


def read_obj_mesh(path: Path) -> Surface:
    """Read an OBJ file in metres (x anterior, y left, z cranial).

    Raises
    ------
    AnatomyError
        If the file is missing or holds no triangles.
    """
    points, faces = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise AnatomyError(path, str(error)) from error
    for line in lines:
        words = line.split()
        if words[:1] == ["v"]:
            points.append([float(w) for w in words[1:4]])
        elif words[:1] == ["f"]:
            ring = [int(w.split("/")[0]) - 1 for w in words[1:]]
            faces += [[ring[0], b, c] for b, c in pairwise(ring[1:])]
    if not faces:
        raise AnatomyError(path, "no triangles in it")
    scaled = 1000.0 * np.array(points)
    return Surface(vertices_mm=_to_local(scaled), faces=np.array(faces)).outward()


def _to_local(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn (anterior, left, cranial) into (left, posterior, cranial)."""
    return np.stack([points[:, 1], -points[:, 0], points[:, 2]], axis=1)


def split_components(surface: Surface) -> list[Surface]:
    """Split a surface into its connected parts, the highest first."""
    a, b = surface.faces[:, 0], surface.faces[:, 1]
    c = surface.faces[:, 2]
    count = len(surface.vertices_mm)
    links = coo_matrix(
        (np.ones(2 * len(a)), (np.concatenate([a, b]), np.concatenate([b, c]))),
        shape=(count, count),
    )
    found, label = connected_components(links, directed=False)
    parts = []
    for part in range(found):
        kept = np.flatnonzero(label == part)
        number = np.full(count, -1)
        number[kept] = np.arange(kept.size)
        faces = number[surface.faces[label[a] == part]]
        parts.append(
            Surface(vertices_mm=surface.vertices_mm[kept], faces=faces).outward()
        )
    return sorted(parts, key=lambda p: -float(p.vertices_mm[:, 2].mean()))


def signed_distance(surface: Surface, geometry: VolumeGeometry) -> NDArray[np.float32]:
    """Measure the signed distance of grid points to a surface, negative inside.

    Near the surface the distance is taken to the plane of the nearest sample, which
    keeps it smooth; the inside is filled from there.

    Parameters
    ----------
    surface : Surface
        Closed surface with outward normals.
    geometry : VolumeGeometry
        Grid in the frame of the surface that holds all of it.
    """
    samples, normals = _dense_samples(surface)
    index = np.round(geometry.to_index(samples)).astype(int)
    touched = np.zeros(geometry.shape, bool)
    touched[tuple(index.T)] = True
    grown = int(np.ceil(_BAND_MM / geometry.spacing_mm.min()))
    close = ndimage.binary_dilation(touched, iterations=grown)
    points = geometry.to_lps(np.argwhere(close))
    reach, nearest = cKDTree(samples).query(points)
    offset = points - samples[nearest]
    plane = np.einsum("ij,ij->i", offset, normals[nearest])
    band = np.full(geometry.shape, np.inf)
    band[close] = np.where(np.abs(plane) < 1.2, plane, np.sign(plane) * reach)
    inside = ndimage.binary_fill_holes(np.isfinite(band) & (band < 0.0))
    spacing = geometry.spacing_mm
    far = ndimage.distance_transform_edt(~inside, spacing)
    far -= ndimage.distance_transform_edt(inside, spacing)
    distance = np.where(np.isfinite(band), band, far)
    return np.clip(distance, -FAR_MM, FAR_MM).astype(np.float32)


def _dense_samples(
    surface: Surface,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points of the surface about 0.6 mm apart with their normals."""
    corners = surface.vertices_mm[surface.faces]
    _, normals, areas = surface.samples()
    points, directions = [corners.mean(axis=1)], [normals]
    count = np.clip(np.ceil(np.sqrt(areas / 0.3)), 1, 12).astype(int)
    for n in np.unique(count[count > 1]):
        chosen = count == n
        for i in range(n):
            for j in range(n - i):
                a, b = (i + 1 / 3) / n, (j + 1 / 3) / n
                weights = np.array([a, b, 1.0 - a - b])
                points.append(np.einsum("k,fkd->fd", weights, corners[chosen]))
                directions.append(normals[chosen])
    return np.concatenate(points), np.concatenate(directions)
