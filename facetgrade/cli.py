"""The command `facetgrade`: parse, read, call, write.

Everything heavy is imported by the command that needs it, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from facetgrade.commands.comparing import compare
from facetgrade.commands.deidentifying import deidentify
from facetgrade.commands.exporting import export
from facetgrade.commands.grading import grade
from facetgrade.commands.options import Device
from facetgrade.commands.reading import read_sr
from facetgrade.commands.terminal import ConfigFile
from facetgrade.errors import ConfigError, FacetGradeError, OutputError, one_line

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Czervionke-Fenton grades of facet joint synovitis on lumbar MRI. "
    "For research only, not for diagnosis.",
)
app.command()(grade)
app.command()(compare)
app.command("read-sr")(read_sr)
app.command()(deidentify)
app.command()(export)

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


def main() -> None:
    """Run the command; errors of input or settings end with one line and code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A file name may hold bytes that the terminal cannot show.
            stream.reconfigure(errors="replace")
    try:
        app()
    except FacetGradeError as error:
        typer.secho(f"error: {one_line(str(error))}", err=True, fg="red")
        sys.exit(2)
    except Exception:
        hint = "please report the lines below and facetgrade.log of OUT"
        typer.secho(f"bug in facetgrade; {hint}", err=True, fg="red")
        raise


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the studies.")],
    studies: Annotated[int, typer.Option(min=1, help="Number of studies.")],
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same studies.")],
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Baseline and one year of each patient.")
    ] = False,
    anatomy: Annotated[
        str, typer.Option(help="parametric, or SOURCE=FOLDER with meshes or labels.")
    ] = "parametric",
    config: ConfigFile = None,
) -> None:
    """Make lumbar MRI studies with exact truth: DICOM files, masks and grades."""
    from facetgrade.config import read_config, read_shipped
    from facetgrade.simulate import simulate as simulate_studies
    from facetgrade.simulate.settings import SimulateSettings

    folders = simulate_studies(
        out,
        studies=studies,
        seed=seed,
        pairs=pairs,
        anatomy=anatomy,
        config=read_shipped("configs/simulate.toml", SimulateSettings, config),
        grade=read_config().grade,
    )
    try:
        for folder in folders:
            typer.echo(folder)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})") from error


@app.command()
def train(
    config: Annotated[
        Path, typer.Argument(help="TOML file such as configs/train_localizer.toml.")
    ],
) -> None:
    """Train a network as CONFIG says, or go on where a run stopped."""
    from facetgrade.train import train as train_network

    typer.echo(f"weights: {train_network(config)}")


@app.command()
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
    from facetgrade.evaluate.benchmark import run_benchmark, simulate_benchmark
    from facetgrade.evaluate.benchmark_page import headline_table

    if simulate_only:
        place = simulated or out / "studies"
        simulate_benchmark(config, place, studies, workers, _print_progress)
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
        typer.echo(f"{label:<46}{reached:<24}{target:<15}{verdict}")
    typer.echo(f"benchmark: {out / 'benchmark.html'}")


@app.command()
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
        place = simulated or out / "studies"
        calibration.simulate_calibration(
            config, place, studies, workers, _print_progress
        )
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


@app.command()
def version() -> None:
    """Print the version of facetgrade."""
    from importlib.metadata import version as installed_version

    typer.echo(f"facetgrade {installed_version('facetgrade')}")


def _print_progress(done: int, total: int, text: str) -> None:
    typer.echo(f"[{done}/{total}] {text}")
