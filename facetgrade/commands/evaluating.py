"""`facetgrade evaluate` and `calibrate`: simulate held-out studies, grade, judge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.commands.options import Device
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from facetgrade.evaluate.held_out import HeldOutPatient

Workers = Annotated[
    int, typer.Option(min=1, help="Patients simulated at the same time.")
]
SimulatedFolder = Annotated[
    Path | None,
    typer.Option(help="Keep simulated studies here, use those of earlier runs."),
]
SimulateOnly = Annotated[
    bool, typer.Option("--simulate-only", help="Fill --simulated, grade nothing.")
]


def evaluate(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    pred: Annotated[
        Path | None,
        typer.Option(exists=True, help="joints.csv to compare with --truth."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="CSV with source or study_uid, level, side, reader, grade.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(exists=True, help="Whole file like configs/evaluate.toml."),
    ] = None,
    studies: Annotated[
        int | None, typer.Option(min=1, help="Studies of the benchmark.")
    ] = None,
    device: Device = "auto",
    workers: Workers = 2,
    simulated: SimulatedFolder = None,
    simulate_only: SimulateOnly = False,
) -> None:
    """Compare --pred with readers' grades in --truth, or run the held-out benchmark."""
    if (pred is None) != (truth is None):
        raise ConfigError("give --pred and --truth together, or neither")
    from facetgrade.config import read_settings, shipped_path

    config = config or shipped_path("configs/evaluate.toml")
    if pred and truth:
        from facetgrade.evaluate.readers import compare_with_readers
        from facetgrade.evaluate.settings import EvaluateSettings

        settings = read_settings(config, EvaluateSettings)
        compare_with_readers(pred, truth, out, settings, config_name=config.name)
        typer.echo(f"agreement: {out / 'agreement.html'}")
        return
    from facetgrade.evaluate.benchmark import benchmark_patients, run_benchmark
    from facetgrade.evaluate.benchmark_page import headline_table

    if simulate_only:
        patients = benchmark_patients(config, studies)
        _simulate_only(patients, simulated or out / "studies", workers)
        return
    result = run_benchmark(
        config,
        out,
        studies=studies,
        device=device,
        workers=workers,
        simulated=simulated,
        progress=_print_progress,
    )
    for label, reached, target, verdict in headline_table(result).rows:
        typer.echo(f"{label:<60}{reached:<24}{target:<26}{verdict}")
    typer.echo(f"benchmark: {out / 'benchmark.html'}")


def calibrate(
    config: Annotated[
        Path,
        typer.Argument(exists=True, help="Whole file like configs/calibrate.toml."),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    write: Annotated[
        bool, typer.Option("--write", help="Put the fitted values into configs/.")
    ] = False,
    studies: Annotated[
        int | None, typer.Option(min=1, help="Studies to calibrate on.")
    ] = None,
    device: Device = "auto",
    workers: Workers = 2,
    simulated: SimulatedFolder = None,
    simulate_only: SimulateOnly = False,
) -> None:
    """Fit probabilities, intervals and thresholds on simulated studies."""
    from facetgrade.evaluate import calibrate as calibration

    if simulate_only:
        patients = calibration.calibration_patients(config, studies)
        _simulate_only(patients, simulated or out / "studies", workers)
        return
    fitted = calibration.run_calibration(
        config,
        out,
        studies=studies,
        device=device,
        workers=workers,
        simulated=simulated,
        progress=_print_progress,
    )
    typer.echo(f"calibration: {out / 'calibration.html'}")
    if write:
        for path in calibration.write_fitted(fitted, config_name=config.name):
            typer.echo(f"wrote {path}")


def _simulate_only(
    patients: Sequence[HeldOutPatient], place: Path, workers: int
) -> None:
    """Simulate studies into a folder that a later run finds them in."""
    from facetgrade.config import read_config
    from facetgrade.evaluate.studies import simulate_all, study_folder

    folder = study_folder(place, place, read_config().grade, workers)
    simulate_all(patients, folder, _print_progress)


def _print_progress(done: int, total: int, text: str) -> None:
    typer.echo(f"[{done}/{total}] {text}")
