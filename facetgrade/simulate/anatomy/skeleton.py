"""Bones of one person from any anatomy source."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facetgrade.anatomy import Side
from facetgrade.simulate.anatomy.bones import PosedBone
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
    bones = {
        name: PosedBone(
            template=build_vertebra(
                name,
                person.sizes[name],
                superior=_joints_above(person, name),
                inferior=_joints_below(person, name),
                style=style,
                spacing_mm=spacing,
            ),
            pose=person.poses[name],
        )
        for name in MOBILE
    }
    bones["S1"] = _sacrum(person, rng, style, spacing)
    return bones, style


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
