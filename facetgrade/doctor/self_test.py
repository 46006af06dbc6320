"""Grade the small simulated study that comes with facetgrade and judge the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from facetgrade.anatomy import FacetJoint, Level, Side
from facetgrade.config import PipelineConfig, read_settings, shipped_path
from facetgrade.errors import FacetGradeError
from facetgrade.findings import Graded, Outcome, Ungradable
from facetgrade.inference import Models, run_with_cpu_fallback
from facetgrade.ingest import Privacy, find_studies, load_study
from facetgrade.pipeline import grade_study
from facetgrade.study import Study

SETTINGS = "configs/self_test.toml"
_NOBODY = Privacy(key=bytes(32), keep_patient_id=False, mask_uids=True)


class ExpectedJoint(BaseModel):
    """True place and grade of one joint of the study."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Level
    side: Side
    center_lps_mm: tuple[float, float, float]
    grade: int = Field(ge=0, le=4)

    @property
    def joint(self) -> FacetJoint:
        """Which joint."""
        return FacetJoint(self.level, self.side)


class SelfTestSettings(BaseModel):
    """The whole of configs/self_test.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    tolerance_mm: float = Field(gt=0.0)
    grade_tolerance: int = Field(ge=0)
    joints: tuple[ExpectedJoint, ...]


@dataclass(frozen=True, slots=True)
class SelfTestResult:
    """Whether the study was graded as it should be, in one sentence."""

    passed: bool
    text: str


def run_self_test(models: Models, config: PipelineConfig) -> SelfTestResult:
    """Grade the study and compare it with its truth, and with float32 on the CPU.

    Parameters
    ----------
    models : Models
        The networks as they will be used.
    config : PipelineConfig
        The user's settings.
    """
    start_s, start_used_s = time.perf_counter(), time.process_time()
    try:
        expected = read_settings(shipped_path(SETTINGS), SelfTestSettings)
        (files,) = find_studies(shipped_path(expected.study), settings=config.ingest)
        study = load_study(files, config.ingest, _NOBODY)
        outcomes = _graded(study, models, config)
        problems = list(judge(outcomes, expected))
        if models.is_reduced:
            problems += differences(outcomes, _graded(study, models.on_cpu(), config))
    except FacetGradeError as error:
        problems = [str(error)]
    used_s = time.process_time() - start_used_s
    took = f"{time.perf_counter() - start_s:.1f} s ({used_s:.1f} s of processor)"
    if problems:
        return SelfTestResult(False, f"FAIL in {took}: {problems[0]}")
    compared = ", as on the CPU in float32" if models.is_reduced else ""
    text = f"PASS in {took}: {len(outcomes)} joints of a simulated study"
    return SelfTestResult(True, f"{text} found and graded{compared}")


def judge(
    outcomes: dict[FacetJoint, Outcome], expected: SelfTestSettings
) -> Iterator[str]:
    """Say what is not as expected: joint, place or grade."""
    for truth in expected.joints:
        outcome = outcomes.get(truth.joint)
        if not isinstance(outcome, Graded):
            reason = outcome.reason if isinstance(outcome, Ungradable) else "missing"
            yield f"{truth.joint} is not graded ({reason})"
            continue
        center = outcome.location.frame.center_lps_mm
        away_mm = float(np.linalg.norm(center - np.array(truth.center_lps_mm)))
        if away_mm > expected.tolerance_mm:
            yield f"{truth.joint} is found {away_mm:.1f} mm from its place"
        if abs(outcome.best.grade - truth.grade) > expected.grade_tolerance:
            yield f"{truth.joint} has grade {outcome.best.grade}, not {truth.grade}"


def differences(
    first: dict[FacetJoint, Outcome], second: dict[FacetJoint, Outcome]
) -> Iterator[str]:
    """Say which joints have another grade, those flagged borderline aside."""
    for joint, one in first.items():
        other = second.get(joint)
        grades = [o.best.grade for o in (one, other) if isinstance(o, Graded)]
        borderline = any(
            isinstance(o, Graded) and o.best.borderline for o in (one, other)
        )
        if len(grades) == 1 or (len(set(grades)) == 2 and not borderline):
            yield f"{joint} is graded otherwise on the CPU in float32"


def _graded(
    study: Study, models: Models, config: PipelineConfig
) -> dict[FacetJoint, Outcome]:
    """Grade a study as a run does."""
    report = run_with_cpu_fallback(
        lambda given: grade_study(study, given, config), models
    )
    return {outcome.joint: outcome for outcome in report.outcomes}
