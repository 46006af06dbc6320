"""The held-out benchmark: simulate, grade, compare, forget the pixels, go on."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetgrade.anatomy import FacetJoint
from facetgrade.config import PipelineConfig, config_values, read_config, read_settings
from facetgrade.errors import IngestError
from facetgrade.evaluate.benchmark_page import benchmark_page
from facetgrade.evaluate.compare import Examination, compare_study, failed_study
from facetgrade.evaluate.held_out import HeldOutPatient, draw_patients
from facetgrade.evaluate.provenance import made_by, made_text
from facetgrade.evaluate.reading import read_folder
from facetgrade.evaluate.results import benchmark_result
from facetgrade.evaluate.rows import ComparedJoint, row_from_json, row_to_json
from facetgrade.evaluate.settings import EvaluateSettings
from facetgrade.evaluate.studies import (
    Progress,
    StudyFolder,
    simulate_all,
    simulated_patients,
)
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
    studies: StudyFolder

    @property
    def joints(self) -> tuple[FacetJoint, ...]:
        """Joints that are graded in every study."""
        return self.request.joints

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

    def rows_path(self, patient: HeldOutPatient) -> Path:
        """Return the file that keeps the patient's rows."""
        return self.out / "patients" / f"{patient.name}.json"


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
        studies=StudyFolder(
            path=simulated or out / "work",
            rules=pipeline.grade,
            workers=workers,
            keep=simulated is not None,
        ),
    )
    patients = draw_patients(settings.benchmark)
    _compare_missing(run, patients, device, progress or _silent)
    rows = [row for patient in patients for row in _read_rows(run, patient) or ()]
    return _write_result(run, config_path, rows)


def simulate_benchmark(
    config_path: Path,
    simulated: Path,
    studies: int | None,
    workers: int,
    progress: Progress,
) -> None:
    """Simulate the studies of the benchmark, for `run_benchmark` to grade later.

    Parameters
    ----------
    config_path : Path
        Such as configs/evaluate.toml.
    simulated : Path
        Receives the studies.
    studies : int or None
        Number of studies in place of the configured one.
    workers : int
        Patients simulated at the same time, each in its own process.
    progress : callable
        As for `run_benchmark`.

    Raises
    ------
    ConfigError
        If settings cannot be used.
    """
    settings = _settings(config_path, studies)
    rules = read_config().grade
    folder = StudyFolder(path=simulated, rules=rules, workers=workers, keep=True)
    simulate_all(draw_patients(settings.benchmark), folder, progress)


def _settings(config_path: Path, studies: int | None) -> EvaluateSettings:
    """Read the settings, with another number of studies."""
    settings = read_settings(config_path, EvaluateSettings)
    if studies is None:
        return settings
    changed = settings.benchmark.model_copy(update={"studies": studies})
    return settings.model_copy(update={"benchmark": changed})


def _compare_missing(
    run: _Run, patients: Sequence[HeldOutPatient], device: str, progress: Progress
) -> None:
    """Compare all patients that have no rows yet."""
    missing = [p for p in patients if _read_rows(run, p) is None]
    done = len(patients) - len(missing)
    progress(done, len(patients), f"{done} of {len(patients)} patients were done")
    if not missing:
        return
    models = load_models(run.pipeline, choose_device(device))
    start_s = time.perf_counter()
    with closing(simulated_patients(missing, run.studies)) as simulated:
        for number, (patient, folders) in enumerate(simulated, start=1):
            rows = [
                row
                for folder in folders
                for row in _compare(run, models, patient, folder)
            ]
            _write_rows(run, patient, rows)
            each_s = (time.perf_counter() - start_s) / number
            left_min = each_s * (len(missing) - number) / 60.0
            right = sum(row.grade == row.truth_grade for row in rows)
            progress(
                done + number,
                len(patients),
                f"{patient.name} ({patient.group}): {right} of {len(rows)} grades "
                f"right, {each_s:.0f} s a patient, {left_min:.0f} min left",
            )


def _compare(
    run: _Run, models: Models, patient: HeldOutPatient, folder: Path
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
        report = grade_study(study, models, run.pipeline, request=run.request)
    except IngestError as error:
        log.warning("%s: %s", examination.study, error)
        return failed_study(run.joints, truth, examination, definitions)
    return compare_study(report.outcomes, truth, examination, definitions)


def _read_rows(run: _Run, patient: HeldOutPatient) -> list[ComparedJoint] | None:
    """Return the rows of an earlier run with the same settings, None without."""
    try:
        kept = json.loads(run.rows_path(patient).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if kept["fingerprint"] != run.fingerprint(patient):
        return None
    return [row_from_json(values) for values in kept["rows"]]


def _write_rows(
    run: _Run, patient: HeldOutPatient, rows: Sequence[ComparedJoint]
) -> None:
    """Keep the rows of one patient."""
    values: dict[str, Any] = {
        "fingerprint": run.fingerprint(patient),
        "seed": patient.seed,
        "group": patient.group,
        "rows": [row_to_json(row) for row in rows],
    }
    write_json(run.rows_path(patient), values)


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
            floor_mm3=settings.definitions.floor_mm3,
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


def _silent(done: int, total: int, text: str) -> None:
    """Log progress when nobody watches."""
    log.info("%d/%d %s", done, total, text)
