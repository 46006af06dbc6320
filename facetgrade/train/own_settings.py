"""Fit what the pipeline makes of a new segmenter to the annotated cases."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import PipelineConfig, config_values, read_config
from facetgrade.evaluate.belief import (
    Belief,
    BeliefScore,
    KeptJoint,
    MeasuredJoint,
    choose_belief,
    correction_of,
    measure_under,
    score_of,
)
from facetgrade.evaluate.compare import OUTLINES
from facetgrade.findings import JointMasks, SegmentedJoint
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import CorrectionSettings
from facetgrade.inference.fitted import fitted_settings, with_model
from facetgrade.inference.predictor import Predictor, choose_precision, make_predictor
from facetgrade.segment import refine_locations, segment_joints
from facetgrade.segment.settings import BeliefSettings
from facetgrade.train.annotated import NEAR_MM, StudyReader, by_study
from facetgrade.train.manifest import ManifestRow, read_manifest
from facetgrade.train.masks import (
    Annotation,
    read_annotation,
    sample_covered,
    sample_lesions,
    sample_structures,
)
from facetgrade.train.processes import device_of
from facetgrade.train.settings import DataSettings, FitSettings, TrainSettings
from facetgrade.train.splits import read_splits

MEASURED = {Lesion.EFFUSION, Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA}
FITTED_SPLITS = ("train", "validation")
MOST_OF_IT = 0.9
UNBELIEVED = BeliefSettings(threshold=0.5, smallest_mm3=0.0, least_mean_probability=0.0)

log = logging.getLogger(__name__)


def fit_own_settings(
    network: nn.Module, settings: TrainSettings, folder: Path
) -> dict[str, Any]:
    """Choose thresholds and fit the correction on the cases of train and validation.

    Every study is read from its images as in grading. A network outlines the cases that
    it learned from better than others: a threshold must therefore score better than the
    one in use by more than a single joint can make up, and the correction is held near
    the one in use (`fit_correction`).

    Parameters
    ----------
    network : Module
        The finished segmenter.
    settings : TrainSettings
        Its `fit` says what is tried; without it nothing is fitted.
    folder : Path
        Receives what the network outlined.

    Returns
    -------
    dict
        Sections of the pipeline's settings, `belief` and `correction` as a whole; what
        was fitted to the weights that the run started from where nothing new is fitted.

    Raises
    ------
    FacetGradeError
        If a case cannot be read.
    """
    start = settings.run.start
    before = fitted_settings(start) if start else {}
    if settings.fit is None or settings.data is None:
        return before
    config = read_config()
    config = with_model(config, "segment", start) if start else config
    device = device_of(network)
    precision = choose_precision(config.inference.precision, device)
    segmenter = make_predictor(network.eval(), precision)
    joints = _read_joints(segmenter, settings.data, config, folder / "outlined")
    if _different(joints) < settings.fit.least_joints:
        log.warning("settings are not fitted to %d joints", _different(joints))
        return before
    return _fit(joints, settings.fit, config)


def _fit(
    joints: Sequence[KeptJoint], choices: FitSettings, config: PipelineConfig
) -> dict[str, Any]:
    """Fit belief and correction, and say how well they agree with the readers."""

    def score(beliefs: Sequence[Belief]) -> list[BeliefScore]:
        return [score_of(measured(one), config.grade) for one in beliefs]

    def measured(belief: Belief) -> list[MeasuredJoint]:
        read = (joint.read() for joint in joints)
        return measure_under(belief, read, config.grade)

    belief, tried = choose_belief(_from_those_in_use(choices, joints, config), score)
    outlined = [joint for joint in joints if joint.measures]
    correction = config.grade.confidence.correction
    if _different(outlined) >= choices.least_joints:
        correction = correction_of(measured(belief), config.grade)
    reached = next(one.total for other, one in tried if other == belief)
    print(  # noqa: T201 - a line of a long command
        f"settings fitted to {_different(joints)} joints: "
        f"mean of exact share, kappa and Dice {tried[0][1].total:.3f} -> {reached:.3f}",
        flush=True,
    )
    values = {lesion.value: config_values(one) for lesion, one in belief.items()}
    return {
        "segment": {"belief": values},
        "grade": {"confidence": {"correction": config_values(correction)}},
    }


def _different(joints: Sequence[KeptJoint]) -> int:
    """Count joints once, however many readers they had."""
    return len({Path(joint.outlines[0]).parent for joint in joints})


def _from_those_in_use(
    choices: FitSettings, joints: Sequence[KeptJoint], config: PipelineConfig
) -> FitSettings:
    """Put the values in use before those to try, and ask for the worth of two joints.

    One joint graded otherwise moves the exact share by 1 / N, a third of the score.
    """
    used = config.segment.belief
    lesions = {
        lesion: {
            key: (value, *choices.lesions.get(lesion, {}).get(key, ()))
            for key, value in used.get(lesion, UNBELIEVED).model_dump().items()
        }
        for lesion in Lesion
        if lesion in used or lesion in choices.lesions
    }
    gain = max(choices.least_gain, 2.0 / (3.0 * _different(joints)))
    return choices.model_copy(update={"lesions": lesions, "least_gain": gain})


def _read_joints(
    segmenter: Predictor, data: DataSettings, config: PipelineConfig, folder: Path
) -> list[KeptJoint]:
    """Outline the annotated joints of every study from its images."""
    reader = StudyReader(config)
    unbelieved = config.segment.model_copy(update={"belief": {}})
    splits = read_splits(data.splits)
    kept: list[KeptJoint] = []
    for number, rows in enumerate(by_study(read_manifest(data.manifest).rows)):
        if splits.get(rows[0].subject) not in FITTED_SPLITS:
            continue
        study = reader.read(rows[0])
        joints = tuple(dict.fromkeys(row.joint for row in rows))
        asked = segmenter, unbelieved, joints
        found = refine_locations(study, reader.locate(study), *asked)
        segmented = segment_joints(study, found, *asked)
        for row in rows:
            one = segmented.get(row.joint)
            place = folder / str(number) / f"{row.joint.level}_{row.joint.side}"
            joint = _keep(row, one, config, place) if one else None
            if joint:
                kept.append(joint)
            else:
                log.warning(
                    "row %d (%s, %s): not found where it was annotated, or without "
                    "grade; settings are fitted without it",
                    row.number,
                    row.study,
                    row.joint,
                )
    return kept


def _keep(
    row: ManifestRow, segmented: SegmentedJoint, config: PipelineConfig, folder: Path
) -> KeptJoint | None:
    """Write what was outlined of a joint beside what its reader said of it."""
    annotation = read_annotation(row)
    place = row.center_lps_mm or (annotation.center_lps_mm if annotation else None)
    center = segmented.location.frame.center_lps_mm
    if not segmented.masks or (
        place is not None and np.linalg.norm(center - np.array(place)) > NEAR_MM
    ):
        return None
    true = _true_masks(annotation, segmented, config) if annotation else None
    extents = measure_extents(true, config.grade.measure) if true else None
    grade = row.grade
    if grade is None and true and extents:
        grade = apply_rules(extents, true.sequence, config.grade).grade
    if grade is None:
        return None
    measures = CorrectionSettings.model_fields if extents else ()
    return KeptJoint.write(
        folder / str(row.number),
        segmented.masks,
        [_outlines(true, config) if true else {}] * len(segmented.masks),
        grade=grade,
        measures={key: getattr(extents, key).value for key in measures},
    )


def _true_masks(
    annotation: Annotation, segmented: SegmentedJoint, config: PipelineConfig
) -> JointMasks | None:
    """Put the reader's outlines onto the grid, over the structures of the network.

    Returns
    -------
    JointMasks or None
        None where the reader did not look for all lesions that are measured, or not
        everywhere at the joint.
    """
    masks = segmented.masks[0]
    grid = masks.geometry
    if not annotation.known >= MEASURED or not annotation.geometries:
        return None
    away_mm = np.linalg.norm(
        grid.to_lps(np.indices(grid.shape).reshape(3, -1).T)
        - segmented.location.frame.center_lps_mm,
        axis=1,
    ).reshape(grid.shape)
    core = away_mm <= config.segment.core_radius_mm
    if sample_covered(annotation, grid)[core].mean() < MOST_OF_IT:
        return None
    known = [kind for kind in annotation.known if isinstance(kind, Structure)]
    drawn = sample_structures(annotation, grid)
    kept = np.where(np.isin(masks.structures, known), 0, masks.structures)
    fractions = sample_lesions(annotation, grid).astype(np.float32) / 255.0
    return replace(
        masks,
        structures=np.where(np.isin(drawn, known), drawn, kept).astype(np.uint8),
        lesions=dict(zip(Lesion, fractions, strict=True)),
    )


def _outlines(true: JointMasks, config: PipelineConfig) -> dict[str, NDArray[np.bool_]]:
    """Return the outlines that are large enough for a meaningful Dice."""
    least_mm3 = config.grade.rules.minimum_soft_tissue_edema_mm3
    drawn = {
        name: np.maximum.reduce([true.lesions[one] for one in members]) >= 0.5
        for name, members in OUTLINES.items()
    }
    voxel_mm3 = true.geometry.voxel_volume_mm3
    return {k: v for k, v in drawn.items() if v.sum() * voxel_mm3 >= least_mm3}
