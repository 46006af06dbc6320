"""study.json: everything about one study, in the shape of study.schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import ExtensionSite
from facetgrade.errors import OutputError
from facetgrade.findings import (
    Extents,
    Flag,
    Graded,
    Interval,
    JointFrame,
    Localization,
    LocatedJoint,
    Outcome,
    SequenceGrade,
    StudyReport,
)
from facetgrade.report.atomic import write_json
from facetgrade.report.context import ReportContext, StudyEntry
from facetgrade.report.tables import joint_rows, known_extents
from facetgrade.report.words import RESEARCH_USE
from facetgrade.scouts import ScoutReading
from facetgrade.study import Series, Stack, Study

SCHEMA_VERSION = "1"


def study_record(
    report: StudyReport,
    study: Study,
    *,
    context: ReportContext,
    files_written: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Put everything that is known about one study into JSON types.

    Parameters
    ----------
    report : StudyReport
        The graded study.
    study : Study
        What it was graded from.
    context : ReportContext
        What made the report.
    files_written : mapping of str to sequence of str
        Names of the masks, relative to the folder of study.json.

    Returns
    -------
    dict
        Valid by ``schemas/study.schema.json`` once NaN has become null.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "notice": RESEARCH_USE,
        "facetgrade_version": context.version,
        "source": report.source,
        "study_uid": report.study_uid,
        "subject": report.subject,
        "study_date": report.date,
        "content_sha256": study.content_sha256,
        "joints": [_joint(outcome) for outcome in report.outcomes],
        **_localization(report.localization),
        "series_used": [_series(series, report) for series in study.series],
        "series_for_numbering": [_series(series, report) for series in study.scouts],
        "series_rejected": [
            {"uid": s.uid, "description": s.description, "reason": s.reason}
            for s in study.rejected
        ],
        "notes": [*study.notes, *report.localization.notes],
        "stage_seconds": dict(report.stage_seconds),
        "device": context.device,
        "model_sha256": dict(context.model_sha256),
        "config_sha256": context.config_sha256,
        "config": dict(context.config),
        "files": {name: list(paths) for name, paths in files_written.items()},
        "table": joint_rows(report),
    }


def write_study_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write study.json whole or not at all."""
    write_json(path, record)


def read_study_entry(folder: Path, out: Path) -> StudyEntry:
    """Read back what the batch pages need of a study that an earlier run finished.

    Parameters
    ----------
    folder : Path
        Folder of the study, holding study.json.
    out : Path
        Output folder that contains it.

    Returns
    -------
    StudyEntry
        Marked as skipped.

    Raises
    ------
    OutputError
        If study.json is missing, damaged or of another version.
    """
    path = folder / "study.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {record['schema_version']}")
        return StudyEntry(
            folder=folder.relative_to(out).as_posix(),
            source=record["source"],
            study_uid=record["study_uid"],
            content_sha256=record["content_sha256"],
            rows=tuple(record["table"]),
            stage_seconds=record["stage_seconds"],
            skipped=True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(
            f"{path}: not a finished study of this version ({error}); "
            "remove its folder or use --force"
        ) from error


def read_schema(name: str) -> dict[str, Any]:
    """Read a published schema: ``study`` or ``run``."""
    path = files("facetgrade.report") / "schemas" / f"{name}.schema.json"
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def _joint(outcome: Outcome) -> dict[str, Any]:
    """Describe one requested joint."""
    graded = isinstance(outcome, Graded)
    extents, edema_judged = known_extents(outcome)
    return {
        "level": outcome.joint.level.value,
        "side": outcome.joint.side.value,
        "status": "graded" if graded else "ungradable",
        "reason": None if isinstance(outcome, Graded) else outcome.reason.value,
        "explanation": None if isinstance(outcome, Graded) else outcome.explanation,
        **_grade(outcome),
        **_position(outcome.location),
        "sequence": outcome.masks.sequence.value if outcome.masks else None,
        "extents": _extents(extents, edema_judged) if extents else None,
        "flags": [flag.value for flag in Flag if flag in outcome.flags],
        "series_used": list(outcome.series_used),
    }


def _grade(outcome: Outcome) -> dict[str, Any]:
    """Describe the grade, all of it empty when there is none."""
    if not isinstance(outcome, Graded):
        return {
            **dict.fromkeys(("grade", "probabilities", "grade_set", "borderline")),
            "extension": [],
            "trace": [],
            "per_sequence": [],
        }
    return {
        "grade": outcome.best.grade,
        "probabilities": list(outcome.probabilities),
        "grade_set": sorted(outcome.grade_set),
        "borderline": outcome.best.borderline,
        "extension": _sites(outcome.best.extension),
        "trace": list(outcome.best.trace),
        "per_sequence": [_sequence_grade(grade) for grade in outcome.per_sequence],
    }


def _sequence_grade(grade: SequenceGrade) -> dict[str, Any]:
    """Describe the grade on one contrast."""
    return {
        "sequence": grade.sequence.value,
        "grade": grade.grade,
        "borderline": grade.borderline,
        "extension": _sites(grade.extension),
        "trace": list(grade.trace),
        "extents": _extents(grade.extents, edema_judged=True),
    }


def _extents(extents: Extents, edema_judged: bool) -> dict[str, Any]:
    """Describe what was measured; null where the contrast cannot show it."""
    effusion = {
        "effusion_mm3": _interval(extents.effusion_mm3),
        "effusion_width_mm": _interval(extents.effusion_width_mm),
        "cyst_mm3": extents.cyst_mm3,
    }
    edema = {
        "edema_mm3": extents.edema_mm3,
        "soft_tissue_edema_mm3": _interval(extents.soft_tissue_edema_mm3),
        "marrow_edema_mm3": _interval(extents.marrow_edema_mm3),
        "articular_marrow_edema_mm3": extents.articular_marrow_edema_mm3,
        "perimeter_fraction": _interval(extents.perimeter_fraction),
        "perimeter_fraction_all_sectors": extents.perimeter_fraction_all_sectors,
        "perimeter_fraction_worst_plane": _interval(
            extents.perimeter_fraction_worst_plane
        ),
        "perimeter_fraction_height_30": (
            _interval(extents.perimeter_fraction_height_30)
            if extents.perimeter_fraction_height_30
            else None
        ),
        "extension_mm3": {s.value: v for s, v in extents.extension_mm3.items()},
        "sector_map": _sector_rows(extents.sector_map),
    }
    return effusion | (edema if edema_judged else dict.fromkeys(edema))


def _interval(interval: Interval) -> dict[str, float]:
    """Describe a value with its limits."""
    return {"value": interval.value, "low": interval.low, "high": interval.high}


def _sector_rows(sector_map: NDArray[np.int8]) -> list[str]:
    """Write the unrolled perimeter: 1 abnormal, 0 normal, - no soft tissue."""
    signs = {1: "1", 0: "0", -1: "-"}
    return ["".join(signs[int(value)] for value in row) for row in sector_map]


def _sites(sites: Sequence[ExtensionSite]) -> list[str]:
    """Name sites in the order of the table."""
    return [site.value for site in ExtensionSite if site in sites]


def _position(location: LocatedJoint | None) -> dict[str, Any]:
    """Describe where a joint is, in LPS mm; all null when it was not found."""
    if location is None:
        return dict.fromkeys(
            ("number", "x_mm", "y_mm", "z_mm", "axes", "score", "level_probability")
        )
    x_mm, y_mm, z_mm = (float(v) for v in location.frame.center_lps_mm)
    return {
        "number": location.number,
        "x_mm": x_mm,
        "y_mm": y_mm,
        "z_mm": z_mm,
        "axes": _axes(location.frame),
        "score": location.score,
        "level_probability": location.level_probability,
    }


def _axes(frame: JointFrame) -> dict[str, Any]:
    """Describe the directions of a joint as LPS unit vectors."""
    return {
        "cranial": frame.cranial,
        "posterior": frame.posterior,
        "lateral": frame.lateral,
    }


def _localization(localization: Localization) -> dict[str, Any]:
    """Describe all located vertebrae and joints and how sure their names are."""
    return {
        "numbering": {
            "probability": localization.numbering_probability,
            "level_assumed": localization.level_assumed,
            "alternative": list(localization.alternative),
            "alternative_probability": localization.alternative_probability,
            "scout": _scout(localization.scout),
        },
        "vertebrae": [
            {
                "name": vertebra.name,
                "x_mm": float(vertebra.center_lps_mm[0]),
                "y_mm": float(vertebra.center_lps_mm[1]),
                "z_mm": float(vertebra.center_lps_mm[2]),
                "probability": vertebra.probability,
            }
            for vertebra in localization.vertebrae
        ],
        "located_joints": [
            {
                "level": joint.level.value if joint.level else None,
                "side": joint.side.value,
                **_position(joint),
            }
            for joint in localization.joints
        ],
    }


def _scout(reading: ScoutReading | None) -> dict[str, Any] | None:
    """Describe what the scouts said of the numbering."""
    if reading is None:
        return None
    return {"series": list(reading.series), "verdict": reading.verdict.value}


def _series(series: Series, report: StudyReport) -> dict[str, Any]:
    """Describe one usable series, its stacks and the joints that were read on it."""
    joints = [str(o.joint) for o in report.outcomes if series.uid in o.series_used]
    return {
        "uid": series.uid,
        "description": series.description,
        "sequence": series.sequence.value,
        "plane": series.plane.value,
        "evidence": list(series.evidence),
        "joints": joints,
        "stacks": [_stack(stack) for stack in series.stacks],
    }


def _stack(stack: Stack) -> dict[str, Any]:
    """Describe the grid of one stack."""
    geometry = stack.volume.geometry
    return {
        "shape": list(geometry.shape),
        "spacing_mm": geometry.spacing_mm,
        "slice_thickness_mm": stack.slice_thickness_mm or None,
        "missing_slices": list(stack.missing_slices),
    }
