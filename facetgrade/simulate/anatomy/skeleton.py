"""Bones of one person from any anatomy source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from facetgrade.anatomy import Side, Structure
from facetgrade.simulate.anatomy.bones import PosedBone
from facetgrade.simulate.anatomy.measured import MeasuredVertebra, fit_vertebra
from facetgrade.simulate.anatomy.parametric import (
    BodyStyle,
    JointShape,
    assemble_arch,
    build_vertebra,
    draw_body_style,
)
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import Interspace, Pose, localize_site
from facetgrade.simulate.anatomy.primitives import limb, smooth_min
from facetgrade.simulate.anatomy.proportions import MOBILE
from facetgrade.simulate.anatomy.sacrum import build_sacrum
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.sources import (
    THICK_SLICED,
    load_sacrum,
    load_vertebrae,
)
from facetgrade.simulate.anatomy.template import VertebraTemplate, open_axes
from facetgrade.simulate.anatomy.visible_human import fit_sacrum, place_segments

_GRAIN_MM = 9.0  # of the random unevenness of bones made of solids


def build_bones(
    person: Person,
    source: str,
    rng: np.random.Generator,
    *,
    data_folder: Path | None,
    settings: AnatomySettings,
) -> tuple[Person, dict[str, PosedBone], BodyStyle]:
    """Build all vertebrae and the sacrum of one person.

    Parameters
    ----------
    person : Person
        Sizes, posture and joints.
    source : str
        Anatomy source, see `build_scene`.
    rng : Generator
        Source of randomness.
    data_folder : Path or None
        Folder of the meshes and label maps.
    settings : AnatomySettings
        Grids and ranges.

    Returns
    -------
    person : Person
        The same, with the sacral segments of the source if it has a sacrum.
    bones : dict of str to PosedBone
        From the top, the sacrum is named S1.
    style : BodyStyle
        Shape of the bodies, which the discs follow.
    """
    style = draw_body_style(rng)
    spacing = float(np.clip(1.7 * settings.column_spacing_mm, 0.8, 1.6))
    noise = (settings.deformation_mm.draw(rng), rng)
    real_sacrum = None
    if source == "parametric":
        smooth = _parametric(person, style, spacing)
        templates = {n: _roughened(t, noise) for n, t in smooth.items()}
    else:
        if data_folder is None:
            raise ValueError(f"source {source!r} needs data_folder")
        real_sacrum = load_sacrum(source, data_folder)
        real = load_vertebrae(source, data_folder)
        templates = _measured(person, real, noise, spacing)
        if source in THICK_SLICED:
            templates = {n: _with_arch(person, t) for n, t in templates.items()}
    if real_sacrum is not None:
        person = place_segments(real_sacrum, person)
    templates["L5"] = _reaching_sacrum(person, templates["L5"])
    bones = {
        name: PosedBone(template=template, pose=person.poses[name])
        for name, template in templates.items()
    }
    sacrum = _solid_sacrum(person, style, spacing)
    sacrum = _roughened(sacrum[0], noise), sacrum[1]
    if real_sacrum is not None:
        joints = _joints_above(person, "S1")
        first = person.sizes["S1"]
        sacrum = fit_sacrum(real_sacrum, sacrum, first, superior=joints, noise=noise)
    bones["S1"] = PosedBone(
        template=sacrum[0], pose=person.poses["S1"], segments=sacrum[1]
    )
    return person, bones, style


def _parametric(
    person: Person, style: BodyStyle, spacing_mm: float
) -> dict[str, VertebraTemplate]:
    """Build the mobile vertebrae from solids."""
    return {
        name: build_vertebra(
            name,
            person.sizes[name],
            superior=_joints_above(person, name),
            inferior=_joints_below(person, name),
            style=style,
            spacing_mm=spacing_mm,
        )
        for name in MOBILE
    }


def _measured(
    person: Person,
    real: Mapping[str, MeasuredVertebra],
    noise: tuple[float, np.random.Generator],
    spacing_mm: float,
) -> dict[str, VertebraTemplate]:
    """Fit real vertebrae to the person; missing levels come from the nearest one."""
    return {
        name: fit_vertebra(
            real[_nearest(name, real)],
            name,
            person.sizes[name],
            superior=_joints_above(person, name),
            inferior=_joints_below(person, name),
            noise=noise,
            spacing_mm=spacing_mm,
        )
        for name in MOBILE
    }


def _with_arch(person: Person, template: VertebraTemplate) -> VertebraTemplate:
    """Complete the arch of a vertebra whose source has lost parts of it."""
    arch, parts = assemble_arch(
        template.geometry,
        person.sizes[template.name],
        superior=_joints_above(person, template.name),
        inferior=_joints_below(person, template.name),
    )
    closer = arch < template.distance_mm
    return replace(
        template,
        distance_mm=smooth_min(template.distance_mm, arch, 3.0),
        parts=np.where(closer, parts, template.parts),
    )


def _roughened(
    template: VertebraTemplate, noise: tuple[float, np.random.Generator]
) -> VertebraTemplate:
    """Move the surface of a bone in and out by a smooth random amount."""
    amount, rng = noise
    shape = template.distance_mm.shape
    grain = np.ceil(np.array(shape) * template.geometry.spacing_mm / _GRAIN_MM) + 1
    values = rng.normal(0.0, 0.7 * amount, grain.astype(int)).astype(np.float32)
    bumps = ndimage.zoom(values, np.array(shape) / grain, order=1)
    return replace(template, distance_mm=template.distance_mm + bumps)


def _reaching_sacrum(person: Person, template: VertebraTemplate) -> VertebraTemplate:
    """Broaden the transverse processes of a sacralised L5 toward the sacrum."""
    size, amount = person.sizes["L5"], person.variant.sacralised
    distance, parts = template.distance_mm, template.parts
    for side in person.variant.fused_sides:
        root = np.array(
            [
                side.sign * (size.canal_width / 2.0 + size.pedicle_width),
                size.depth / 2.0 + 8.0,
                size.height * 0.1,
            ]
        )
        ala = np.array(
            [
                side.sign * 0.8 * person.wing_half_mm,
                0.3 * size.depth,
                person.sizes["S1"].height / 2.0 - 6.0,
            ]
        )
        goal = person.poses["L5"].to_local(person.poses["S1"].to_lps(ala))
        # Below about 0.7 a gap remains, a false joint with the ala.
        tip = root + (goal - root) * min(0.45 + 0.75 * amount, 1.0)
        axes = open_axes(template.geometry)
        bar = limb(axes, root, tip, radii_mm=(6.0, 5.0 + 4.0 * amount), stretch=1.3)
        parts = np.where(bar < distance, np.uint8(Structure.TRANSVERSE_PROCESS), parts)
        distance = smooth_min(distance, bar, 4.0)
    return replace(template, distance_mm=distance, parts=parts)


def _nearest(name: str, real: Mapping[str, MeasuredVertebra]) -> str:
    """Return the level of a source that is nearest to a wanted level."""
    wanted = MOBILE.index(name)
    return min(real, key=lambda other: abs(MOBILE.index(other) - wanted))


def _solid_sacrum(
    person: Person, style: BodyStyle, spacing_mm: float
) -> tuple[VertebraTemplate, NDArray[np.uint8]]:
    """Build the sacrum of one person from solids."""
    return build_sacrum(
        person,
        superior=_joints_above(person, "S1"),
        style=style,
        spacing_mm=max(spacing_mm, 1.0),
    )


def _joints_above(person: Person, name: str) -> dict[Side, JointShape]:
    """Return the joints above a vertebra in its own frame."""
    for item in person.interspaces:
        if item.lower == name:
            return joint_shapes(item, person.poses[name])
    return {}


def _joints_below(person: Person, name: str) -> dict[Side, JointShape]:
    """Return the joints below a vertebra in its own frame."""
    for item in person.interspaces:
        if item.upper == name:
            return joint_shapes(item, person.poses[name])
    return {}


def joint_shapes(item: Interspace, pose: Pose) -> dict[Side, JointShape]:
    """Express both joints of a level in the frame of one of its vertebrae."""
    return {
        side: JointShape(
            site=localize_site(item.facets[side], pose),
            gap_mm=item.gap_mm[side],
            curvature=item.curvature[side],
            arthrosis=item.arthrosis[side],
        )
        for side in Side
    }
