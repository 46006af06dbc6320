"""The whole flow of one study, on one screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from facetgrade.anatomy import FacetJoint
from facetgrade.config import PipelineConfig, read_config
from facetgrade.findings import Localization, SegmentedJoint, StudyReport
from facetgrade.grade import grade_joints
from facetgrade.inference import Models, choose_device, load_models
from facetgrade.localize import locate_joints
from facetgrade.request import Request
from facetgrade.segment import refine_locations, segment_joints
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

__all__ = ["FoundJoints", "Request", "find_joints", "grade_found", "grade_study"]

log = logging.getLogger(__name__)

TRIAL_LEVELS = Request()


@dataclass(frozen=True, eq=False, slots=True)
class FoundJoints:
    """What the networks make of a study: where its joints are, and their masks."""

    localization: Localization
    segmented: Mapping[FacetJoint, SegmentedJoint]


def grade_study(
    study: Study,
    models: Models | None = None,
    config: PipelineConfig | None = None,
    *,
    request: Request = TRIAL_LEVELS,
    stopwatch: Stopwatch | None = None,
) -> StudyReport:
    """Grade facet joints of one study; no image is read, no file written.

    Parameters
    ----------
    study : Study
        From `read_studies`.
    models : Models or None
        Loaded networks; None loads the configured ones on the fastest device.
    config : PipelineConfig or None
        Settings; None takes the shipped ones.
    request : Request
        Levels, anchors, and whether assumed level names are accepted.
    stopwatch : Stopwatch or None
        Collects the seconds of each stage.

    Returns
    -------
    StudyReport
        One outcome per requested level and side, graded or with the reason why not.

    Raises
    ------
    ConfigError, ModelError
        If shipped settings or weights are asked for and cannot be loaded.
    """
    config = config or read_config()
    models = models or load_models(config, choose_device("auto"))
    watch = stopwatch or Stopwatch()
    found = find_joints(study, models, config, request, watch)
    return grade_found(study, found, config, request, watch)


def find_joints(
    study: Study,
    models: Models,
    config: PipelineConfig,
    request: Request,
    watch: Stopwatch,
) -> FoundJoints:
    """Do what needs networks, the first part of `grade_study`."""
    with watch.stage("localize"):
        localization = locate_joints(
            study, models.localizer, config.localize, request.anchors
        )
    with watch.stage("refine"):
        localization = refine_locations(
            study, localization, models.segmenter, config.segment, request.joints
        )
    with watch.stage("segment"):
        segmented = segment_joints(
            study, localization, models.segmenter, config.segment, request.joints
        )
    return FoundJoints(localization, segmented)


def grade_found(
    study: Study,
    found: FoundJoints,
    config: PipelineConfig,
    request: Request,
    watch: Stopwatch,
) -> StudyReport:
    """Measure and apply the rules, the second part of `grade_study`."""
    with watch.stage("grade"):
        outcomes = grade_joints(
            study,
            found.localization,
            found.segmented,
            config.grade,
            request.joints,
            accept_assumed_levels=request.accept_assumed_levels,
        )
    return StudyReport(
        study_uid=study.uid,
        source=study.source,
        subject=study.subject,
        date=study.date,
        outcomes=outcomes,
        localization=found.localization,
        stage_seconds=dict(watch.seconds),
    )
