"""Calibration: simulate and grade studies apart from training, fit, write settings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from facetgrade.config import (
    PipelineConfig,
    config_values,
    read_config,
    read_settings,
    shipped_path,
)
from facetgrade.errors import ConfigError, IngestError
from facetgrade.evaluate.calibration_page import calibration_page
from facetgrade.evaluate.compare import Examination, compare_study, failed_study
from facetgrade.evaluate.cutting import without_sacrum
from facetgrade.evaluate.fitting import FittedSettings, fit_settings
from facetgrade.evaluate.held_out import HeldOutPatient, draw_patients
from facetgrade.evaluate.judging import calibration_result
from facetgrade.evaluate.observations import (
    ObservedNumbering,
    ObservedStudy,
    observe_joint,
    study_from_json,
    study_to_json,
    true_lowest_name,
)
from facetgrade.evaluate.patients import KeptFindings, work_through
from facetgrade.evaluate.provenance import made_by, made_text
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.settings import CalibrateSettings
from facetgrade.evaluate.studies import Progress, study_folder
from facetgrade.evaluate.summary import Section
from facetgrade.evaluate.truth import StudyTruth, read_truth
from facetgrade.evaluate.tuned_files import put_fitted
from facetgrade.findings import Localization
from facetgrade.grade.correction import no_correction
from facetgrade.grade.settings import Margin, MarginSettings
from facetgrade.inference import Models, choose_device, load_models, model_hashes
from facetgrade.localize import locate_joints
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.atomic import write_json, write_text
from facetgrade.study import Study

log = logging.getLogger(__name__)

GRADE_RULES = "configs/grade.toml"
PIPELINE = "configs/pipeline.toml"


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Run:
    """What is the same for every patient."""

    settings: CalibrateSettings
    pipeline: PipelineConfig
    hashes: Mapping[str, str]
    out: Path

    @property
    def request(self) -> Request:
        """Grade every joint, whatever is thought of the numbering."""
        return Request(levels=self.settings.studies.levels, accept_assumed_levels=True)

    def fingerprint(self, patient: HeldOutPatient) -> str:
        """Hash all that decides what is observed on a patient."""
        return patient.fingerprint(
            config_values(self.pipeline),
            config_values(self.settings.definitions),
            self.hashes,
            {"levels": list(self.settings.studies.levels)},
        )

    def kept(self, name: str) -> KeptFindings[ObservedStudy]:
        """Return where observations of one kind are kept."""
        return KeptFindings(
            folder=self.out / name,
            fingerprint=self.fingerprint,
            to_json=study_to_json,
            from_json=study_from_json,
        )


def run_calibration(
    config_path: Path,
    out: Path,
    *,
    studies: int | None = None,
    device: str = "auto",
    workers: int = 2,
    simulated: Path | None = None,
    progress: Progress | None = None,
) -> FittedSettings:
    """Grade simulated studies with the shipped weights and fit what is tuned.

    A patient that was graded with the same models is not graded again, so that an
    interrupted run goes on where it stopped.

    Parameters
    ----------
    config_path : Path
        Such as configs/calibrate.toml.
    out : Path
        Receives calibration.json, calibration.html, observations.json and patients/.
    studies : int or None
        Number of studies in place of the configured one.
    device : str
        As for `facetgrade grade`.
    workers : int
        Patients simulated at the same time, each in its own process.
    simulated : Path or None
        Folder that keeps the simulated studies, those of earlier runs included; None
        removes each study once it was graded.
    progress : callable or None
        Called with patients done, patients in all, and a line of text.

    Returns
    -------
    FittedSettings
        To be put into the shipped settings by `write_fitted`.

    Raises
    ------
    ConfigError, ModelError
        If settings or weights cannot be used, or there are too few studies.
    """
    settings = _settings(config_path, studies)
    shipped = read_config()
    pipeline = _without_fitted(shipped, settings)
    run = _Run(
        settings=settings,
        pipeline=pipeline,
        hashes=model_hashes(pipeline),
        out=out,
    )
    folder = study_folder(simulated, out, pipeline.grade, workers)
    models = cache(lambda: load_models(pipeline, choose_device(device)))
    observe = partial(_observe, run, models)
    number = partial(_observe_numbering, run, models)
    observed = [
        *work_through(
            draw_patients(settings.studies),
            folder,
            run.kept("patients"),
            observe,
            progress,
        ),
        *work_through(
            _numbering_patients(settings),
            folder,
            run.kept("numbering"),
            number,
            progress,
        ),
    ]
    try:
        fitted = fit_settings(observed, settings, shipped.grade)
    except ValueError as error:
        raise ConfigError(f"{config_path.name}: too few studies ({error})") from error
    result = calibration_result(observed, fitted, settings, shipped.grade)
    _write_result(run, config_path, result, observed)
    return fitted


def calibration_patients(
    config_path: Path, studies: int | None
) -> tuple[HeldOutPatient, ...]:
    """Return the patients that `run_calibration` observes."""
    settings = _settings(config_path, studies)
    return draw_patients(settings.studies) + _numbering_patients(settings)


def write_fitted(fitted: FittedSettings, *, config_name: str) -> tuple[Path, Path]:
    """Put fitted values into the shipped settings.

    Parameters
    ----------
    fitted : FittedSettings
        From `run_calibration`.
    config_name : str
        Settings of the calibration, which the comments name as the source.

    Returns
    -------
    tuple of Path
        The changed files, grade.toml and pipeline.toml.

    Raises
    ------
    ConfigError
        If this installation lacks its settings.
    """
    source = f"facetgrade calibrate {config_name}, {fitted.studies} studies"
    paths = shipped_path(GRADE_RULES), shipped_path(PIPELINE)
    grade, pipeline = (path.read_text(encoding="utf-8") for path in paths)
    for path, text in zip(
        paths, put_fitted(fitted, grade, pipeline, source=source), strict=True
    ):
        write_text(path, text)
    return paths


def _settings(config_path: Path, studies: int | None) -> CalibrateSettings:
    """Read the settings, with another number of studies and no more of numbering."""
    settings = read_settings(config_path, CalibrateSettings)
    if studies is None:
        return settings
    fewer = min(studies, settings.numbering.studies)
    return settings.model_copy(
        update={
            "studies": settings.studies.model_copy(update={"studies": studies}),
            "numbering": settings.numbering.model_copy(update={"studies": fewer}),
        }
    )


def _without_fitted(
    pipeline: PipelineConfig, settings: CalibrateSettings
) -> PipelineConfig:
    """Grade every joint as outlined and without margins: what is fitted has no say."""
    none = Margin(below=0.0, above=0.0)
    margins = MarginSettings(**dict.fromkeys(MarginSettings.model_fields, none))
    start = settings.start.confidence
    confidence = start.model_copy(
        update={"margins": margins, "correction": no_correction(start.correction)}
    )
    acceptance = pipeline.grade.acceptance.model_copy(
        update={"minimum_typicality": 0.0, "flagged_typicality": 0.0}
    )
    grade = pipeline.grade.model_copy(
        update={"acceptance": acceptance, "confidence": confidence}
    )
    localize = pipeline.localize.model_copy(
        update={
            "vote_temperature": settings.start.vote_temperature,
            "min_numbering_probability": 0.0,
            "min_sacrum_vote": 0.0,
        }
    )
    return pipeline.model_copy(update={"grade": grade, "localize": localize})


def _numbering_patients(settings: CalibrateSettings) -> tuple[HeldOutPatient, ...]:
    """Return the patients of whom only the numbering is looked at."""
    return draw_patients(settings.numbering, prefix="n")


def _observe(
    run: _Run, models: Callable[[], Models], patient: HeldOutPatient, folder: Path
) -> list[ObservedStudy]:
    """Grade one study from its files and keep what calibration needs."""
    truth = read_truth(folder / "truth")
    name = f"{patient.name}_{folder.name.rpartition('_')[2]}"
    examination = Examination(
        study=name,
        patient=patient.name,
        timepoint=folder.name.rpartition("_")[2],
        factors={"group": patient.group},
    )
    definitions = run.settings.definitions
    try:
        study = read_folder(folder / "dicom", run.pipeline.ingest)
        report = grade_study(study, models(), run.pipeline, request=run.request)
        cut = _locate_cut(run, models(), study, truth)
    except IngestError as error:
        log.warning("%s: %s", name, error)
        rows = failed_study(run.request.joints, truth, examination, definitions)
        return [
            ObservedStudy(
                name=name,
                patient=patient.name,
                numbering=None,
                cut=None,
                joints=tuple(observe_joint(row, None) for row in rows),
            )
        ]
    outcomes = [o for o in report.outcomes if o.joint in truth.joints]
    rows = compare_study(outcomes, truth, examination, definitions)
    return [
        ObservedStudy(
            name=name,
            patient=patient.name,
            numbering=_numbering(report.localization, truth),
            cut=cut,
            joints=tuple(
                observe_joint(row, outcome)
                for row, outcome in zip(rows, outcomes, strict=True)
            ),
        )
    ]


def _observe_numbering(
    run: _Run, models: Callable[[], Models], patient: HeldOutPatient, folder: Path
) -> list[ObservedStudy]:
    """Look at the vertebrae of one study, with the sacrum in view and without."""
    truth = read_truth(folder / "truth")
    study = read_folder(folder / "dicom", run.pipeline.ingest)
    found = locate_joints(study, models().localizer, run.pipeline.localize)
    return [
        ObservedStudy(
            name=patient.name,
            patient=patient.name,
            numbering=_numbering(found, truth),
            cut=_locate_cut(run, models(), study, truth),
            joints=(),
        )
    ]


def _locate_cut(
    run: _Run, models: Models, study: Study, truth: StudyTruth
) -> ObservedNumbering | None:
    """Look at the vertebrae of images that end above the sacrum."""
    cut = without_sacrum(study, truth.bodies)
    found = locate_joints(cut, models.localizer, run.pipeline.localize)
    return _numbering(found, truth)


def _numbering(found: Localization, truth: StudyTruth) -> ObservedNumbering | None:
    """Keep the votes for all numberings; None where no spine was found."""
    if not found.numbering_totals:
        return None
    return ObservedNumbering(
        totals=dict(found.numbering_totals),
        sacrum_vote=found.sacrum_vote,
        true_lowest=true_lowest_name(found.vertebrae, truth.bodies),
    )


def _write_result(
    run: _Run, config_path: Path, result: Section, studies: Sequence[ObservedStudy]
) -> None:
    """Write the numbers, the observations and a page."""
    whole = {"made": made_by(config_path.name, run.settings, run.hashes), **result}
    write_json(run.out / "calibration.json", whole)
    write_json(run.out / "observations.json", [study_to_json(s) for s in studies])
    page = calibration_page(whole, made_text(whole["made"]))
    write_text(run.out / "calibration.html", page)
