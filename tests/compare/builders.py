"""Joints at two time points without images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from facetgrade.anatomy import ExtensionSite, FacetJoint, Level, Side
from facetgrade.compare.registration import Registration
from facetgrade.compare.rigid import RigidMotion
from facetgrade.compare.settings import SmallestDetectableChange
from facetgrade.findings import (
    Extents,
    Graded,
    Interval,
    JointFrame,
    JointMasks,
    LocatedJoint,
    Reason,
    SequenceGrade,
    Ungradable,
)
from facetgrade.study import Plane, Sequence

JOINT = FacetJoint(Level.L4_L5, Side.RIGHT)
DETECTABLE = SmallestDetectableChange(
    effusion_mm3=100.0,
    effusion_width_mm=0.5,
    soft_tissue_edema_mm3=200.0,
    marrow_edema_mm3=80.0,
    articular_marrow_edema_mm3=50.0,
    edema_mm3=250.0,
    perimeter_fraction=0.10,
    extension_mm3=60.0,
    repeat_scans=8,
    joints=40,
)


def extents(
    *,
    effusion_mm3=0.0,
    width_mm=0.0,
    soft_mm3=0.0,
    marrow_mm3=0.0,
    perimeter=0.0,
    foramen_mm3=0.0,
):
    def known(value):
        return Interval(value, value, value)

    return Extents(
        effusion_mm3=known(effusion_mm3),
        effusion_width_mm=known(width_mm),
        soft_tissue_edema_mm3=known(soft_mm3),
        marrow_edema_mm3=known(marrow_mm3),
        articular_marrow_edema_mm3=marrow_mm3,
        cyst_mm3=0.0,
        perimeter_fraction=known(perimeter),
        perimeter_fraction_all_sectors=perimeter,
        perimeter_fraction_worst_plane=known(perimeter),
        sector_map=np.zeros((4, 72), np.int8),
        extension_mm3={ExtensionSite.FORAMEN: foramen_mm3, ExtensionSite.PEDICLE: 0.0},
    )


def location():
    return LocatedJoint(
        number=4,
        level=JOINT.level,
        side=JOINT.side,
        frame=JointFrame(
            center_lps_mm=np.array([-20.0, 30.0, 5.0]),
            cranial=np.array([0.0, 0.0, 1.0]),
            posterior=np.array([0.0, 1.0, 0.0]),
            lateral=np.array([-1.0, 0.0, 0.0]),
        ),
        score=0.9,
        level_probability=0.95,
    )


def masks(sequence):
    found = location()
    geometry = found.frame.grid(spacing_mm=(2.0, 1.0, 1.0), shape=(4, 6, 6))
    return JointMasks(
        geometry=geometry,
        structures=np.zeros(geometry.shape, np.uint8),
        lesions={},
        in_view=np.ones(geometry.shape, bool),
        sequence=sequence,
    )


def graded(grade, *, sequence=Sequence.T2_FS, others=(), **measured):
    best = SequenceGrade(
        sequence=sequence,
        grade=grade,
        extents=extents(**measured),
        extension=(),
        borderline=False,
        trace=("because",),
    )
    return Graded(
        joint=JOINT,
        location=location(),
        masks=masks(sequence),
        best=best,
        per_sequence=(best, *others),
        probabilities=(0.2, 0.2, 0.2, 0.2, 0.2),
        grade_set=(grade,),
    )


def ungradable(reason=Reason.NOT_IN_VIEW):
    return Ungradable(joint=JOINT, reason=reason, explanation="No series covers it.")


def registration(**changes):
    found = Registration(
        motion=RigidMotion(np.eye(4)),
        contrast=Sequence.T2_FS,
        planes=(Plane.SAGITTAL, Plane.AXIAL),
        similarity=0.93,
        error_mm=0.3,
        shift_mm=2.0,
        turn_deg=3.0,
    )
    return replace(found, **changes)
