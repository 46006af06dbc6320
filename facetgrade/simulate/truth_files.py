"""Write what is true of a simulated study beside its images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.findings import (
    Extents,
    Interval,
    JointFrame,
    JointMasks,
    SequenceGrade,
)
from facetgrade.geometry import VolumeGeometry
from facetgrade.grade.settings import GradeSettings
from facetgrade.simulate.imperfections import Motion
from facetgrade.simulate.pulsation import Pulsation
from facetgrade.simulate.scene import Scene, Tissue
from facetgrade.simulate.truth import fine_truth_masks, grade_masks
from facetgrade.simulate.vendors import (
    AcquiredSeries,
    Examination,
    Habit,
    written_uid,
)

TRUTH_VERSION = 1
LESION_LABELS = {lesion: 1 + index for index, lesion in enumerate(Lesion)}
_AROUND_JOINT_MM = 12.0
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_truth(
    folder: Path,
    scene: Scene,
    series: tuple[AcquiredSeries, ...],
    examination: Examination,
    grade: GradeSettings,
) -> None:
    """Write truth.json and the masks of every joint.

    A patient may shift between series. Positions and masks are those during the first
    series that shows edema, or during the first of all if none does;
    ``displacement_lps`` of a series maps them to where they were during that series.

    Parameters
    ----------
    folder : Path
        The study's ``truth`` folder; made if missing.
    scene : Scene
        Patient in the pose of the truth.
    series : tuple of AcquiredSeries
        What was acquired.
    examination : Examination
        Visit.
    grade : GradeSettings
        Measurement and rules that define the true grade.
    """
    folder.mkdir(parents=True, exist_ok=True)
    habit = examination.habit
    joints = []
    for joint, frame in sorted(scene.joints.items()):
        masks = fine_truth_masks(scene, joint)
        extents, result = grade_masks(masks, grade)
        entry = _joint_entry(joint, frame, extents, result)
        entry["covered"] = {
            written_uid(s.uid, habit): covered_share(frame, s) for s in series
        }
        entry["metal_mm"] = metal_distance_mm(scene, frame)
        entry["masks"] = _write_masks(folder, masks, joint)
        joints.append(entry)
    truth = {
        "version": TRUTH_VERSION,
        "study_uid": written_uid(examination.study_uid, habit),
        "patient_id": examination.patient.patient_id,
        "study_date": examination.study_date.isoformat(),
        "habit": habit.value,
        "transfer_syntax": examination.transfer_syntax,
        "provenance": dict(scene.provenance),
        "lesion_labels": {k.value: v for k, v in LESION_LABELS.items()},
        "vertebrae": [
            {
                "name": vertebra.name,
                "center_lps_mm": _numbers(vertebra.center_lps_mm),
                "cranial": _numbers(vertebra.cranial),
                "posterior": _numbers(vertebra.posterior),
                "left": _numbers(vertebra.left),
            }
            for vertebra in scene.vertebrae
        ],
        "joints": joints,
        "series": [_series_entry(s, habit) for s in series],
    }
    text = json.dumps(truth, indent=1)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def motion_entry(motion: Motion | None) -> dict[str, Any] | None:
    """Describe how the patient moved during a series, None if not at all."""
    return None if motion is None else asdict(motion)


def _pulsation_amplitude(pulsation: Pulsation | None) -> float:
    """Return the swing of vessels, 0 where nothing pulsates."""
    return 0.0 if pulsation is None else round(pulsation.vessel_amplitude, 4)


def _displacement_entry(
    displacement_lps: NDArray[np.float64] | None,
) -> list[list[float]] | None:
    """Describe how the patient lay displaced from the truth, None if not at all."""
    if displacement_lps is None:
        return None
    rounded: list[list[float]] = displacement_lps.round(6).tolist()
    return rounded


def metal_distance_mm(scene: Scene, frame: JointFrame) -> float | None:
    """Return how far the nearest metal is from a joint, None in a body without."""
    found = np.argwhere(scene.column.tissue == Tissue.METAL)
    if len(found) == 0:
        return None
    away = scene.column.geometry.to_lps(found) - frame.center_lps_mm
    return round(float(np.linalg.norm(away, axis=1).min()), 1)


def _joint_entry(
    joint: FacetJoint, frame: JointFrame, extents: Extents, result: SequenceGrade
) -> dict[str, Any]:
    """Describe one joint."""
    return {
        "level": joint.level.value,
        "side": joint.side.value,
        "center_lps_mm": _numbers(frame.center_lps_mm),
        "cranial": _numbers(frame.cranial),
        "posterior": _numbers(frame.posterior),
        "lateral": _numbers(frame.lateral),
        "grade": result.grade,
        "extension": [site.value for site in result.extension],
        "borderline": result.borderline,
        "trace": list(result.trace),
        "effusion_mm3": _value(extents.effusion_mm3),
        "effusion_width_mm": _value(extents.effusion_width_mm),
        "soft_tissue_edema_mm3": _value(extents.soft_tissue_edema_mm3),
        "marrow_edema_mm3": _value(extents.marrow_edema_mm3),
        "cyst_mm3": round(extents.cyst_mm3, 2),
        "perimeter_fraction": _value(extents.perimeter_fraction),
        "perimeter_fraction_worst_plane": _value(
            extents.perimeter_fraction_worst_plane
        ),
        "extension_mm3": {
            k.value: round(v, 2) for k, v in extents.extension_mm3.items()
        },
    }


def _series_entry(series: AcquiredSeries, habit: Habit) -> dict[str, Any]:
    """Describe one series: protocol and the grid of every block."""
    protocol, disturbed = series.protocol, series.imperfections
    return {
        "number": series.number,
        "series_uid": written_uid(series.uid, habit),
        "protocol": protocol.name,
        "sequence": protocol.sequence.value,
        "plane": protocol.plane.value,
        "field_t": protocol.field_t,
        "tr_ms": protocol.tr_ms,
        "te_ms": protocol.te_ms,
        "ti_ms": protocol.ti_ms,
        "fat_suppression": protocol.fat_suppression.value,
        "slice_thickness_mm": protocol.slice_thickness_mm,
        "acquired_pixel_mm": round(protocol.pixel_mm / disturbed.kept_phase, 3),
        "snr": round(disturbed.snr, 1),
        "fat_failures": len(disturbed.fat_failures),
        "motion": motion_entry(disturbed.motion),
        "ghost_amplitude": round(disturbed.ghost_amplitude, 4),
        "pulsation_amplitude": _pulsation_amplitude(disturbed.pulsation),
        "wrap_share": round(disturbed.wrap_share, 4),
        "displacement_lps": _displacement_entry(series.displacement_lps),
        "blocks": [
            {
                "shape": list(volume.geometry.shape),
                "index_to_lps": volume.geometry.index_to_lps.round(6).tolist(),
            }
            for volume in series.volumes
        ],
    }


def covered_share(frame: JointFrame, series: AcquiredSeries) -> float:
    """Return the share of a joint's surroundings that lies within a series."""
    steps = np.linspace(-_AROUND_JOINT_MM, _AROUND_JOINT_MM, 9)
    offsets = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    ball = offsets[np.linalg.norm(offsets, axis=1) <= _AROUND_JOINT_MM]
    points = frame.center_lps_mm + ball
    if series.displacement_lps is not None:
        turn, shift_mm = series.displacement_lps[:3, :3], series.displacement_lps[:3, 3]
        points = points @ turn.T + shift_mm
    inside = np.zeros(len(points), bool)
    for volume in series.volumes:
        inside |= volume.geometry.contains(points)
    return round(float(inside.mean()), 3)


def _write_masks(
    folder: Path, masks: JointMasks, joint: FacetJoint
) -> Mapping[str, str]:
    """Write structures and lesions of one joint; return the file names."""
    lesions = np.zeros(masks.geometry.shape, np.uint8)
    for lesion, label in LESION_LABELS.items():
        lesions[masks.lesions[lesion] >= 0.5] = label
    stem = f"{joint.level.value}_{joint.side.value}"
    names = {
        "structures": f"{stem}_structures.nii.gz",
        "lesions": f"{stem}_lesions.nii.gz",
    }
    _save_labels(folder / names["structures"], masks.structures, masks.geometry)
    _save_labels(folder / names["lesions"], lesions, masks.geometry)
    return names


def _save_labels(
    path: Path, labels: NDArray[np.uint8], geometry: VolumeGeometry
) -> None:
    """Write a label map as NIfTI, whose world is RAS."""
    affine = _LPS_TO_RAS @ geometry.index_to_lps
    make: Any = nibabel.Nifti1Image
    image = make(labels, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _numbers(values: NDArray[np.float64]) -> list[float]:
    """Round a vector for JSON."""
    return [round(float(v), 4) for v in values]


def _value(interval: Interval) -> float:
    """Round the value of an interval for JSON."""
    return round(interval.value, 3)
