"""Builds the whole simulated patient from one anatomy source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Level, Side, Structure
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.simulate.anatomy.bone_growth import grow_lips
from facetgrade.simulate.anatomy.bones import (
    PosedBone,
    SampledBone,
    join_bones,
    sample_bone,
)
from facetgrade.simulate.anatomy.canal import canal_coordinates, paint_canal
from facetgrade.simulate.anatomy.column import (
    ColumnStyle,
    draw_column_style,
    paint_bones,
    paint_discs,
    paint_foramina,
    paint_interspinous,
    paint_remnants,
)
from facetgrade.simulate.anatomy.girdle import paint_iliac_bones, paint_ribs
from facetgrade.simulate.anatomy.joints import FormedJoint, form_joint, joint_frame
from facetgrade.simulate.anatomy.osteophytes import Osteophytes, draw_osteophytes
from facetgrade.simulate.anatomy.person import Person, draw_person
from facetgrade.simulate.anatomy.settings import AnatomySettings
from facetgrade.simulate.anatomy.skeleton import build_bones
from facetgrade.simulate.anatomy.space import (
    SpineSpace,
    SpineTable,
    lay_out,
    tabulate_spine,
)
from facetgrade.simulate.anatomy.torso import (
    TorsoStyle,
    draw_torso_style,
    paint_torso,
)
from facetgrade.simulate.scene import Scene, SceneGrid, Tissue, VertebraTruth
from facetgrade.simulate.streams import side_stream

SOURCES = ("parametric", "mean-shape", "label-map", "visible-human")
_COLUMN_MARGIN_MM = (26.0, 30.0, 30.0)  # left/right, front/back, up/down of joints


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Patient:
    """All that is drawn before anything is painted."""

    person: Person
    bones: Mapping[str, PosedBone]
    table: SpineTable
    torso: TorsoStyle
    column: ColumnStyle
    osteophytes: Osteophytes


def build_scene(
    settings: AnatomySettings,
    source: str,
    rng: np.random.Generator,
    *,
    data_folder: Path | None = None,
) -> Scene:
    """Build one simulated patient without pathology.

    Parameters
    ----------
    settings : AnatomySettings
        Grids and ranges.
    source : str
        One of `SOURCES`: where the shape of the vertebrae comes from.
    rng : Generator
        Source of all randomness; the same state gives the same scene.
    data_folder : Path, optional
        Folder that holds the meshes and label maps; not needed for ``parametric``.

    Returns
    -------
    Scene
        Both grids, the vertebrae from the top to S1, ten joints, no lesions.

    Raises
    ------
    ValueError
        If `source` is unknown or needs a folder that is not given.
    AnatomyError
        If the files of the source are missing or not as expected.
    """
    if source not in SOURCES:
        raise ValueError(f"source must be one of {SOURCES}, got {source!r}")
    patient = _draw_patient(settings, source, rng, data_folder)
    body = _paint(patient, _body_grid(patient, settings))
    column = _paint(patient, _column_grid(patient, settings))
    return Scene(
        body=body[0],
        column=column[0],
        vertebrae=_vertebrae(patient.person),
        joints=_joints(patient.person, column[1], column[0].geometry),
        provenance={
            "anatomy_source": source,
            **patient.person.provenance(),
            **patient.torso.provenance(),
            **patient.osteophytes.provenance(),
        },
    )


def _draw_patient(
    settings: AnatomySettings,
    source: str,
    rng: np.random.Generator,
    data_folder: Path | None,
) -> _Patient:
    """Draw a person, build the bones and draw the soft tissue."""
    apart = side_stream(rng)
    person = draw_person(rng, settings)
    person, bones, style = build_bones(
        person, source, rng, data_folder=data_folder, settings=settings
    )
    return _Patient(
        person=person,
        bones=bones,
        table=tabulate_spine(person),
        torso=draw_torso_style(rng, settings),
        column=draw_column_style(rng, person, style.squareness),
        osteophytes=draw_osteophytes(apart, person, source, settings),
    )


def _paint(
    patient: _Patient, grid: VolumeGeometry
) -> tuple[SceneGrid, dict[FacetJoint, FormedJoint]]:
    """Paint one grid from soft tissue to bone and joints."""
    person = patient.person
    space = lay_out(grid, patient.table)
    tissue = paint_torso(space, patient.torso, person)
    structure = np.zeros(grid.shape, np.uint8)
    vertebra = np.zeros(grid.shape, np.uint8)
    layers = (tissue, structure, vertebra)
    paint_interspinous(tissue, space, patient.torso.muscles.streaks.on(grid))
    worn = patient.osteophytes.joints
    thicker = {key: wear.flavum_mm for key, wear in worn.items()}
    paint_canal(tissue, structure, space, patient.column, thicker)
    paint_foramina(tissue, structure, space, person)
    paint_discs(layers, space, person, patient.column)
    paint_remnants(layers, space, person)
    present, formed = _shape_bones(patient, space)
    for joint in formed.values():
        _paint_capsule(joint, tissue, structure)
    skeleton = join_bones(list(present.values()), grid)
    paint_ribs(tissue, space, person)
    paint_iliac_bones(tissue, space, person, skeleton.distance_mm)
    paint_bones(layers, skeleton, space, person)
    for joint in formed.values():
        _paint_space(joint, layers)
    scene = SceneGrid(
        geometry=grid,
        tissue=tissue,
        structure=structure,
        vertebra=vertebra,
        lesions={},
    )
    lumbar = {
        FacetJoint(Level(f"{u}-{w}"), side): joint
        for (u, w, side), joint in formed.items()
        if f"{u}-{w}" in set(Level)
    }
    return scene, lumbar


def _shape_bones(
    patient: _Patient, space: SpineSpace
) -> tuple[dict[str, SampledBone], dict[tuple[str, str, Side], FormedJoint]]:
    """Sample the bones on a grid, with osteophytes, and form their joints."""
    sampled = {n: sample_bone(b, space.grid) for n, b in patient.bones.items()}
    present = {n: b for n, b in sampled.items() if b is not None}
    present = grow_lips(present, patient.person, patient.osteophytes, space.grid)
    return present, _form_joints(patient, present, space)


def _form_joints(
    patient: _Patient, bones: Mapping[str, SampledBone], space: SpineSpace
) -> dict[tuple[str, str, Side], FormedJoint]:
    """Form every joint whose two bones are on the grid."""
    formed = {}
    for item in patient.person.interspaces:
        if item.upper not in bones or item.lower not in bones:
            continue
        pair = (bones[item.upper], bones[item.lower])
        for side in Side:
            joint = form_joint(
                item,
                side,
                pair,
                space.grid,
                canal_mm=lambda box: canal_coordinates(space.block(box))[0],
                wear=patient.osteophytes.joints.get((item.upper, side)),
            )
            if joint is not None and joint.space.any():
                formed[item.upper, item.lower, side] = joint
    return formed


def _paint_capsule(
    joint: FormedJoint, tissue: NDArray[np.uint8], structure: NDArray[np.uint8]
) -> None:
    """Paint a capsule, leaving flavum and canal as they are."""
    block = structure[joint.box]
    kept = (block == Structure.LIGAMENTUM_FLAVUM) | (block == Structure.CANAL)
    capsule = joint.capsule & ~kept
    block[capsule] = Structure.CAPSULE
    tissue[joint.box][capsule] = Tissue.CAPSULE


def _paint_space(
    joint: FormedJoint,
    layers: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    """Paint a joint space with cartilage and fluid."""
    tissue, structure, vertebra = (layer[joint.box] for layer in layers)
    np.copyto(tissue, joint.space_tissue, where=joint.space)
    structure[joint.space] = Structure.JOINT_SPACE
    vertebra[joint.space] = 0


def _body_grid(patient: _Patient, settings: AnatomySettings) -> VolumeGeometry:
    """Return the upright grid of the whole field of view."""
    person, table = patient.person, patient.table
    centers = np.array([p.center_lps_mm for p in person.poses.values()])
    tips = table.curve.points[:, 1] + np.interp(
        table.curve.along, table.along, table.tip
    )
    inner = (table.curve.along >= 0.0) & (table.curve.along <= table.bodies["S3"])
    low = np.array(
        [
            centers[:, 0].mean() - settings.half_width_mm,
            centers[:, 1].min() - settings.anterior_extent_mm,
            person.poses["S5"].center_lps_mm[2] - 25.0,
        ]
    )
    high = np.array(
        [
            centers[:, 0].mean() + settings.half_width_mm,
            tips[inner].max() + patient.torso.subcutaneous_mm + 8.0,
            person.poses["T10"].center_lps_mm[2] + 6.0,
        ]
    )
    return _upright_grid(low, high, settings.body_spacing_mm)


def _column_grid(patient: _Patient, settings: AnatomySettings) -> VolumeGeometry:
    """Return the upright grid around the lumbar joints."""
    points = np.array(
        [
            site.center_mm
            for item in patient.person.interspaces
            if f"{item.upper}-{item.lower}" in set(Level)
            for site in item.facets.values()
        ]
    )
    margin = np.array(_COLUMN_MARGIN_MM)
    return _upright_grid(
        points.min(axis=0) - margin,
        points.max(axis=0) + margin,
        settings.column_spacing_mm,
    )


def _upright_grid(
    low: NDArray[np.float64], high: NDArray[np.float64], spacing_mm: float
) -> VolumeGeometry:
    """Return a grid along the LPS axes that spans two corners."""
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    return VolumeGeometry.from_axes(
        origin_lps_mm=low,
        axes=[[0, 0, 1], [0, 1, 0], [1, 0, 0]],
        spacing_mm=(spacing_mm,) * 3,
        shape=(int(count[2]), int(count[1]), int(count[0])),
    )


def _vertebrae(person: Person) -> tuple[VertebraTruth, ...]:
    """Return the true poses from T10 to S1."""
    return tuple(
        VertebraTruth(
            name=pose.name,
            center_lps_mm=pose.center_lps_mm,
            cranial=pose.axes[2],
            posterior=pose.axes[1],
            left=pose.axes[0],
        )
        for name, pose in person.poses.items()
        if name[0] != "S" or name == "S1"
    )


def _joints(
    person: Person, formed: Mapping[FacetJoint, FormedJoint], grid: VolumeGeometry
) -> dict[FacetJoint, JointFrame]:
    """Measure the frames of the lumbar joints."""
    spaces = {f"{s.upper}-{s.lower}": s for s in person.interspaces}
    return {
        joint: joint_frame(
            formed[joint],
            spaces[joint.level].facets[joint.side],
            spaces[joint.level].pose.axes[2],
            grid,
        )
        for joint in sorted(formed)
    }
