"""Read a finished study back: study.json and masks to the records that left."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite, FacetJoint, Lesion, Level, Side, Structure
from facetgrade.errors import OutputError
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
from facetgrade.geometry import VolumeGeometry
from facetgrade.report.nifti import lesion_label, lps_geometry, structure_label
from facetgrade.report.study_json import SCHEMA_VERSION
from facetgrade.scouts import ScoutReading, ScoutVerdict
from facetgrade.study import Sequence as Contrast

Record = Mapping[str, Any]

_NAN = float("nan")
_SECTOR = {"1": 1, "0": 0, "-": -1}


def read_study_record(folder: Path) -> dict[str, Any]:
    """Read study.json of a finished study.

    Parameters
    ----------
    folder : Path
        Folder of the study.

    Raises
    ------
    OutputError
        If study.json is missing, damaged or of another version.
    """
    path = folder / "study.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = record["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: not a finished study ({error})") from error
    if version != SCHEMA_VERSION:
        raise OutputError(f"{path}: schema version {version}, not {SCHEMA_VERSION}")
    return record


def read_study_report(folder: Path) -> StudyReport:
    """Read what was found in one study.

    Parameters
    ----------
    folder : Path
        Folder of the study, as `write_study` left it.

    Returns
    -------
    StudyReport
        Lesions are 0 or 1, since the files hold masks; the whole grid of a joint
        counts as in view.

    Raises
    ------
    OutputError
        If study.json or a mask is missing, damaged or of another version.
    """
    record = read_study_record(folder)
    try:
        return StudyReport(
            study_uid=record["study_uid"],
            source=record["source"],
            subject=record["subject"],
            date=record["study_date"],
            outcomes=tuple(_outcome(joint, folder) for joint in record["joints"]),
            localization=_localization(record),
            stage_seconds=record["stage_seconds"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{folder / 'study.json'}: damaged ({error!r})") from error


def _outcome(record: Record, folder: Path) -> Outcome:
    """Restore one joint."""
    joint = FacetJoint(Level(record["level"]), Side(record["side"]))
    location = _located(record)
    contrast = Contrast(record["sequence"]) if record["sequence"] else None
    masks = _masks(folder, joint, contrast) if contrast else None
    flags = tuple(Flag(flag) for flag in record["flags"])
    series = tuple(record["series_used"])
    if record["status"] == "ungradable" or location is None or masks is None:
        return Ungradable(
            joint=joint,
            reason=Reason(record["reason"]),
            explanation=record["explanation"],
            location=location,
            masks=masks,
            extents=_extents(record["extents"]) if record["extents"] else None,
            flags=flags,
            series_used=series,
        )
    per_sequence = tuple(_sequence_grade(one) for one in record["per_sequence"])
    return Graded(
        joint=joint,
        location=location,
        masks=masks,
        best=next(one for one in per_sequence if one.sequence is contrast),
        per_sequence=per_sequence,
        probabilities=tuple(record["probabilities"]),
        grade_set=tuple(record["grade_set"]),
        flags=flags,
        series_used=series,
    )


def _sequence_grade(record: Record) -> SequenceGrade:
    """Restore the grade on one contrast."""
    return SequenceGrade(
        sequence=Contrast(record["sequence"]),
        grade=record["grade"],
        extents=_extents(record["extents"]),
        extension=tuple(ExtensionSite(site) for site in record["extension"]),
        borderline=record["borderline"],
        trace=tuple(record["trace"]),
    )


def _extents(record: Record) -> Extents:
    """Restore what was measured; NaN where the contrast could not show it."""
    height_30 = record["perimeter_fraction_height_30"]
    return Extents(
        effusion_mm3=_interval(record["effusion_mm3"]),
        effusion_width_mm=_interval(record["effusion_width_mm"]),
        soft_tissue_edema_mm3=_interval(record["soft_tissue_edema_mm3"]),
        marrow_edema_mm3=_interval(record["marrow_edema_mm3"]),
        articular_marrow_edema_mm3=_number(record["articular_marrow_edema_mm3"]),
        cyst_mm3=_number(record["cyst_mm3"]),
        perimeter_fraction=_interval(record["perimeter_fraction"]),
        perimeter_fraction_all_sectors=_number(
            record["perimeter_fraction_all_sectors"]
        ),
        perimeter_fraction_worst_plane=_interval(
            record["perimeter_fraction_worst_plane"]
        ),
        sector_map=_sector_map(record["sector_map"] or ()),
        extension_mm3={
            ExtensionSite(site): _number(value)
            for site, value in (record["extension_mm3"] or {}).items()
        },
        perimeter_fraction_height_30=_interval(height_30) if height_30 else None,
    )


def _interval(record: Record | None) -> Interval:
    """Restore a value with its limits."""
    if record is None:
        return Interval(_NAN, _NAN, _NAN)
    value, low, high = (_number(record[name]) for name in ("value", "low", "high"))
    return Interval(value, low, high)


def _number(value: float | None) -> float:
    """Restore a number that null stands for when it is unknown."""
    return _NAN if value is None else float(value)


def _sector_map(rows: Sequence[str]) -> NDArray[np.int8]:
    """Restore the unrolled perimeter."""
    if not rows:
        return np.zeros((0, 72), np.int8)
    return np.array([[_SECTOR[sign] for sign in row] for row in rows], np.int8)


def _located(record: Record) -> LocatedJoint | None:
    """Restore where a joint is."""
    if record["axes"] is None:
        return None
    axes = {name: np.array(axis, float) for name, axis in record["axes"].items()}
    return LocatedJoint(
        number=record["number"],
        level=Level(record["level"]) if record["level"] else None,
        side=Side(record["side"]),
        frame=JointFrame(center_lps_mm=_point(record), **axes),
        score=record["score"],
        level_probability=record["level_probability"],
    )


def _localization(record: Record) -> Localization:
    """Restore all located vertebrae and joints."""
    numbering = record["numbering"]
    joints = [_located(joint) for joint in record["located_joints"]]
    return Localization(
        vertebrae=tuple(
            LocatedVertebra(
                name=vertebra["name"],
                center_lps_mm=_point(vertebra),
                probability=vertebra["probability"],
            )
            for vertebra in record["vertebrae"]
        ),
        joints=tuple(joint for joint in joints if joint is not None),
        numbering_probability=numbering["probability"],
        alternative=tuple(numbering["alternative"]),
        alternative_probability=numbering["alternative_probability"],
        level_assumed=numbering["level_assumed"],
        notes=tuple(record["notes"]),
        scout=_scout(numbering.get("scout")),
    )


def _scout(record: Record | None) -> ScoutReading | None:
    """Restore what the scouts said; reports of earlier versions say nothing."""
    if record is None:
        return None
    return ScoutReading(tuple(record["series"]), ScoutVerdict(record["verdict"]))


def _point(record: Record) -> NDArray[np.float64]:
    """Restore an LPS position."""
    return np.array([record["x_mm"], record["y_mm"], record["z_mm"]], float)


def _masks(folder: Path, joint: FacetJoint, contrast: Contrast) -> JointMasks | None:
    """Restore the masks of one joint on its own grid; None without structures."""
    stem = folder / "masks" / f"joint_{joint.level}_{joint.side}"
    structures = _labels(stem.with_name(f"{stem.name}_structures_seg.nii.gz"))
    if structures is None:
        return None
    labels, geometry = structures
    drawn = _labels(stem.with_name(f"{stem.name}_lesions_seg.nii.gz"))
    lesions = np.zeros(geometry.shape, np.uint8) if drawn is None else drawn[0]
    first = structure_label(joint, Structure.SOFT_TISSUE)
    return JointMasks(
        geometry=geometry,
        structures=np.where(labels > 0, labels - first, 0).astype(np.uint8),
        lesions={
            lesion: (lesions == lesion_label(joint, lesion)).astype(np.float32)
            for lesion in Lesion
        },
        in_view=np.ones(geometry.shape, bool),
        sequence=contrast,
    )


def _labels(path: Path) -> tuple[NDArray[np.uint8], VolumeGeometry] | None:
    """Read a label map; None where there is none."""
    import nibabel

    if not path.is_file():
        return None
    try:
        load: Any = nibabel.load
        image = load(path)
        voxels = np.asarray(image.dataobj, np.uint8).transpose(2, 1, 0)
    except (OSError, ValueError, EOFError, nibabel.filebasedimages.ImageFileError) as e:
        raise OutputError(f"{path}: not a readable label map ({e})") from e
    geometry = lps_geometry(np.asarray(image.affine, float), voxels.shape)
    if not math.isfinite(geometry.voxel_volume_mm3):
        raise OutputError(f"{path}: not a grid in the patient")
    return voxels, geometry
