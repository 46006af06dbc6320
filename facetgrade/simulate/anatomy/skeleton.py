"""Bones of one person from any anatomy source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.bones import PosedBone
from facetgrade.simulate.anatomy.measured import MeasuredVertebra, fit_vertebra
from facetgrade.simulate.anatomy.parametric import (
    BodyStyle,
    JointShape,
    build_vertebra,
    draw_body_style,
)
from facetgrade.simulate.anatomy.person import Person
from facetgrade.simulate.anatomy.posture import Interspace, Pose, localize_site
from facetgrade.simulate.anatomy.proportions import MOBILE
from facetgrade.simulate.anatomy.sacrum import SacralShape, build_sacrum
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.sources import load_vertebrae
from facetgrade.simulate.anatomy.template import VertebraTemplate


def build_bones(
    person: Person,
    source: str,
    rng: np.random.Generator,
    *,
    data_folder: Path | None,
    settings: AnatomySettings,
) -> tuple[dict[str, PosedBone], BodyStyle]:
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
    bones : dict of str to PosedBone
        From the top, the sacrum is named S1.
    style : BodyStyle
        Shape of the bodies, which the discs follow.
    """
    style = draw_body_style(rng)
    spacing = float(np.clip(1.7 * settings.column_spacing_mm, 0.8, 1.6))
    if source == "parametric":
        templates = _parametric(person, style, spacing)
    else:
        if data_folder is None:
            raise ValueError(f"source {source!r} needs data_folder")
        real = load_vertebrae(source, data_folder)
        deform = settings.deformation_mm.draw(rng)
        templates = _measured(person, real, rng, deform, spacing)
    bones = {
        name: PosedBone(template=template, pose=person.poses[name])
        for name, template in templates.items()
    }
    bones["S1"] = _sacrum(person, rng, style, spacing)
    return bones, style


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
    rng: np.random.Generator,
    deformation_mm: float,
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
            deformation_mm=deformation_mm,
            spacing_mm=spacing_mm,
            rng=rng,
        )
        for name in MOBILE
    }


def _nearest(name: str, real: Mapping[str, MeasuredVertebra]) -> str:
    """Return the level of a source that is nearest to a wanted level."""
    wanted = MOBILE.index(name)
    return min(real, key=lambda other: abs(MOBILE.index(other) - wanted))


def _sacrum(
    person: Person, rng: np.random.Generator, style: BodyStyle, spacing_mm: float
) -> PosedBone:
    """Build the sacrum of one person."""
    size = person.sizes["S1"]
    template, segments = build_sacrum(
        SacralShape(
            size=size,
            disc_mm=person.alignment.disc_height["S1"],
            wing_half_mm=size.transverse_span / 2.0 * float(rng.uniform(0.95, 1.12)),
            lumbarised=person.variant.lumbarised,
        ),
        person.poses,
        superior=_joints_above(person, "S1"),
        style=style,
        spacing_mm=max(spacing_mm, 1.0),
    )
    return PosedBone(template=template, pose=person.poses["S1"], segments=segments)


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
