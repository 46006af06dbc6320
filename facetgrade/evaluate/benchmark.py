"""The held-out benchmark: simulate, grade, compare, forget the pixels, go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from facetgrade.config import PipelineConfig, config_values, read_config, read_settings
from facetgrade.errors import IngestError
from facetgrade.evaluate.benchmark_page import benchmark_page
from facetgrade.evaluate.compare import Examination, compare_study, failed_study
from facetgrade.evaluate.held_out import HeldOutPatient, draw_patients
from facetgrade.evaluate.patients import KeptFindings, work_through
from facetgrade.evaluate.provenance import made_by, made_text
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.results import benchmark_result
from facetgrade.evaluate.rows import ComparedJoint, row_from_json, row_to_json
from facetgrade.evaluate.settings import EvaluateSettings
from facetgrade.evaluate.studies import Progress, study_folder
from facetgrade.evaluate.summary import Section
from facetgrade.evaluate.truth import read_truth
from facetgrade.inference import Models, choose_device, load_models, model_hashes
from facetgrade.pipeline import Request, grade_study
from facetgrade.report.atomic import write_json, write_text

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Run:
    """What is the same for every patient."""

    settings: EvaluateSettings
    pipeline: PipelineConfig
    hashes: Mapping[str, str]
    out: Path

    @property
    def request(self) -> Request:
        """What is asked of every study."""
        return Request(levels=self.settings.benchmark.levels)

    def fingerprint(self, patient: HeldOutPatient) -> str:
        """Hash all that decides the patient's rows."""
        return patient.fingerprint(
            config_values(self.pipeline),
            config_values(self.settings.definitions),
            self.hashes,
            {"levels": list(self.settings.benchmark.levels)},
        )


def run_benchmark(
    config_path: Path,
    out: Path,
    *,
    studies: int | None = None,
    device: str = "auto",
    workers: int = 2,
    simulated: Path | None = None,
    pipeline_path: Path | None = None,
    progress: Progress | None = None,
) -> Section:
    """Grade held-out simulated studies and compare them with their truth.

    A patient that was simulated and graded with the same settings and models is not
    done again, so that an interrupted run goes on where it stopped.

    Parameters
    ----------
    config_path : Path
        Such as configs/evaluate.toml.
    out : Path
        Receives benchmark.json, benchmark.html, joints.json and patients/.
    studies : int or None
        Number of studies in place of the configured one.
    device : str
        As for `facetgrade grade`.
    workers : int
        Patients simulated at the same time, each in its own process.
    simulated : Path or None
        Folder that keeps the simulated studies, those of earlier runs included; None
        removes each study once it was graded.
    pipeline_path : Path or None
        Pipeline settings that differ from the shipped ones.
    progress : callable or None
        Called with patients done, patients in all, and a line of text.

    Returns
    -------
    dict
        What is in benchmark.json.

    Raises
    ------
    ConfigError, ModelError
        If settings or weights cannot be used.
    """
    settings = _settings(config_path, studies)
    pipeline = read_config(pipeline_path)
    run = _Run(
        settings=settings,
        pipeline=pipeline,
        hashes=model_hashes(pipeline),
        out=out,
    )
    kept = KeptFindings(
        folder=out / "patients",
        fingerprint=run.fingerprint,
        to_json=row_to_json,
        from_json=row_from_json,
    )
    models = cache(lambda: load_models(pipeline, choose_device(device)))
    rows = work_through(
        draw_patients(settings.benchmark),
        study_folder(simulated, out, pipeline.grade, workers),
        kept,
        partial(_compare, run, models),
        progress,
    )
    return _write_result(run, config_path, rows)


def benchmark_patients(
    config_path: Path, studies: int | None
) -> tuple[HeldOutPatient, ...]:
    """Return the patients that `run_benchmark` grades."""
    return draw_patients(_settings(config_path, studies).benchmark)


def _settings(config_path: Path, studies: int | None) -> EvaluateSettings:
    """Read the settings, with another number of studies."""
    settings = read_settings(config_path, EvaluateSettings)
    if studies is None:
        return settings
    changed = settings.benchmark.model_copy(update={"studies": studies})
    return settings.model_copy(update={"benchmark": changed})


def _compare(
    run: _Run, models: Callable[[], Models], patient: HeldOutPatient, folder: Path
) -> list[ComparedJoint]:
    """Grade one study from its files and compare it with its truth."""
    truth = read_truth(folder / "truth")
    examination = Examination(
        study=f"{patient.name}_{folder.name.rpartition('_')[2]}",
        patient=patient.name,
        timepoint=folder.name.rpartition("_")[2],
        factors={"group": patient.group},
    )
    definitions = run.settings.definitions
    try:
        study = read_folder(folder / "dicom", run.pipeline.ingest)
        report = grade_study(study, models(), run.pipeline, request=run.request)
    except IngestError as error:
        log.warning("%s: %s", examination.study, error)
        return failed_study(run.request.joints, truth, examination, definitions)
    return compare_study(report.outcomes, truth, examination, definitions)


def _write_result(
    run: _Run, config_path: Path, rows: Sequence[ComparedJoint]
) -> Section:
    """Summarize all rows and write result, rows and page."""
    settings = run.settings
    result: Section = {
        "made": made_by(config_path.name, settings, run.hashes),
        **benchmark_result(
            rows,
            bootstrap=settings.intervals.bootstrap,
            definitions=settings.definitions,
            targets=settings.targets,
        ),
    }
    write_json(run.out / "benchmark.json", result)
    write_json(run.out / "joints.json", [row_to_json(row) for row in rows])
    page = benchmark_page(
        result,
        rows,
        made_text(result["made"]),
        floor_mm3=settings.definitions.floor_mm3,
    )
    write_text(run.out / "benchmark.html", page)
    return result
