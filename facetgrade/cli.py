"""The command `facetgrade`: parse, read, call, write.

Everything heavy is imported by the command that needs it, so that ``--help`` is quick.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer

from facetgrade.commands.checking import doctor
from facetgrade.commands.comparing import compare
from facetgrade.commands.deidentifying import deidentify
from facetgrade.commands.evaluating import calibrate, evaluate
from facetgrade.commands.exporting import export
from facetgrade.commands.grading import grade
from facetgrade.commands.modelling import compare_models, models_app
from facetgrade.commands.reading import read_sr
from facetgrade.commands.reviewing import app as review_app
from facetgrade.commands.terminal import ConfigFile
from facetgrade.commands.training import check_dataset, export_annotation, train
from facetgrade.commands.transferring import listen, pull, push
from facetgrade.errors import FacetGradeError, OutputError, one_line

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
app.command()(pull)
app.command()(push)
app.command()(listen)
app.command()(export)
app.add_typer(review_app, name="review", help="Blinded reads with audit trail.")
app.command()(evaluate)
app.command()(calibrate)
app.command()(doctor)
app.command()(train)
app.command("check-dataset")(check_dataset)
app.command("export-annotation")(export_annotation)
app.command("compare-models")(compare_models)
app.add_typer(models_app, name="models")


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
    first: Annotated[
        int, typer.Option(min=1, help="Number of the first; earlier are not made.")
    ] = 1,
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
        first=first,
    )
    try:
        for folder in folders:
            typer.echo(folder)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})") from error


@app.command()
def version() -> None:
    """Print the version of facetgrade."""
    from importlib.metadata import version as installed_version

    typer.echo(f"facetgrade {installed_version('facetgrade')}")
