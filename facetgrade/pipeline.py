"""The whole flow of one study, on one screen."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import PipelineConfig, read_config
from facetgrade.findings import StudyReport
from facetgrade.grade import grade_joints
from facetgrade.inference import Models, choose_device, load_models
from facetgrade.localize import locate_joints
from facetgrade.segment import refine_locations, segment_joints
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What the user asks of each study.

    Attributes
    ----------
    levels : tuple of Level
        Levels to grade, both sides of each.
    anchors : mapping of str to tuple of float
        Vertebra name to an LPS point in mm inside its body.
    accept_assumed_levels : bool
        Grade although the numbering could not be decided.
    """

    levels: tuple[Level, ...] = (Level.L3_L4, Level.L4_L5)
    anchors: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    accept_assumed_levels: bool = False

    @property
    def joints(self) -> tuple[FacetJoint, ...]:
        """Requested joints from the top, left first."""
        pairs = {FacetJoint(level, side) for level in self.levels for side in Side}
        return tuple(sorted(pairs))


TRIAL_LEVELS = Request()


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
    with watch.stage("grade"):
        outcomes = grade_joints(
            study,
            localization,
            segmented,
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
        localization=localization,
        stage_seconds=dict(watch.seconds),
    )
