"""A phantom study with a report: bright rings around joints at known places."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import (
    ExtensionSite,
    FacetJoint,
    Lesion,
    Level,
    Side,
    Structure,
)
from facetgrade.findings import (
    Extents,
    Flag,
    Graded,
    Interval,
    JointFrame,
    JointMasks,
    Localization,
    LocatedJoint,
    LocatedVertebra,
    Outcome,
    Reason,
    SequenceGrade,
    StudyReport,
    Ungradable,
)
from facetgrade.geometry import Volume, VolumeGeometry
from facetgrade.report.context import ReportContext
from facetgrade.report.settings import ReportSettings
from facetgrade.study import Plane, RejectedSeries, Sequence, Series, Stack, Study

SETTINGS = ReportSettings(
    field_of_view_mm=60.0,
    pixel_mm=0.25,
    jpeg_quality=85,
    max_pictures_per_joint=6,
)
LEVELS = tuple(Level)
VERTEBRAE = ("L1", "L2", "L3", "L4", "L5", "S1")
MID_X_MM = 4.0
STIR_UID, T2_UID, AXIAL_UID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
MASK_SHAPE = (20, 48, 48)
MASK_SPACING_MM = (2.0, 1.0, 1.0)
FULL_TURN = 72


def joint_center_lps_mm(level: Level, side: Side) -> NDArray[np.float64]:
    """Place the joint: 35 mm per level, 16 mm (+1 per level) from the midline."""
    k = LEVELS.index(level)
    x_mm = MID_X_MM + side.sign * (16.0 + k)
    return np.array([x_mm, 30.0 + 2.0 * (k - 2) ** 2, 70.0 - 35.0 * k])


def vertebra_center_lps_mm(name: str) -> NDArray[np.float64]:
    """Place the body above the joint of its lower level."""
    k = VERTEBRAE.index(name)
    return np.array([MID_X_MM, 2.0 * (k - 2.5) ** 2 - 4.0, 88.0 - 35.0 * k])


def frame(level: Level, side: Side) -> JointFrame:
    return JointFrame(
        center_lps_mm=joint_center_lps_mm(level, side),
        cranial=np.array([0.0, 0.0, 1.0]),
        posterior=np.array([0.0, 1.0, 0.0]),
        lateral=np.array([float(side.sign), 0.0, 0.0]),
    )


def location(level: Level, side: Side, probability: float = 0.97) -> LocatedJoint:
    return LocatedJoint(
        number=1 + LEVELS.index(level),
        level=level,
        side=side,
        frame=frame(level, side),
        score=0.93,
        level_probability=probability,
    )


def masks(
    level: Level, side: Side, *, fraction: float = 0.0, sequence: Sequence
) -> JointMasks:
    """Cylinders about the joint: space, capsule, and edema over `fraction` of a turn.

    The angle grows from posterior over lateral, so that the edema of a joint starts
    behind it and reaches its outer side first.
    """
    geometry = frame(level, side).grid(spacing_mm=MASK_SPACING_MM, shape=MASK_SHAPE)
    offsets = (np.indices(MASK_SHAPE).T - (np.array(MASK_SHAPE) - 1) / 2).T
    up, back, out = (offsets.T * np.array(MASK_SPACING_MM)).T
    radius = np.hypot(back, out)
    angle = np.mod(np.arctan2(out, back), 2 * math.pi) / (2 * math.pi)
    tall = np.abs(up) <= 8.0
    structures = np.zeros(MASK_SHAPE, np.uint8)
    structures[(radius < 11.0) & tall & (out > 0)] = (
        Structure.SUPERIOR_ARTICULAR_PROCESS
    )
    structures[(radius < 11.0) & tall & (out <= 0)] = (
        Structure.INFERIOR_ARTICULAR_PROCESS
    )
    structures[(np.abs(out) < 2.5) & (np.abs(back) < 9.0) & tall] = Structure.CAPSULE
    structures[(np.abs(out) < 1.5) & (np.abs(back) < 8.0) & tall] = (
        Structure.JOINT_SPACE
    )
    effusion = (structures == Structure.JOINT_SPACE) & (np.abs(back) < 6.0)
    ring = (radius >= 12.0) & (radius < 16.0) & tall & (angle < fraction)
    marrow = (radius < 9.0) & (out > 3.0) & (back > 0.0) & tall & (fraction > 0.3)
    return JointMasks(
        geometry=geometry,
        structures=structures,
        lesions={
            Lesion.EFFUSION: effusion.astype(np.float32),
            Lesion.SOFT_TISSUE_EDEMA: ring.astype(np.float32),
            Lesion.MARROW_EDEMA: marrow.astype(np.float32),
        },
        in_view=np.ones(MASK_SHAPE, bool),
        sequence=sequence,
    )


def sector_map(fraction: float, rows: int = 9) -> NDArray[np.int8]:
    """Abnormal from posterior over `fraction` of a turn; no soft tissue medially."""
    sectors = np.zeros((rows, FULL_TURN), np.int8)
    sectors[:, 60:66] = -1
    sectors[1 : rows - 2, : round(fraction * FULL_TURN)] = 1
    return sectors


def extents(fraction: float, *, effusion_mm3: float = 212.4) -> Extents:
    edema = 4000.0 * fraction
    return Extents(
        effusion_mm3=Interval(effusion_mm3, 0.8 * effusion_mm3, 1.3 * effusion_mm3),
        effusion_width_mm=Interval(2.31, 1.9, 2.8),
        soft_tissue_edema_mm3=Interval(edema, 0.7 * edema, 1.2 * edema),
        marrow_edema_mm3=Interval(120.0, 80.0, 190.0),
        articular_marrow_edema_mm3=95.0,
        cyst_mm3=0.0,
        perimeter_fraction=Interval(
            fraction, max(fraction - 0.08, 0.0), min(fraction + 0.07, 1.0)
        ),
        perimeter_fraction_all_sectors=fraction * 0.92,
        perimeter_fraction_worst_plane=Interval(
            min(fraction + 0.1, 1.0), fraction, min(fraction + 0.15, 1.0)
        ),
        sector_map=sector_map(fraction),
        extension_mm3={ExtensionSite.FORAMEN: 84.0 if fraction > 0.7 else 0.0},
    )


def graded(
    level: Level,
    side: Side,
    *,
    grade: int,
    fraction: float,
    probabilities: tuple[float, float, float, float, float],
    flags: tuple[Flag, ...] = (),
    sequence: Sequence = Sequence.T2_FS,
) -> Graded:
    best = SequenceGrade(
        sequence=sequence,
        grade=grade,
        extents=extents(fraction),
        extension=(ExtensionSite.FORAMEN,) if grade == 4 else (),
        borderline=0.45 <= fraction <= 0.55,
        trace=(
            "Effusion of 212 mm3, 2.3 mm wide: at least grade 1.",
            f"Extracapsular signal over {fraction:.0%} of the perimeter: "
            f"grade {grade}.",
        ),
    )
    other = replace(best, sequence=Sequence.T1_FS_POST, grade=max(grade - 1, 0))
    return Graded(
        joint=FacetJoint(level, side),
        location=location(level, side),
        masks=masks(level, side, fraction=fraction, sequence=sequence),
        best=best,
        per_sequence=(best, other) if grade == 4 else (best,),
        probabilities=probabilities,
        grade_set=tuple(g for g, p in enumerate(probabilities) if p > 0.1),
        flags=flags,
        series_used=(STIR_UID, AXIAL_UID, T2_UID),
    )


def effusion_only(level: Level, side: Side) -> Ungradable:
    """Build a joint without a fat-suppressed series whose effusion is known."""
    unknown = Interval(math.nan, math.nan, math.nan)
    known = extents(0.0, effusion_mm3=150.0)
    return Ungradable(
        joint=FacetJoint(level, side),
        reason=Reason.NO_FAT_SUPPRESSION,
        explanation="No fat-suppressed series covers this joint.",
        location=location(level, side),
        masks=masks(level, side, sequence=Sequence.T2),
        extents=replace(
            known,
            soft_tissue_edema_mm3=unknown,
            marrow_edema_mm3=unknown,
            perimeter_fraction=unknown,
        ),
        series_used=(T2_UID,),
    )


def not_found(level: Level, side: Side) -> Ungradable:
    return Ungradable(
        joint=FacetJoint(level, side),
        reason=Reason.NOT_FOUND,
        explanation="No joint was detected where it should be.",
    )


def level_assumed(level: Level, side: Side) -> Ungradable:
    return Ungradable(
        joint=FacetJoint(level, side),
        reason=Reason.LEVEL_UNCERTAIN,
        explanation="The sacrum is not in view.",
        location=location(level, side, probability=0.58),
        masks=masks(level, side, fraction=0.2, sequence=Sequence.T2_FS),
        extents=extents(0.2),
        flags=(Flag.LEVEL_ASSUMED,),
        series_used=(STIR_UID,),
    )


def outcomes() -> tuple[Outcome, ...]:
    """Build one joint of every kind, all levels and sides."""
    p0 = (0.91, 0.08, 0.01, 0.0, 0.0)
    p1 = (0.05, 0.83, 0.10, 0.01, 0.01)
    p2 = (0.01, 0.09, 0.44, 0.42, 0.04)
    p3 = (0.0, 0.01, 0.23, 0.61, 0.15)
    p4 = (0.0, 0.0, 0.02, 0.16, 0.82)
    mismatch = (Flag.RULE_VS_PROBABILITY, Flag.SAGITTAL_ONLY)
    left, right = Side.LEFT, Side.RIGHT
    return (
        graded(Level.L1_L2, left, grade=0, fraction=0.0, probabilities=p0),
        effusion_only(Level.L1_L2, right),
        graded(Level.L2_L3, left, grade=1, fraction=0.0, probabilities=p1),
        not_found(Level.L2_L3, right),
        graded(
            Level.L3_L4,
            left,
            grade=2,
            fraction=0.48,
            probabilities=(0.01, 0.09, 0.42, 0.44, 0.04),
            flags=mismatch,
        ),
        graded(Level.L3_L4, right, grade=2, fraction=0.25, probabilities=p2),
        graded(Level.L4_L5, left, grade=3, fraction=0.62, probabilities=p3),
        graded(Level.L4_L5, right, grade=4, fraction=0.81, probabilities=p4),
        level_assumed(Level.L5_S1, left),
        level_assumed(Level.L5_S1, right),
    )


def localization() -> Localization:
    return Localization(
        vertebrae=tuple(
            LocatedVertebra(
                name=name, center_lps_mm=vertebra_center_lps_mm(name), probability=0.97
            )
            for name in VERTEBRAE
        ),
        joints=tuple(location(level, side) for level in Level for side in Side),
        numbering_probability=0.87,
        alternative=("T12", "L1", "L2", "L3", "L4", "L5"),
        alternative_probability=0.11,
        level_assumed=True,
        notes=("The sacrum is only partly in view.",),
    )


def report(chosen: tuple[Outcome, ...] | None = None) -> StudyReport:
    return StudyReport(
        study_uid="1.2.3",
        source="phantoms/ring_01",
        subject="subj-9f3a61",
        date="2024-05-17",
        outcomes=outcomes() if chosen is None else chosen,
        localization=localization(),
        stage_seconds={"ingest": 0.8, "localize": 1.25, "segment": 1.9, "grade": 0.2},
    )


def context() -> ReportContext:
    return ReportContext(
        version="0.1.0",
        config={"grade": {"height_fraction": 0.3}, "report": SETTINGS.model_dump()},
        model_sha256={"localizer-3": "a" * 64, "segmenter-4": "b" * 64},
        device="cpu",
    )


def study(description: str = "SAG STIR") -> Study:
    """Acquire the phantom: sagittal STIR and T2, and an oblique axial T2-FS block."""
    return Study(
        uid="1.2.3",
        source="phantoms/ring_01",
        subject="subj-9f3a61",
        date="2024-05-17",
        series=(
            _series(STIR_UID, description, Sequence.T2_FS),
            _series(T2_UID, "SAG T2", Sequence.T2),
            _series(AXIAL_UID, "AX T2 FS", Sequence.T2_FS),
        ),
        rejected=(
            RejectedSeries(
                uid="1.2.3.9", description="LOCALIZER", reason="fewer than 5 slices"
            ),
        ),
        notes=("Series 1.2.3.2: one slice was missing and was interpolated.",),
        content_sha256="c" * 64,
    )


def sagittal_geometry() -> VolumeGeometry:
    """Build the grid of 15 sagittal slices from right to left, 4.4 mm apart."""
    return VolumeGeometry.from_axes(
        origin_lps_mm=(MID_X_MM - 7 * 4.4, -70.0, 120.0),
        axes=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
        spacing_mm=(4.4, 1.0, 1.0),
        shape=(15, 240, 170),
    )


def axial_geometry() -> VolumeGeometry:
    """Build the grid of an axial block through L3-L4 and L4-L5, tilted by 12 deg."""
    tilt = math.radians(12.0)
    normal = (0.0, math.sin(tilt), math.cos(tilt))
    down = (0.0, math.cos(tilt), -math.sin(tilt))
    return VolumeGeometry.centered(
        center_lps_mm=(MID_X_MM, 20.0, -18.0),
        axes=(normal, down, (1.0, 0.0, 0.0)),
        spacing_mm=(4.0, 1.0, 1.0),
        shape=(24, 130, 130),
    )


def _series(uid: str, description: str, sequence: Sequence) -> Series:
    plane = Plane.AXIAL if uid == AXIAL_UID else Plane.SAGITTAL
    return Series(
        uid=uid,
        description=description,
        sequence=sequence,
        plane=plane,
        stacks=(Stack(volume=_acquired(uid), slice_thickness_mm=4.0),),
        evidence=("Inversion time 150 ms.", "Fluid is bright, fat is dark."),
    )


@cache
def _acquired(uid: str) -> Volume:
    geometry = axial_geometry() if uid == AXIAL_UID else sagittal_geometry()
    sequence = Sequence.T2 if uid == T2_UID else Sequence.T2_FS
    return Volume(geometry=geometry, voxels=_phantom(geometry, sequence))


def _phantom(geometry: VolumeGeometry, sequence: Sequence) -> NDArray[np.float32]:
    """Paint bodies, canal, skin fat, joints and their edema."""
    points = geometry.voxel_centers_lps_mm()
    rng = np.random.default_rng(7)
    image = np.full(geometry.shape, 90.0)
    fat = 60.0 if sequence.shows_edema else 700.0
    image[points[..., 1] > 70.0] = fat
    for name in VERTEBRAE:
        near = np.abs(points - vertebra_center_lps_mm(name)) < (22.0, 16.0, 13.0)
        image[near.all(axis=-1)] = 180.0
    spine_y = np.interp(-points[..., 2], [-90, 0, 90], [24.0, 18.0, 24.0])
    canal = np.hypot(points[..., 0] - MID_X_MM, points[..., 1] - spine_y) < 7.0
    image[canal] = 900.0
    for outcome in outcomes():
        _paint_joint(image, points, outcome)
    noisy = image + rng.normal(0.0, 18.0, geometry.shape)
    return np.clip(noisy, 0.0, None).astype(np.float32)


def _paint_joint(
    image: NDArray[np.float64], points: NDArray[np.float64], outcome: Outcome
) -> None:
    """Paint dark cortex, bright effusion and a bright arc as far as the edema goes."""
    level, side = outcome.joint.level, outcome.joint.side
    found = outcome.best.extents if isinstance(outcome, Graded) else None
    fraction = found.perimeter_fraction.value if found else 0.0
    offset = points - joint_center_lps_mm(level, side)
    out, back = offset[..., 0] * side.sign, offset[..., 1]
    radius = np.hypot(out, back)
    tall = np.abs(offset[..., 2]) <= 9.0
    angle = np.mod(np.arctan2(out, back), 2 * math.pi) / (2 * math.pi)
    image[(radius < 12.0) & tall] = 150.0
    image[(np.abs(radius - 11.5) < 0.8) & tall] = 20.0
    image[(np.abs(out) < 1.5) & (np.abs(back) < 7.0) & tall] = 850.0
    image[(np.abs(radius - 14.0) < 2.0) & tall & (angle < fraction)] = 600.0
