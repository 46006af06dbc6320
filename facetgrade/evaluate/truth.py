"""Read the truth that a simulated study carries beside its images."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.errors import FacetGradeError
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.factors import factors_of, factors_of_joint
from facetgrade.findings import JointFrame
from facetgrade.geometry import VolumeGeometry
from facetgrade.study import Sequence

TRUTH_VERSION = 1
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MEASURES = (
    "effusion_mm3",
    "effusion_width_mm",
    "soft_tissue_edema_mm3",
    "marrow_edema_mm3",
    "perimeter_fraction",
)


class TruthError(FacetGradeError):
    """A truth folder is missing, incomplete or of another version."""

    def __init__(self, folder: Path, problem: str) -> None:
        self.folder = folder
        super().__init__(f"{folder}: {problem}")


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class JointTruth:
    """What is true of one joint.

    Attributes
    ----------
    frame : JointFrame
        Position and axes.
    grade : int
        0-4 by the rules, on the true masks.
    measures : mapping of str to float
        The measures of `rows.MEASURES`.
    covered : float
        Largest share of the joint's surroundings within one series that shows edema and
        during which the patient lay still.
    metal_mm : float
        Distance of the nearest metal, infinite without any.
    lesions_path : Path
        Label map of the lesions.
    displacement_lps : mapping of Sequence to (4, 4) float64 ndarray
        Maps LPS mm of the truth to where it was during the first series of a contrast
        that shows edema, one without motion if there is one; absent where it lay there.
    factors : mapping of str to str
        How worn the joint is and what lies beside it.
    """

    frame: JointFrame
    grade: int
    measures: Mapping[str, float]
    covered: float
    metal_mm: float
    lesions_path: Path
    displacement_lps: Mapping[Sequence, NDArray[np.float64]]
    factors: Mapping[str, str]

    def during(self, geometry: VolumeGeometry, contrast: Sequence) -> VolumeGeometry:
        """Move a grid of the truth to where it was on a contrast that shows edema."""
        moved = self.displacement_lps.get(contrast)
        if moved is None:
            return geometry
        return VolumeGeometry(
            shape=geometry.shape, index_to_lps=moved @ geometry.index_to_lps
        )

    def gradable_grade(self, *, min_covered: float, metal_mm: float) -> int:
        """Return the grade, or `UNGRADABLE` out of view or as near to metal as that."""
        seen = self.covered >= min_covered and self.metal_mm > metal_mm
        return self.grade if seen else UNGRADABLE


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class StudyTruth:
    """What is true of one simulated study.

    Attributes
    ----------
    study_uid, patient : str
        Names in the truth file.
    joints : mapping of FacetJoint to JointTruth
        Every joint of the simulated patient.
    bodies : mapping of str to (3,) float64 ndarray
        LPS mm of the vertebral body centers, from the top.
    lesion_labels : mapping of str to int
        Label of each lesion in the label maps.
    factors : mapping of str to str
        How the study was acquired.
    """

    study_uid: str
    patient: str
    joints: Mapping[FacetJoint, JointTruth]
    bodies: Mapping[str, NDArray[np.float64]]
    lesion_labels: Mapping[str, int]
    factors: Mapping[str, str]

    @property
    def frames(self) -> dict[FacetJoint, JointFrame]:
        """Position and axes of every joint."""
        return {joint: truth.frame for joint, truth in self.joints.items()}


def read_truth(folder: Path) -> StudyTruth:
    """Read ``truth.json`` of a simulated study.

    Parameters
    ----------
    folder : Path
        The study's ``truth`` folder.

    Raises
    ------
    TruthError
        If the file is missing, malformed or of another version.
    """
    try:
        values = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TruthError(folder, f"truth.json cannot be read ({error})") from error
    if values.get("version") != TRUTH_VERSION:
        raise TruthError(
            folder, f"version is {values.get('version')}, expected {TRUTH_VERSION}"
        )
    # Studies made before motion and metal were simulated say nothing of them.
    series = values["series"]
    edema = [
        one["series_uid"]
        for one in series
        if Sequence(one["sequence"]).shows_edema and one.get("motion") is None
    ]
    moved = _displacements(series)
    return StudyTruth(
        study_uid=values["study_uid"],
        patient=values["patient_id"],
        joints={
            (joint := FacetJoint(Level(entry["level"]), Side(entry["side"]))): _joint(
                folder, entry, edema, moved, factors_of_joint(values, joint)
            )
            for entry in values["joints"]
        },
        bodies=_bodies(values["vertebrae"]),
        lesion_labels=values["lesion_labels"],
        factors=factors_of(values),
    )


def read_labels(path: Path) -> tuple[NDArray[np.uint8], VolumeGeometry]:
    """Read a label map and its grid in LPS.

    Returns
    -------
    (S, R, C) uint8 ndarray, VolumeGeometry
        Labels and where they are.
    """
    image = nibabel.Nifti1Image.from_filename(path)
    labels = np.asarray(image.dataobj, dtype=np.uint8)
    affine = _LPS_TO_RAS @ np.asarray(image.affine, np.float64)
    return labels, VolumeGeometry(shape=labels.shape, index_to_lps=affine)


def _joint(
    folder: Path,
    entry: Mapping[str, Any],
    edema: list[str],
    moved: Mapping[Sequence, NDArray[np.float64]],
    factors: Mapping[str, str],
) -> JointTruth:
    """Read one joint."""
    measures = {name: float(entry[name]) for name in _MEASURES}
    metal_mm = entry.get("metal_mm")
    tissues = "soft_tissue_edema_mm3", "marrow_edema_mm3"
    measures["edema_mm3"] = sum(measures[tissue] for tissue in tissues)
    return JointTruth(
        frame=JointFrame(
            center_lps_mm=np.array(entry["center_lps_mm"], np.float64),
            cranial=np.array(entry["cranial"], np.float64),
            posterior=np.array(entry["posterior"], np.float64),
            lateral=np.array(entry["lateral"], np.float64),
        ),
        grade=int(entry["grade"]),
        measures=measures,
        covered=max((float(entry["covered"][uid]) for uid in edema), default=0.0),
        metal_mm=math.inf if metal_mm is None else float(metal_mm),
        lesions_path=folder / entry["masks"]["lesions"],
        displacement_lps=moved,
        factors=factors,
    )


def _displacements(
    series: list[Mapping[str, Any]],
) -> dict[Sequence, NDArray[np.float64]]:
    """Read how the patient lay displaced in the series that judge each contrast."""
    still_first = sorted(series, key=lambda one: one.get("motion") is not None)
    first: dict[Sequence, Any] = {}
    for one in still_first:
        first.setdefault(Sequence(one["sequence"]), one.get("displacement_lps"))
    return {
        sequence: np.array(matrix, np.float64)
        for sequence, matrix in first.items()
        if sequence.shows_edema and matrix is not None
    }


def _bodies(entries: list[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Read the body centers, sorted from the top."""
    centers = {e["name"]: np.array(e["center_lps_mm"], np.float64) for e in entries}
    return dict(sorted(centers.items(), key=lambda item: -item[1][2]))
