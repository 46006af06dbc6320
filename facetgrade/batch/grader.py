"""The networks of a run, loaded when the first study needs them."""

from __future__ import annotations

import logging
from functools import cached_property, partial
from importlib.metadata import version

from facetgrade.batch.outline import outline
from facetgrade.config import PipelineConfig, config_values
from facetgrade.findings import StudyReport
from facetgrade.inference import (
    Models,
    choose_device,
    describe_device,
    keep_freed_memory,
    load_models,
    model_hashes,
    run_with_cpu_fallback,
)
from facetgrade.pipeline import FoundJoints, find_joints, grade_found
from facetgrade.report import ReportContext
from facetgrade.request import Request
from facetgrade.stopwatch import Stopwatch
from facetgrade.study import Study

log = logging.getLogger(__name__)


class Grader:
    """Grades loaded studies; a run in which all is done never loads a network.

    Parameters
    ----------
    config : PipelineConfig
        Settings of all stages.
    device_name : str
        As for `choose_device`.
    stopwatch : Stopwatch
        Gets the seconds of loading.

    Raises
    ------
    ConfigError
        If the device does not exist.
    ModelError
        If a configured model is not in its manifest.
    """

    def __init__(
        self, config: PipelineConfig, device_name: str, stopwatch: Stopwatch
    ) -> None:
        self._config = config
        self._device = choose_device(device_name)
        self._stopwatch = stopwatch
        self.context = ReportContext(
            version=version("facetgrade"),
            config=config_values(config),
            model_sha256=model_hashes(config),
            device=describe_device(self._device),
            joint_outline=partial(outline, settings=config.grade.measure.perimeter),
        )

    def load(self) -> float:
        """Load the networks now and return the seconds that it took."""
        _ = self._models
        return self._stopwatch.seconds["models"]

    @cached_property
    def _models(self) -> Models:
        with self._stopwatch.stage("models"):
            keep_freed_memory()
            return load_models(self._config, self._device)

    def grade(self, study: Study, request: Request, watch: Stopwatch) -> StudyReport:
        """Grade one study.

        Raises
        ------
        ModelError
            If weights are missing, altered or of another architecture.
        """
        return self.judge(study, self.find(study, request, watch), request, watch)

    def find(self, study: Study, request: Request, watch: Stopwatch) -> FoundJoints:
        """Run the networks, on the CPU if the memory of the GPU is not enough.

        Raises
        ------
        ModelError
            As `grade`.
        """

        def _on(models: Models) -> FoundJoints:
            return find_joints(study, models, self._config, request, watch)

        return run_with_cpu_fallback(_on, self._models)

    def judge(
        self, study: Study, found: FoundJoints, request: Request, watch: Stopwatch
    ) -> StudyReport:
        """Measure what the networks found and apply the rules."""
        return grade_found(study, found, self._config, request, watch)
