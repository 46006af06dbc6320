"""The command `facetgrade`: parse, read, call, write.

Everything heavy is imported by the command that needs it, so that ``--help`` is quick.
"""

from __future__ import annotations

import logging
import sys
import warnings
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.anatomy import Level
from facetgrade.errors import ConfigError, FacetGradeError, OutputError, one_line

if TYPE_CHECKING:
    from rich.console import Console

    from facetgrade.batch import Anchors
    from facetgrade.ingest import Privacy

LOG_FILE = "facetgrade.log"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Czervionke-Fenton grades of facet joint synovitis on lumbar MRI. "
    "For research only, not for diagnosis.",
)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with the settings that differ."),
]

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
def grade(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            exists=True,
            help="Folders, archives, DICOMDIRs, DICOM or NIfTI files.",
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for tables and reports.")
    ],
    config: ConfigFile = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
    levels: Annotated[
        str, typer.Option(help="Levels to grade, from L1-L2 to L5-S1.")
    ] = "L3-L4,L4-L5",
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L5=X,Y,Z",
            help="LPS mm inside a vertebral body of the only study; may be repeated.",
        ),
    ] = None,
    anchors: Annotated[
        Path | None,
        typer.Option(help="CSV file with columns source, level, x_mm, y_mm, z_mm."),
    ] = None,
    accept_assumed_levels: Annotated[
        bool,
        typer.Option("--accept-assumed-levels", help="Grade with uncertain levels."),
    ] = False,
    key: Annotated[
        Path | None, typer.Option(help="Secret file that makes the pseudonyms.")
    ] = None,
    keep_patient_id: Annotated[
        bool, typer.Option("--keep-patient-id", help="Write PatientID as subject.")
    ] = False,
    mask_uids: Annotated[
        bool, typer.Option("--mask-uids", help="Replace DICOM UIDs in all outputs.")
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Grade again what is done, by any settings."),
    ] = False,
) -> None:
    """Grade the facet joints of every study found in INPUT.

    Exit code 0: every study finished, 1: bug, 2: nothing could be processed or bad
    option, 3: some studies failed, 130: interrupted.
    """
    chosen_levels = _levels(levels)
    console = _console(out)

    from facetgrade.batch import BatchJob, grade_batch
    from facetgrade.batch.console import BatchConsole, print_summary
    from facetgrade.batch.grader import Grader
    from facetgrade.batch.interrupts import remember_interrupts
    from facetgrade.config import read_config
    from facetgrade.pipeline import Request
    from facetgrade.stopwatch import Stopwatch

    request = Request(levels=chosen_levels, accept_assumed_levels=accept_assumed_levels)
    settings, stopwatch = read_config(config), Stopwatch()
    grader = Grader(settings, device, stopwatch)
    job = BatchJob(
        inputs=tuple(inputs),
        out=out,
        config=settings,
        context=grader.context,
        request=request,
        anchors=_anchors(anchor or [], anchors),
        privacy=_privacy(key, keep_patient_id=keep_patient_id, mask_uids=mask_uids),
        force=force,
    )
    try:
        with remember_interrupts() as interrupts, BatchConsole(console) as watcher:
            console.print(f"device: {grader.context.device}", highlight=False)
            summary = grade_batch(job, grader.grade, watcher, stopwatch)
        if interrupts:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on with what is missing")
        raise
    print_summary(console, summary.entries, summary.failures)
    console.print(f"report: {out / 'index.html'}", highlight=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


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
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
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
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")
    ] = "auto",
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


def _console(out: Path) -> Console:
    """Set up the terminal and the log: INFO to a file, warnings to the screen.

    Warnings of libraries may quote headers with the name of a patient and are dropped.
    """
    from rich.console import Console
    from rich.logging import RichHandler

    try:
        out.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(
            out / LOG_FILE, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    to_file.setFormatter(logging.Formatter(line))
    console = Console()
    to_screen = RichHandler(
        logging.WARNING, console, show_time=False, show_path=False, markup=False
    )
    warnings.simplefilter("ignore")
    ours = logging.getLogger("facetgrade")
    ours.setLevel(logging.INFO)
    ours.handlers = [to_file, to_screen]
    ours.propagate = False
    return console


def _print_progress(done: int, total: int, text: str) -> None:
    typer.echo(f"[{done}/{total}] {text}")


def _levels(text: str) -> tuple[Level, ...]:
    """Read a list of levels such as ``L3-L4,L5-S1``."""
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - {level.value for level in Level})
    if unknown or not names:
        known = ", ".join(Level)
        raise ConfigError(f"--levels has {unknown or 'nothing'}; known are {known}")
    return tuple(sorted({Level(name) for name in names}))


def _anchors(for_one: list[str], table: Path | None) -> Anchors:
    from facetgrade.batch import Anchors, parse_anchor, read_anchors

    if for_one and table:
        raise ConfigError("give --anchor or --anchors, not both")
    return Anchors(
        only_study=dict(parse_anchor(text) for text in for_one),
        by_source=read_anchors(table) if table else {},
    )


def _privacy(key: Path | None, *, keep_patient_id: bool, mask_uids: bool) -> Privacy:
    from facetgrade.ingest import Privacy
    from facetgrade.ingest.privacy import read_key, user_key

    return Privacy(
        key=read_key(key) if key else user_key(),
        keep_patient_id=keep_patient_id,
        mask_uids=mask_uids,
    )
