"""Vertebrae made of solids, for one person's sizes and joints; needs no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import Side, Structure
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.canvas import Canvas, around
from facetgrade.simulate.anatomy.primitives import (
    Axes,
    Field,
    cylinder,
    limb,
    plate,
    slab,
    smooth_max,
    smooth_min,
)
from facetgrade.simulate.anatomy.proportions import Proportions
from facetgrade.simulate.anatomy.template import (
    FacetSite,
    VertebraTemplate,
    local_grid,
)

_FILLET_MM = 4.0
_MARGIN_MM = 7.0


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointShape:
    """Where one half of a joint lies, how wide and how bent the joint is.

    Attributes
    ----------
    site : FacetSite
        Joint in the frame of the vertebra.
    gap_mm : float
        Bone-to-bone width.
    curvature : float
        Bend of the joint line, 1 / mm.
    arthrosis : float
        0 healthy to 1 with large osteophytes.
    """

    site: FacetSite
    gap_mm: float
    curvature: float
    arthrosis: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyStyle:
    """Individual shape of the bodies.

    Attributes
    ----------
    waist, squareness, hollow_mm, concavity_mm : float
        Relative waist, exponent of the outline, depth of the back wall's hollow and
        of the endplates.
    flare : float
        Relative widening of the rims by osteophytes.
    """

    waist: float
    squareness: float
    hollow_mm: float
    concavity_mm: float
    flare: float


def draw_body_style(rng: np.random.Generator) -> BodyStyle:
    """Draw the shape of one person's bodies."""
    return BodyStyle(
        waist=float(rng.uniform(0.06, 0.16)),
        squareness=float(rng.uniform(2.2, 3.0)),
        hollow_mm=float(rng.uniform(0.5, 2.5)),
        concavity_mm=float(rng.uniform(0.8, 2.8)),
        flare=float(max(rng.normal(0.0, 0.03), 0.0)),
    )


def build_vertebra(
    name: str,
    size: Proportions,
    *,
    superior: Mapping[Side, JointShape],
    inferior: Mapping[Side, JointShape],
    style: BodyStyle,
    spacing_mm: float,
) -> VertebraTemplate:
    """Build a vertebra whose articular processes meet the given joints.

    Parameters
    ----------
    name : str
        Name of the vertebra.
    size : Proportions
        Its sizes.
    superior, inferior : mapping of Side to JointShape
        Joints above and below in the frame of the vertebra; `superior` may be empty.
    style : BodyStyle
        Shape of the body.
    spacing_mm : float
        Voxel size of the template.
    """
    geometry = vertebra_grid(size, inferior, spacing_mm)
    distance, parts = assemble(
        geometry, size, superior=superior, inferior=inferior, style=style
    )
    return VertebraTemplate(
        name=name,
        geometry=geometry,
        distance_mm=distance,
        parts=parts,
        superior={s: j.site for s, j in superior.items()},
        inferior={s: j.site for s, j in inferior.items()},
    )


def assemble(
    geometry: VolumeGeometry,
    size: Proportions,
    *,
    superior: Mapping[Side, JointShape],
    inferior: Mapping[Side, JointShape],
    style: BodyStyle,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Join the solids of a vertebra on a grid in its own frame.

    Returns
    -------
    distance_mm : (K, J, I) float32 ndarray
        Signed distance, cut at `FAR_MM`.
    parts : (K, J, I) uint8 ndarray
        `Structure` of the nearest solid, also outside the bone.
    """
    canvas = Canvas(geometry)
    canvas.add(Structure.VERTEBRAL_BODY, lambda axes: body(axes, size, style), None)
    _add_arch(canvas, size, superior, inferior)
    return canvas.finish()


def assemble_arch(
    geometry: VolumeGeometry,
    size: Proportions,
    *,
    superior: Mapping[Side, JointShape],
    inferior: Mapping[Side, JointShape],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Join the solids of a vertebra without its body, see `assemble`."""
    canvas = Canvas(geometry)
    _add_arch(canvas, size, superior, inferior)
    return canvas.finish()


def body(axes: Axes, size: Proportions, style: BodyStyle) -> Field:
    """Signed distance of a vertebral body around the origin."""
    x, y, z = axes
    share = np.clip(z / size.height + 0.5, -0.1, 1.1)
    waist = 1.0 - style.waist * np.clip(1.0 - (2.0 * z / size.height) ** 2, 0.0, 1.0)
    rim = (np.abs(z) - size.height / 2.0) / 3.5
    waist = waist + style.flare * np.exp(-(rim**2))
    half_width = (
        0.5 * waist * (size.width_lower * (1 - share) + size.width_upper * share)
    )
    half_depth = (
        0.5 * waist * (size.depth_lower * (1 - share) + size.depth_upper * share)
    )
    power = np.float32(style.squareness)
    radius = (
        (np.abs(x) / half_width) ** power + (np.abs(y) / half_depth) ** power
    ) ** (1 / power)
    side = (radius - 1.0) * half_depth
    hollow = style.hollow_mm * np.maximum(1.0 - (x / (0.6 * half_width)) ** 2, 0.0)
    side = np.maximum(side, y - (half_depth - hollow))
    dish = style.concavity_mm * np.maximum(1.0 - radius**2, 0.0)
    lean = np.tan(np.radians(size.wedge_deg) / 2.0)
    ends = np.abs(z) - (size.height / 2.0 - lean * y - dish)
    solid: Field = smooth_max(side.astype(np.float32), ends.astype(np.float32), 3.0)
    return solid


def vertebra_grid(
    size: Proportions, inferior: Mapping[Side, JointShape], spacing_mm: float
) -> VolumeGeometry:
    """Return a grid that holds the whole vertebra."""
    lowest = min(float(j.site.center_mm[2]) for j in inferior.values())
    reach = lowest - 0.5 * size.facet_height - _MARGIN_MM
    half = size.transverse_span / 2.0 + _MARGIN_MM
    front = max(size.depth_upper, size.depth_lower) / 2.0 + 4.0
    back = size.depth / 2.0 + size.spinous_length + 6.0
    top = size.height / 2.0 + 22.0
    return local_grid(
        np.array([-half, -front, reach]), np.array([half, back, top]), spacing_mm
    )


def _add_arch(
    canvas: Canvas,
    size: Proportions,
    superior: Mapping[Side, JointShape],
    inferior: Mapping[Side, JointShape],
) -> None:
    """Add everything behind the body."""
    for side in Side:
        _add_side(canvas, size, side, superior.get(side), inferior[side])
    _add_spinous(canvas, size)


def _add_side(
    canvas: Canvas,
    size: Proportions,
    side: Side,
    above: JointShape | None,
    below: JointShape,
) -> None:
    """Add pedicle, transverse and articular processes and the lamina of one side."""
    sign = side.sign
    wall = size.depth / 2.0
    pedicle_x = sign * (size.canal_width + size.pedicle_width) / 2.0
    pedicle_z = size.height / 2.0 - size.pedicle_height / 2.0 - 1.0
    neck = np.array([pedicle_x, wall + 9.0, pedicle_z])
    _add_pedicle(canvas, size, neck, wall)
    _add_transverse(canvas, size, side, neck)
    pars = np.array(
        [sign * (size.canal_width / 2.0 + 1.5), wall + 15.0, pedicle_z - 11.0]
    )
    canvas.add(
        Structure.LAMINA,
        lambda axes: limb(axes, neck, pars, radii_mm=(5.0, 4.2), stretch=1.2),
        around(neck, pars, margin_mm=14.0),
    )
    if above is not None:
        _add_superior_process(canvas, neck, above)
    _add_inferior_process(canvas, pars, below)
    _add_lamina(canvas, size, pars, below)


def _add_pedicle(
    canvas: Canvas, size: Proportions, neck: NDArray[np.float64], wall: float
) -> None:
    """Add one pedicle, from the body to the base of the superior process."""
    root = np.array([neck[0] * 0.94, wall - 4.0, neck[2]])
    radius = size.pedicle_width / 2.0
    canvas.add(
        Structure.PEDICLE,
        lambda axes: limb(
            axes,
            root,
            neck,
            radii_mm=(radius, radius),
            stretch=size.pedicle_height / size.pedicle_width,
        ),
        around(root, neck, margin_mm=radius + 12.0),
    )


def _add_transverse(
    canvas: Canvas, size: Proportions, side: Side, neck: NDArray[np.float64]
) -> None:
    """Add one transverse process."""
    root = neck + np.array([side.sign * size.pedicle_width * 0.4, 0.5, -2.5])
    tip = np.array(
        [side.sign * size.transverse_span / 2.0, neck[1] + 5.0, neck[2] + 1.0]
    )
    tip[0] -= side.sign * 3.5
    canvas.add(
        Structure.TRANSVERSE_PROCESS,
        lambda axes: limb(axes, root, tip, radii_mm=(4.0, 3.2), stretch=1.5),
        around(root, tip, margin_mm=12.0),
    )


def _add_superior_process(
    canvas: Canvas, neck: NDArray[np.float64], joint: JointShape
) -> None:
    """Add the process in front of and lateral to the joint above."""
    site, thick = joint.site, 7.5 + 2.5 * joint.arthrosis
    middle = site.center_mm + site.normal * (joint.gap_mm / 2.0 + thick / 2.0 - 0.8)
    half = (
        thick / 2.0 + 1.0,
        _half(site.width_mm, joint),
        _half(site.height_mm, joint),
    )
    foot = site.center_mm + site.normal * 5.0 - site.cranial * (site.height_mm * 0.42)

    def solid(axes: Axes) -> Field:
        cushion = slab(axes, middle, site.axes, half)
        stem = limb(axes, foot, neck, radii_mm=(5.0, 5.5))
        surface = cylinder(axes, site.center_mm, site.axes, joint.curvature)
        return smooth_max(
            smooth_min(cushion, stem, _FILLET_MM), joint.gap_mm / 2.0 - surface, 1.0
        )

    canvas.add(
        Structure.SUPERIOR_ARTICULAR_PROCESS,
        solid,
        around(middle, neck, foot, margin_mm=17.0),
    )


def _add_inferior_process(
    canvas: Canvas, pars: NDArray[np.float64], joint: JointShape
) -> None:
    """Add the process behind and medial to the joint below."""
    site, thick = joint.site, 7.0 + 2.0 * joint.arthrosis
    middle = site.center_mm - site.normal * (joint.gap_mm / 2.0 + thick / 2.0 - 0.8)
    half = (
        thick / 2.0 + 1.0,
        _half(site.width_mm, joint),
        _half(site.height_mm, joint),
    )
    crown = site.center_mm - site.normal * 5.0 + site.cranial * (site.height_mm * 0.4)

    def solid(axes: Axes) -> Field:
        cushion = slab(axes, middle, site.axes, half)
        stem = limb(axes, crown, pars, radii_mm=(4.8, 4.5))
        surface = cylinder(axes, site.center_mm, site.axes, joint.curvature)
        return smooth_max(
            smooth_min(cushion, stem, _FILLET_MM), surface + joint.gap_mm / 2.0, 1.0
        )

    canvas.add(
        Structure.INFERIOR_ARTICULAR_PROCESS,
        solid,
        around(middle, pars, crown, margin_mm=17.0),
    )


def _half(extent_mm: float, joint: JointShape) -> float:
    """Return half of an extent of a process, larger with osteophytes."""
    return extent_mm / 2.0 + 1.0 + 2.0 * joint.arthrosis


def _add_lamina(
    canvas: Canvas, size: Proportions, pars: NDArray[np.float64], joint: JointShape
) -> None:
    """Add one lamina, from the pars to the midline."""
    crown = joint.site.center_mm - joint.site.normal * 5.0
    outer = np.array([pars[0] * 0.85, pars[1] + 2.0, (pars[2] + crown[2]) / 2.0 + 5.0])
    middle = np.array([0.0, _lamina_back(size), outer[2] + 1.0])
    heights = (size.spinous_height * 0.42, size.spinous_height * 0.45)
    canvas.add(
        Structure.LAMINA,
        lambda axes: plate(
            axes,
            outer,
            middle,
            half_thickness_mm=3.0,
            half_heights_mm=heights,
            lean=0.28,
        ),
        around(outer, middle, margin_mm=17.0),
    )


def _lamina_back(size: Proportions) -> float:
    """Return how far behind the body center the laminae meet."""
    return size.depth / 2.0 + size.canal_depth + 4.5


def _add_spinous(canvas: Canvas, size: Proportions) -> None:
    """Add the spinous process."""
    base = np.array([0.0, _lamina_back(size), -size.height * 0.28])
    tip = np.array(
        [0.0, size.depth / 2.0 + size.spinous_length - 3.0, -size.height * 0.5]
    )
    half = size.spinous_height * 0.42
    canvas.add(
        Structure.LAMINA,
        lambda axes: plate(
            axes, base, tip, half_thickness_mm=3.0, half_heights_mm=(half * 0.8, half)
        ),
        around(base, tip, margin_mm=half + 8.0),
    )
