"""Error of registration on simulated pairs, whose true motion is known."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.compare.rigid import RigidMotion, points_around
from facetgrade.errors import FacetGradeError
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.change import change_statistics
from facetgrade.evaluate.truth import StudyTruth, read_truth
from facetgrade.findings import JointFrame


class ComparisonError(FacetGradeError):
    """A folder does not hold what `facetgrade compare` writes of simulated pairs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredJoint:
    """One joint of a simulated pair.

    Attributes
    ----------
    pair : str
        Name of the pair.
    joint : FacetJoint
        Which joint.
    error_mm, error_deg : float
        Mean distance of points around the joint from where they truly are, and angle.
    problem : str
        Why the registration was not trusted, empty if it was.
    """

    pair: str
    joint: FacetJoint
    error_mm: float
    error_deg: float
    problem: str


def motion_error(
    found: RigidMotion, first: JointFrame, second: JointFrame, *, radius_mm: float
) -> tuple[float, float]:
    """Compare a motion with the one between two true frames of a joint.

    Parameters
    ----------
    found : RigidMotion
        From the first patient space to the second.
    first, second : JointFrame
        True frames in either space.
    radius_mm : float
        Points so far from the joint's center carry the error.

    Returns
    -------
    tuple of float
        Mean distance in mm over the center and six points around it; degrees.
    """
    true = RigidMotion.between(first, second)
    points = points_around(first.center_lps_mm, radius_mm)
    distance_mm = float(found.distances_mm(true, points).mean())
    return distance_mm, true.inverse().then(found).angle_deg


def registration_errors(
    out: Path, truth: Path, *, radius_mm: float
) -> tuple[RegisteredJoint, ...]:
    """Measure the registrations of a comparison against the truth.

    Parameters
    ----------
    out : Path
        Folder that `facetgrade compare` wrote.
    truth : Path
        Folder of the simulated studies, each with its ``truth``.
    radius_mm : float
        As in `motion_error`.

    Raises
    ------
    ComparisonError
        If `out` holds no comparison, or `truth` not the truth of its studies.
    """
    found = []
    for pair in _pairs(out):
        if not pair["registrations"]:
            continue
        first, second = _truths(pair, truth)
        for one in pair["registrations"]:
            joint = FacetJoint(Level(one["level"]), Side(one["side"]))
            error_mm, error_deg = motion_error(
                RigidMotion(np.array(one["followup_from_baseline"], float)),
                first.joints[joint].frame,
                second.joints[joint].frame,
                radius_mm=radius_mm,
            )
            found.append(
                RegisteredJoint(
                    pair=pair["pair"],
                    joint=joint,
                    error_mm=error_mm,
                    error_deg=error_deg,
                    problem=one["problem"],
                )
            )
    return tuple(found)


def direction_of_change(out: Path, truth: Path) -> dict[str, float]:
    """Compare the changes of grade of a comparison with the true ones.

    Parameters
    ----------
    out, truth : Path
        As in `registration_errors`.

    Returns
    -------
    dict of str to float
        As `change_statistics`, with ``changed`` and ``unchanged``, the joints behind.
    """
    truths = {p["pair"]: _truths(p, truth) for p in _pairs(out) if p["refused"] is None}
    with (out / "changes.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["pair"] in truths]
    true = np.array([_true_grades(row, truths[row["pair"]]) for row in rows], int)
    found = np.array(
        [[_grade(row["grade_baseline"]), _grade(row["grade_followup"])] for row in rows]
    )
    true, found = true.reshape(-1, 2), found.reshape(-1, 2)
    changed = int((true[:, 0] != true[:, 1]).sum())
    statistics = change_statistics(true[:, 0], true[:, 1], found[:, 0], found[:, 1])
    return {**statistics, "changed": changed, "unchanged": len(true) - changed}


def summarize_errors(joints: Sequence[RegisteredJoint]) -> dict[str, float | int]:
    """Return median and 95th percentile over the registrations that were trusted."""
    trusted = [one for one in joints if not one.problem]
    summary: dict[str, float | int] = {"joints": len(joints), "trusted": len(trusted)}
    for name in ("error_mm", "error_deg"):
        values = np.array([getattr(one, name) for one in trusted], float)
        if values.size:
            summary[f"{name}_median"] = float(np.median(values))
            summary[f"{name}_p95"] = float(np.quantile(values, 0.95))
    return summary


def _pairs(out: Path) -> list[Mapping[str, Any]]:
    """Return the pairs that compare.json lists."""
    path = out / "compare.json"
    try:
        pairs: list[Mapping[str, Any]] = json.loads(path.read_text(encoding="utf-8"))[
            "pairs"
        ]
    except (OSError, ValueError, KeyError) as error:
        raise ComparisonError(
            f"{path}: cannot be read ({error}); is {out} a folder that "
            "`facetgrade compare` wrote?"
        ) from error
    if any("registrations" not in pair for pair in pairs):
        raise ComparisonError(f"{path}: an earlier version wrote it; compare again")
    return pairs


def _truths(pair: Mapping[str, Any], truth: Path) -> tuple[StudyTruth, StudyTruth]:
    """Read the truth of both studies of a pair."""
    return (
        read_truth(_truth_folder(truth, pair["baseline_source"])),
        read_truth(_truth_folder(truth, pair["followup_source"])),
    )


def _truth_folder(truth: Path, source: str) -> Path:
    """Find the truth beside the images of a study."""
    place = truth / source
    for folder in (place, *place.parents):
        if (folder / "truth" / "truth.json").is_file():
            return folder / "truth"
        if folder == truth:
            break
    raise ComparisonError(
        f"{place}: no truth lies beside this study; give the folder that holds the "
        "simulated studies"
    )


def _true_grades(
    row: Mapping[str, str], truths: tuple[StudyTruth, StudyTruth]
) -> list[int]:
    joint = FacetJoint(Level(row["level"]), Side(row["side"]))
    return [one.joints[joint].grade for one in truths]


def _grade(text: str) -> int:
    return int(text) if text else UNGRADABLE
