"""Vertebrae and sacrum of the Visible Human male; kept apart from training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.measure import contact_patch, measure_body
from facetgrade.simulate.anatomy.measured import (
    MeasuredVertebra,
    deform,
    from_surfaces,
)
from facetgrade.simulate.anatomy.meshes import Surface, read_obj_mesh, signed_distance
from facetgrade.simulate.anatomy.parametric import JointShape
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import SACRAL, Pose
from facetgrade.simulate.anatomy.proportions import Proportions
from facetgrade.simulate.anatomy.template import (
    FacetSite,
    VertebraTemplate,
    local_grid,
)

_LEVELS = ("L1", "L2", "L3", "L4", "L5")
_CONTACT_MM = 2.5
# Upper endplate and height of S1, and the middles of S1 to S5, read from
# the mid-sagittal section and the foramina of the mesh (left, posterior, cranial).
_ENDPLATE_WIDTH_MM = 52.0
_ENDPLATE_DEPTH_MM = 32.0
_HEIGHT_MM = 33.0
_ENDPLATE_SLOPE_DEG = 40.0
_SEGMENTS = np.array(
    [
        [0.0, 14.0, -8.5],
        [0.0, 37.5, -26.0],
        [0.0, 58.0, -41.0],
        [0.0, 73.0, -58.0],
        [0.0, 83.0, -75.0],
    ]
)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MeasuredSacrum:
    """A real sacrum in the frame of its S1.

    Attributes
    ----------
    template : VertebraTemplate
        Shape with the facets for L5; its parts are all of one kind.
    centers_mm : (5, 3) float64 ndarray
        Middles of S1 to S5.
    """

    template: VertebraTemplate
    centers_mm: NDArray[np.float64]


def read_vertebrae(folder: Path, spacing_mm: float) -> dict[str, MeasuredVertebra]:
    """Make templates of L1 to L5.

    Raises
    ------
    AnatomyError
        If a mesh is missing or empty.
    """
    surfaces = {name: _read(folder, name) for name in _LEVELS}
    return from_surfaces(surfaces, spacing_mm, contact_mm=_CONTACT_MM)


def read_sacrum(folder: Path, spacing_mm: float) -> MeasuredSacrum:
    """Make the template of the sacrum.

    Raises
    ------
    AnatomyError
        If a mesh is missing or empty.
    """
    fifth, sacrum = _read(folder, "L5"), _read(folder, "S1")
    lean = np.radians(_ENDPLATE_SLOPE_DEG)
    axes = np.array(
        [
            [1.0, 0.0, 0.0],
            [0.0, np.cos(lean), np.sin(lean)],
            [0.0, -np.sin(lean), np.cos(lean)],
        ]
    )
    center = _SEGMENTS[0]
    local = Surface(
        vertices_mm=(sacrum.vertices_mm - center) @ axes.T, faces=sacrum.faces
    )
    geometry = local_grid(
        local.vertices_mm.min(axis=0) - 6.0,
        local.vertices_mm.max(axis=0) + 6.0,
        spacing_mm,
    )
    distance = signed_distance(local, geometry)
    body = measure_body(fifth)
    facets = {}
    for side in Side:
        site = contact_patch(fifth, sacrum, body, side, reach_mm=_CONTACT_MM)
        if site is not None:
            facets[side] = _turned(site, center, axes)
    template = VertebraTemplate(
        name="S1",
        geometry=geometry,
        distance_mm=distance,
        parts=np.zeros(geometry.shape, np.uint8),
        superior=facets,
        inferior={},
    )
    return MeasuredSacrum(
        template=template,
        centers_mm=(_SEGMENTS - center) @ axes.T,
    )


def place_segments(sacrum: MeasuredSacrum, person: Person) -> Person:
    """Return the person with the sacral segments of a real sacrum below S1."""
    first = person.poses["S1"]
    centers = first.to_lps(sacrum.centers_mm / _ratio(person.sizes["S1"]))
    poses = dict(person.poses)
    for k, name in enumerate(SACRAL[1:], start=1):
        run = centers[k - 1] - centers[min(k + 1, len(SACRAL) - 1)]
        cranial = run / np.linalg.norm(run)
        left = first.axes[0] - cranial * (first.axes[0] @ cranial)
        left /= np.linalg.norm(left)
        axes = np.stack([left, np.cross(cranial, left), cranial])
        poses[name] = Pose(name=name, center_lps_mm=centers[k], axes=axes)
    # The mesh is an ordinary sacrum whatever was drawn for the junction.
    variant = replace(person.variant, lumbarised=0.0, s1_s2_disc=0.0)
    style = replace(person.sacrum, remnant_mm=(0.0,) * len(person.sacrum.remnant_mm))
    return replace(person, poses=poses, variant=variant, sacrum=style)


def fit_sacrum(
    sacrum: MeasuredSacrum,
    guide: tuple[VertebraTemplate, NDArray[np.uint8]],
    size: Proportions,
    *,
    superior: Mapping[Side, JointShape],
    noise: tuple[float, np.random.Generator],
) -> tuple[VertebraTemplate, NDArray[np.uint8]]:
    """Deform a real sacrum to a person's size and joints.

    Parameters
    ----------
    sacrum : MeasuredSacrum
        The real one.
    guide : tuple
        Sacrum of solids for the same person and its segments; names the parts.
    size : Proportions
        Sizes of S1.
    superior : mapping of Side to JointShape
        Wanted joints with L5 in the frame of S1.
    noise : tuple
        Standard deviation in mm of a smooth random displacement, and its source.

    Returns
    -------
    template : VertebraTemplate
        Named S1.
    segments : (K, J, I) uint8 ndarray
        0 for S1 to 4 for S5, on the grid of the template.
    """
    template, ratio = sacrum.template, _ratio(size)
    low = template.geometry.to_lps([0, 0, 0]) / ratio
    high = template.geometry.to_lps(np.array(template.geometry.shape) - 1) / ratio
    geometry = local_grid(low, high, float(guide[0].geometry.spacing_mm[0]))
    distance, _ = deform(
        template,
        geometry,
        ratio=ratio,
        squeeze=lambda points: points,
        joints=(superior, {}),
        wall_mm=size.depth_upper / 2.0,
        noise=noise,
    )
    fitted = VertebraTemplate(
        name="S1",
        geometry=geometry,
        distance_mm=distance,
        parts=_follow(guide[0].parts, guide[0].geometry, geometry),
        superior={s: j.site for s, j in superior.items()},
        inferior={},
    )
    return fitted, _follow(guide[1], guide[0].geometry, geometry)


def _ratio(size: Proportions) -> NDArray[np.float64]:
    """Return the sizes of the real S1 relative to the wanted ones, by axis."""
    return np.array(
        [
            _ENDPLATE_WIDTH_MM / size.width_upper,
            _ENDPLATE_DEPTH_MM / size.depth_upper,
            _HEIGHT_MM / size.height,
        ]
    )


def _follow(
    labels: NDArray[np.uint8], source: VolumeGeometry, target: VolumeGeometry
) -> NDArray[np.uint8]:
    """Take labels from the nearest voxel of another grid, also beyond its edge."""
    at = source.to_index(target.voxel_centers_lps_mm())
    index = np.clip(np.round(at), 0, np.array(source.shape) - 1).astype(int)
    taken: NDArray[np.uint8] = labels[index[..., 0], index[..., 1], index[..., 2]]
    return taken


def _read(folder: Path, name: str) -> Surface:
    """Read the whole bone of one level."""
    return read_obj_mesh(folder / f"{name}_Schrumpfverpacken.obj")


def _turned(
    site: FacetSite, center: NDArray[np.float64], axes: NDArray[np.float64]
) -> FacetSite:
    """Express a facet in another frame."""
    return replace(
        site,
        center_mm=axes @ (site.center_mm - center),
        normal=axes @ site.normal,
        across=axes @ site.across,
        cranial=axes @ site.cranial,
    )
