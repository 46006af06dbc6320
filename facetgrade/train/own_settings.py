"""Fit what the pipeline makes of a new segmenter to the annotated cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import PipelineConfig, config_values, read_config
from facetgrade.evaluate.belief import (
    Belief,
    BeliefScore,
    KeptJoint,
    choose_belief,
    correction_of,
    measure_under,
    score_of,
    write_masks,
    write_outlines,
)
from facetgrade.evaluate.compare import OUTLINES
from facetgrade.findings import JointMasks
from facetgrade.grade.measure import measure_extents
from facetgrade.grade.rules import apply_rules
from facetgrade.grade.settings import CorrectionSettings
from facetgrade.inference.predictor import Predictor, choose_precision, make_predictor
from facetgrade.segment import refine_locations, segment_joints
from facetgrade.train.annotated import StudyReader, by_study
from facetgrade.train.manifest import ManifestRow, read_manifest
from facetgrade.train.masks import (
    Annotation,
    read_annotation,
    sample_lesions,
    sample_structures,
)
from facetgrade.train.processes import device_of
from facetgrade.train.settings import DataSettings, FitSettings, TrainSettings
from facetgrade.train.splits import read_splits

MEASURED = {Lesion.EFFUSION, Lesion.SOFT_TISSUE_EDEMA, Lesion.MARROW_EDEMA}
FITTED_SPLITS = ("train", "validation")


def fit_own_settings(
    network: nn.Module, settings: TrainSettings, folder: Path
) -> dict[str, Any]:
    """Choose thresholds and fit the correction on the cases of train and validation.

    Every study is read from its images as in grading. A network outlines the cases that
    it learned from better than others, so these settings believe it too much rather
    than too little; that is why a value must score clearly better than the shipped one.

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
        What differs from the pipeline's settings; empty if nothing was fitted.

    Raises
    ------
    FacetGradeError
        If a case cannot be read.
    """
    if settings.fit is None or settings.data is None:
        return {}
    config = read_config()
    device = device_of(network)
    precision = choose_precision(config.inference.precision, device)
    segmenter = make_predictor(network.eval(), precision)
    joints = _read_joints(segmenter, settings.data, config, folder / "outlined")
    if len(joints) < settings.fit.least_joints:
        print(f"settings are not fitted to {len(joints)} joints")  # noqa: T201
        return {}
    return _fit(joints, settings.fit, config)


def _fit(
    joints: Sequence[KeptJoint], choices: FitSettings, config: PipelineConfig
) -> dict[str, Any]:
    """Fit belief and correction, and say how well they agree with the readers."""

    def score(beliefs: Sequence[Belief]) -> list[BeliefScore]:
        return [score_of(measured(one), config.grade) for one in beliefs]

    def measured(belief: Belief) -> list[Any]:
        read = (joint.read() for joint in joints)
        return measure_under(belief, read, config.grade)

    belief, tried = choose_belief(_from_shipped(choices, config), score)
    correction = correction_of(measured(belief), config.grade)
    reached = max(one.total for other, one in tried if other == belief)
    print(  # noqa: T201 - a line of a long command
        f"settings fitted to {len(joints)} joints: mean of exact share, kappa and Dice "
        f"{tried[0][1].total:.3f} -> {reached:.3f}",
        flush=True,
    )
    values = {lesion.value: config_values(one) for lesion, one in belief.items()}
    return {
        "segment": {"belief": values},
        "grade": {"confidence": {"correction": config_values(correction)}},
    }


def _from_shipped(choices: FitSettings, config: PipelineConfig) -> FitSettings:
    """Put the shipped values before those to try."""
    lesions = {
        lesion: {
            key: (value, *choices.lesions.get(lesion, {}).get(key, ()))
            for key, value in belief.model_dump().items()
        }
        for lesion, belief in config.segment.belief.items()
    }
    return choices.model_copy(update={"lesions": lesions})


def _read_joints(
    segmenter: Predictor, data: DataSettings, config: PipelineConfig, folder: Path
) -> list[KeptJoint]:
    """Outline the annotated joints of every study from its images."""
    reader = StudyReader(config)
    unbelieved = config.segment.model_copy(update={"belief": {}})
    splits = read_splits(data.splits)
    rows = read_manifest(data.manifest).rows
    kept: list[KeptJoint] = []
    for number, readers in enumerate(by_study(rows)):
        if splits.get(readers[0].subject) not in FITTED_SPLITS:
            continue
        study = reader.read(readers[0])
        joints = tuple(dict.fromkeys(row.joint for row in readers))
        asked = study, segmenter, unbelieved, joints
        found = refine_locations(study, reader.locate(study), *asked[1:])
        segmented = segment_joints(study, found, *asked[1:])
        for row in readers:
            masks = segmented[row.joint].masks if row.joint in segmented else ()
            one = _keep(row, masks, config, folder / str(number))
            kept += [one] if one else []
    return kept


def _keep(
    row: ManifestRow,
    masks: Sequence[JointMasks],
    config: PipelineConfig,
    folder: Path,
) -> KeptJoint | None:
    """Write what was outlined of a joint beside what its reader said of it."""
    annotation = read_annotation(row)
    true = _true_masks(annotation, masks[0]) if annotation and masks else None
    extents = measure_extents(true, config.grade.measure) if true else None
    grade = row.grade
    if grade is None and true and extents:
        grade = apply_rules(extents, true.sequence, config.grade).grade
    if grade is None or not masks:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{row.joint.level}_{row.joint.side}_{row.number}"
    files = []
    for one in masks:
        files.append(str(folder / f"{name}_{one.sequence}.npz"))
        write_masks(one, Path(files[-1]))
    outlines = folder / f"{name}_truth.npz"
    write_outlines(_outlines(true, config) if true else {}, outlines)
    measures = CorrectionSettings.model_fields if extents else ()
    return KeptJoint(
        grade=grade,
        measures={key: getattr(extents, key).value for key in measures},
        files=tuple(files),
        outlines=str(outlines),
    )


def _true_masks(annotation: Annotation, masks: JointMasks) -> JointMasks | None:
    """Put the reader's outlines onto the grid; None where not all were looked for.

    Structures that the reader did not outline are those of the network.
    """
    if not annotation.known >= MEASURED:
        return None
    grid = masks.geometry
    fractions = sample_lesions(annotation, grid).astype(np.float32) / 255.0
    outlined = Structure.JOINT_SPACE in annotation.known
    return replace(
        masks,
        structures=sample_structures(annotation, grid)
        if outlined
        else masks.structures,
        lesions=dict(zip(Lesion, fractions, strict=True)),
    )


def _outlines(true: JointMasks, config: PipelineConfig) -> dict[str, Any]:
    """Return the outlines that are large enough for a meaningful Dice."""
    least_mm3 = config.grade.rules.minimum_soft_tissue_edema_mm3
    drawn = {
        name: np.maximum.reduce([true.lesions[one] for one in members]) >= 0.5
        for name, members in OUTLINES.items()
    }
    voxel_mm3 = true.geometry.voxel_volume_mm3
    return {k: v for k, v in drawn.items() if v.sum() * voxel_mm3 >= least_mm3}
