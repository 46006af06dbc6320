"""Hold the report of one study against its truth, joint by joint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from facetgrade.anatomy import FacetJoint, Lesion
from facetgrade.evaluate.agreement import UNGRADABLE
from facetgrade.evaluate.localization import check_joint
from facetgrade.evaluate.overlap import dice, surface_agreement
from facetgrade.evaluate.rows import FAILED, NAN, ComparedJoint
from facetgrade.evaluate.settings import DefinitionSettings
from facetgrade.evaluate.truth import JointTruth, StudyTruth, read_labels
from facetgrade.findings import Extents, Graded, JointMasks, Outcome
from facetgrade.geometry import VolumeGeometry, resample

OUTLINES: Mapping[str, tuple[Lesion, ...]] = {
    "effusion": (Lesion.EFFUSION,),
    "edema": (Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Examination:
    """Which study is compared, as it will be named in tables.

    Attributes
    ----------
    study, patient, timepoint : str
        Name of the study, of the cluster it belongs to, and which visit it is.
    factors : mapping of str to str
        What varies between studies beside the acquisition.
    """

    study: str
    patient: str
    timepoint: str
    factors: Mapping[str, str]


def compare_study(
    outcomes: Iterable[Outcome],
    truth: StudyTruth,
    examination: Examination,
    definitions: DefinitionSettings,
) -> list[ComparedJoint]:
    """Return one row for each outcome whose joint the patient has.

    Parameters
    ----------
    outcomes : iterable of Graded or Ungradable
        One per requested joint, from `grade_study`.
    truth : StudyTruth
        From `read_truth`.
    examination : Examination
        Names for the rows.
    definitions : DefinitionSettings
        When a place is right and a joint gradable.
    """
    return [
        _compare_outcome(outcome, truth, examination, definitions)
        for outcome in outcomes
        if outcome.joint in truth.joints
    ]


def failed_study(
    joints: Iterable[FacetJoint],
    truth: StudyTruth,
    examination: Examination,
    definitions: DefinitionSettings,
) -> list[ComparedJoint]:
    """Return rows of a study that could not be processed: nothing found or graded."""
    return [
        _row(joint, truth, examination, definitions, reason=FAILED)
        for joint in joints
        if joint in truth.joints
    ]


def true_outlines(
    truth: JointTruth, labels: Mapping[str, int], masks: JointMasks
) -> dict[str, NDArray[np.bool_]]:
    """Return the true effusion and edema of one joint on a grid of the prediction.

    Parameters
    ----------
    truth : JointTruth
        With the path of its label map.
    labels : mapping of str to int
        As `StudyTruth.lesion_labels`.
    masks : JointMasks
        Their grid, and the contrast during which the patient lay as the outlines do.
    """
    lesions, grid = read_labels(truth.lesions_path)
    grid = truth.during(grid, masks.sequence)
    outlines = {}
    for name, members in OUTLINES.items():
        actual = np.isin(lesions, [labels[lesion.value] for lesion in members])
        share = resample(actual.astype(np.float32), grid, masks.geometry)
        outlines[name] = np.asarray(share >= 0.5)
    return outlines


def _compare_outcome(
    outcome: Outcome,
    truth: StudyTruth,
    examination: Examination,
    definitions: DefinitionSettings,
) -> ComparedJoint:
    """Compare one outcome with the truth of its joint."""
    graded = isinstance(outcome, Graded)
    location, masks = outcome.location, outcome.masks
    extents = outcome.best.extents if isinstance(outcome, Graded) else outcome.extents
    return _row(
        outcome.joint,
        truth,
        examination,
        definitions,
        center_lps_mm=location.frame.center_lps_mm if location else None,
        level_probability=location.level_probability if location else NAN,
        grade=outcome.best.grade if isinstance(outcome, Graded) else UNGRADABLE,
        reason="" if isinstance(outcome, Graded) else outcome.reason.value,
        probabilities=outcome.probabilities if isinstance(outcome, Graded) else (),
        grade_set=outcome.grade_set if isinstance(outcome, Graded) else (),
        predicted=_measures(extents, with_edema=graded) if extents else {},
        masks=masks if graded else None,
        flags=tuple(flag.value for flag in outcome.flags),
    )


def _row(
    joint: FacetJoint,
    truth: StudyTruth,
    examination: Examination,
    definitions: DefinitionSettings,
    *,
    center_lps_mm: NDArray[np.float64] | None = None,
    level_probability: float = NAN,
    grade: int = UNGRADABLE,
    reason: str = "",
    probabilities: tuple[float, ...] = (),
    grade_set: tuple[int, ...] = (),
    predicted: Mapping[str, float] | None = None,
    masks: JointMasks | None = None,
    flags: tuple[str, ...] = (),
) -> ComparedJoint:
    """Build the row of one joint; what is not given was not predicted."""
    actual = truth.joints[joint]
    check = check_joint(
        joint, center_lps_mm, truth.frames, tolerance_mm=definitions.tolerance_mm
    )
    cranial_mm, posterior_mm, lateral_mm = check.offset_mm
    return ComparedJoint(
        study=examination.study,
        patient=examination.patient,
        timepoint=examination.timepoint,
        level=joint.level.value,
        side=joint.side.value,
        factors={**examination.factors, **truth.factors, **actual.factors},
        truth_grade=actual.gradable_grade(
            min_covered=definitions.min_covered, metal_mm=definitions.metal_mm
        ),
        grade=grade,
        reason=reason,
        probabilities=probabilities,
        grade_set=grade_set,
        located=check.located,
        right=check.right,
        level_right=check.level_right,
        side_right=check.side_right,
        error_mm=check.error_mm,
        cranial_mm=cranial_mm,
        posterior_mm=posterior_mm,
        lateral_mm=lateral_mm,
        level_probability=level_probability,
        predicted=predicted or {},
        truth=actual.measures,
        overlap=_overlap(masks, actual, truth.lesion_labels, definitions)
        if masks
        else {},
        flags=flags,
    )


def _measures(extents: Extents, *, with_edema: bool) -> dict[str, float]:
    """Return the measures of an outcome; without fat suppression only the effusion."""
    effusion = {
        "effusion_mm3": extents.effusion_mm3.value,
        "effusion_width_mm": extents.effusion_width_mm.value,
    }
    if not with_edema:
        return effusion
    return {
        **effusion,
        "soft_tissue_edema_mm3": extents.soft_tissue_edema_mm3.value,
        "marrow_edema_mm3": extents.marrow_edema_mm3.value,
        "edema_mm3": extents.edema_mm3,
        "perimeter_fraction": extents.perimeter_fraction.value,
    }


def _overlap(
    masks: JointMasks,
    truth: JointTruth,
    labels: Mapping[str, int],
    definitions: DefinitionSettings,
) -> dict[str, dict[str, float]]:
    """Compare outlines on the fine grid of the truth, as the patient lay then."""
    lesions, grid = read_labels(truth.lesions_path)
    grid = truth.during(grid, masks.sequence)
    overlap = {}
    for name, members in OUTLINES.items():
        actual = np.isin(lesions, [labels[lesion.value] for lesion in members])
        found = _predicted_mask(masks, members, grid)
        surfaces = surface_agreement(
            found,
            actual,
            spacing_mm=grid.spacing_mm,
            tolerance_mm=definitions.surface_tolerance_mm,
        )
        overlap[name] = {"dice": dice(found, actual), **asdict(surfaces)}
    return overlap


def _predicted_mask(
    masks: JointMasks, lesions: Iterable[Lesion], grid: VolumeGeometry
) -> NDArray[np.bool_]:
    """Interpolate lesion probabilities onto a grid and cut them at one half."""
    found = np.zeros(grid.shape, bool)
    for lesion in lesions:
        probability = masks.lesions.get(lesion)
        if probability is not None:
            found |= np.asarray(resample(probability, masks.geometry, grid)) >= 0.5
    return found
