"""Vertebrae of real people fitted to one simulated person."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Side
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.measure import (
    BodyMeasures,
    contact_patch,
    facet_patch,
    measure_body,
    to_frame,
)
from facetgrade.simulate.anatomy.meshes import Surface, signed_distance
from facetgrade.simulate.anatomy.parametric import (
    BodyStyle,
    JointShape,
    assemble,
    vertebra_grid,
)
from facetgrade.simulate.anatomy.proportions import (
    Proportions,
    adult_proportions,
    facet_axes,
)
from facetgrade.simulate.anatomy.template import (
    FAR_MM,
    FacetSite,
    VertebraTemplate,
    local_grid,
)

_PLAIN = BodyStyle(
    waist=0.1, squareness=2.5, hollow_mm=1.0, concavity_mm=1.0, flare=0.0
)
_COARSE_MM = 3.0
_FACET_SIGMA_MM = 11.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class MeasuredVertebra:
    """A real vertebra in its own frame and its sizes."""

    template: VertebraTemplate
    size: Proportions


def from_surfaces(
    surfaces: Mapping[str, Surface], spacing_mm: float, *, contact_mm: float
) -> dict[str, MeasuredVertebra]:
    """Make templates of neighboring vertebrae given in their natural places.

    Parameters
    ----------
    surfaces : mapping of str to Surface
        Vertebrae from the top in one frame.
    spacing_mm : float
        Voxel size of the templates.
    contact_mm : float
        Bones this close to each other form a joint.
    """
    bodies = {name: measure_body(s) for name, s in surfaces.items()}
    names = list(surfaces)
    made = {}
    for k, name in enumerate(names):
        above = names[k - 1] if k > 0 else None
        below = names[k + 1] if k + 1 < len(names) else None
        superior = _sites(surfaces, bodies, name, (above, name), contact_mm)
        inferior = _sites(surfaces, bodies, name, (name, below), contact_mm)
        local = to_frame(surfaces[name], bodies[name])
        geometry = local_grid(
            local.vertices_mm.min(axis=0) - 6.0,
            local.vertices_mm.max(axis=0) + 6.0,
            spacing_mm,
        )
        made[name] = measured_vertebra(
            name,
            geometry,
            signed_distance(local, geometry),
            sizes=sizes_of(name, bodies[name]),
            sites=(superior, inferior),
        )
    return made


def sizes_of(name: str, body: BodyMeasures) -> Proportions:
    """Return the sizes of a measured vertebra; what is not measured is scaled."""
    adult = adult_proportions(name)
    wide = 2.0 * body.width / (adult.width_upper + adult.width_lower)
    deep = body.depth / adult.depth
    high = body.height / adult.height
    return replace(
        adult,
        width_upper=adult.width_upper * wide,
        width_lower=adult.width_lower * wide,
        depth_upper=adult.depth_upper * deep,
        depth_lower=adult.depth_lower * deep,
        height=body.height,
        wedge_deg=body.wedge_deg,
        canal_width=adult.canal_width * wide,
        pedicle_width=adult.pedicle_width * wide,
        pedicle_height=adult.pedicle_height * high,
    )


def measured_vertebra(
    name: str,
    geometry: VolumeGeometry,
    distance_mm: NDArray[np.float32],
    *,
    sizes: Proportions,
    sites: tuple[Mapping[Side, FacetSite], Mapping[Side, FacetSite]],
) -> MeasuredVertebra:
    """Label the parts of a real vertebra after solids of the same sizes.

    Parameters
    ----------
    name : str
        Name of the vertebra.
    geometry : VolumeGeometry
        Grid in its own frame.
    distance_mm : (K, J, I) float32 ndarray
        Signed distance on that grid.
    sizes : Proportions
        Its sizes.
    sites : tuple of mapping
        Superior and inferior facets in its own frame.
    """
    superior, inferior = (
        {
            s: JointShape(site=v, gap_mm=1.0, curvature=0.02, arthrosis=0.0)
            for s, v in group.items()
        }
        for group in sites
    )
    _, parts = assemble(
        geometry, sizes, superior=superior, inferior=inferior, style=_PLAIN
    )
    template = VertebraTemplate(
        name=name,
        geometry=geometry,
        distance_mm=distance_mm,
        parts=parts,
        superior=dict(sites[0]),
        inferior=dict(sites[1]),
    )
    return MeasuredVertebra(template=template, size=sizes)


def _sites(
    surfaces: Mapping[str, Surface],
    bodies: Mapping[str, BodyMeasures],
    name: str,
    pair: tuple[str | None, str | None],
    contact_mm: float,
) -> dict[Side, FacetSite]:
    """Return the facets of `name` with a neighbor, from contact where there is one."""
    body = bodies[name]
    upper, lower = pair
    sites = {}
    for side in Side:
        found = None
        if upper is not None and lower is not None:
            found = contact_patch(
                surfaces[upper],
                surfaces[lower],
                bodies[upper],
                side,
                reach_mm=contact_mm,
            )
        if found is None:
            local = to_frame(surfaces[name], body)
            own = facet_patch(local, body, side, superior=lower == name)
        else:
            own = replace(
                found,
                center_mm=(found.center_mm - body.center_mm) @ body.axes.T,
                normal=body.axes @ found.normal,
            )
        sites[side] = _steadied(own, upper or name, side)
    return sites


def _steadied(site: FacetSite, upper: str, side: Side) -> FacetSite:
    """Draw the axes of a measured facet toward those usual at its level."""
    angle = adult_proportions(upper).facet_angle_deg
    usual = facet_axes(angle, pitch_deg=8.0, splay_deg=6.0, side=side)
    normal = site.normal + usual[0]
    normal /= np.linalg.norm(normal)
    cranial = usual[2] - normal * (usual[2] @ normal)
    cranial /= np.linalg.norm(cranial)
    return replace(
        site,
        normal=normal,
        across=np.cross(cranial, normal) * side.sign,
        cranial=cranial,
    )


def fit_vertebra(
    source: MeasuredVertebra,
    name: str,
    size: Proportions,
    *,
    superior: Mapping[Side, JointShape],
    inferior: Mapping[Side, JointShape],
    noise: tuple[float, np.random.Generator],
    spacing_mm: float,
) -> VertebraTemplate:
    """Deform a real vertebra to a person's sizes and joints.

    Parameters
    ----------
    source : MeasuredVertebra
        Real vertebra, of this or of a neighboring level.
    name : str
        Name of the vertebra to make.
    size : Proportions
        Wanted sizes.
    superior, inferior : mapping of Side to JointShape
        Wanted joints in the frame of the vertebra.
    noise : tuple
        Standard deviation in mm of a smooth random displacement, and its source.
    spacing_mm : float
        Voxel size of the result.
    """
    geometry = vertebra_grid(size, inferior, spacing_mm)
    distance, parts = deform(
        source.template,
        geometry,
        ratio=_ratio(source.size, size),
        squeeze=lambda points: _squeeze(points, source.size, size),
        joints=(superior, inferior),
        wall_mm=size.depth / 2.0,
        noise=noise,
    )
    return VertebraTemplate(
        name=name,
        geometry=geometry,
        distance_mm=distance,
        parts=parts,
        superior={s: j.site for s, j in superior.items()},
        inferior={s: j.site for s, j in inferior.items()},
    )


def deform(
    source: VertebraTemplate,
    geometry: VolumeGeometry,
    *,
    ratio: NDArray[np.float64],
    squeeze: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    joints: tuple[Mapping[Side, JointShape], Mapping[Side, JointShape]],
    wall_mm: float,
    noise: tuple[float, np.random.Generator],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Resample a template deformed to other sizes and joints.

    Parameters
    ----------
    source : VertebraTemplate
        Template to deform.
    geometry : VolumeGeometry
        Upright grid of the result.
    ratio : (3,) float64 ndarray
        Sizes of the source relative to the wanted ones, left, posterior, cranial.
    squeeze : callable
        Change of the points before they are scaled.
    joints : tuple of mapping
        Wanted superior and inferior joints.
    wall_mm : float
        Back wall of the body, in front of which the joints pull nothing along.
    noise : tuple
        Standard deviation in mm of a smooth random displacement, and its source.

    Returns
    -------
    distance_mm : (K, J, I) float32 ndarray
        Signed distance on `geometry`.
    parts : (K, J, I) uint8 ndarray
        `Structure` of the nearest part.
    """
    low = geometry.to_lps([0, 0, 0])
    high = geometry.to_lps(np.array(geometry.shape) - 1)
    coarse = local_grid(low, high + _COARSE_MM, _COARSE_MM)
    points = coarse.voxel_centers_lps_mm()
    origin = _follow_joints(
        points,
        squeeze(points) * ratio,
        (source.superior, source.inferior),
        joints,
        wall_mm=wall_mm,
    )
    amount, rng = noise
    values = rng.normal(0.0, 1.0, (*(np.array(coarse.shape) // 5 + 2), 3))
    origin = origin + amount * _stretch(values, coarse.shape)
    index = source.geometry.to_index(_refine(origin, coarse, geometry))
    at = np.moveaxis(index, -1, 0).astype(np.float32)
    distance = ndimage.map_coordinates(source.distance_mm, at, order=1, cval=FAR_MM)
    parts = ndimage.map_coordinates(source.parts, at, order=0, mode="nearest")
    scaled = np.clip(distance / np.float32(ratio.mean()), -FAR_MM, FAR_MM)
    return np.asarray(scaled, np.float32), np.asarray(parts, np.uint8)


def _ratio(source: Proportions, wanted: Proportions) -> NDArray[np.float64]:
    """Return the sizes of the source relative to the wanted ones, by axis."""
    return np.array(
        [
            (source.width_upper + source.width_lower)
            / (wanted.width_upper + wanted.width_lower),
            source.depth / wanted.depth,
            source.height / wanted.height,
        ]
    )


def _squeeze(
    points: NDArray[np.float64], source: Proportions, wanted: Proportions
) -> NDArray[np.float64]:
    """Stretch the transverse processes to the wanted span."""
    root = (wanted.canal_width / 2.0 + wanted.pedicle_width) * 1.15
    wide = wanted.width_upper / source.width_upper
    room = max(wanted.transverse_span / 2.0 - root, 2.0)
    had = max(source.transverse_span * wide / 2.0 - root, 2.0)
    moved = points.copy()
    beside = np.abs(points[..., 0])
    beyond = np.maximum(beside - root, 0.0)
    behind = np.clip((points[..., 1] - wanted.depth * 0.25) / 8.0, 0.0, 1.0)
    stretched = np.minimum(beside, root) + beyond * (had / room)
    stretched = beside + behind * (stretched - beside)
    moved[..., 0] = np.sign(points[..., 0]) * stretched
    return moved


def _follow_joints(
    points: NDArray[np.float64],
    origin: NDArray[np.float64],
    had: tuple[Mapping[Side, FacetSite], Mapping[Side, FacetSite]],
    wanted: tuple[Mapping[Side, JointShape], Mapping[Side, JointShape]],
    *,
    wall_mm: float,
) -> NDArray[np.float64]:
    """Carry the surroundings of each facet rigidly to its wanted place."""
    shift = np.zeros_like(points)
    total = np.zeros(points.shape[:-1])
    for sources, targets in zip(had, wanted, strict=True):
        for side, target in targets.items():
            site = target.site
            away = points - site.center_mm
            weight = np.exp(-(away**2).sum(axis=-1) / (2.0 * _FACET_SIGMA_MM**2))
            from_there = sources[side].center_mm + (away @ site.axes.T) @ (
                sources[side].axes
            )
            shift += weight[..., None] * (from_there - origin)
            total += weight
    behind = np.clip((points[..., 1] - wall_mm) / 8.0, 0.0, 1.0)
    share = behind / np.maximum(total, 1.0)
    return np.asarray(origin + share[..., None] * shift)


def _stretch(
    values: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Interpolate a small random field to a larger grid."""
    factors = [n / m for n, m in zip(shape, values.shape[:3], strict=True)]
    return np.asarray(ndimage.zoom(values, [*factors, 1.0], order=1))


def _refine(
    values: NDArray[np.float64], coarse: VolumeGeometry, fine: VolumeGeometry
) -> NDArray[np.float64]:
    """Interpolate a vector field of a coarse grid on a finer one of the same axes."""
    for axis in range(3):
        steps = np.arange(fine.shape[axis]) * (
            fine.spacing_mm[axis] / coarse.spacing_mm[axis]
        )
        low = np.minimum(np.floor(steps).astype(int), values.shape[axis] - 2)
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        share = (steps - low).reshape(shape)
        values = np.take(values, low, axis) * (1.0 - share) + (
            np.take(values, low + 1, axis) * share
        )
    return values
