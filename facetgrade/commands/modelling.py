"""The commands `facetgrade models list|show|verify|install|rollback`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from facetgrade.commands.options import Device

models_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, verify and install models; shipped ones are never changed.",
)
ModelsFolder = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of your models; ~/.config/facetgrade/models"),
]
ModelName = Annotated[str, typer.Argument(metavar="NAME", help="As models list shows.")]


@models_app.command("list")
def list_command(models: ModelsFolder = None) -> None:
    """List the models; * marks those in use with the active.toml of the folder."""
    from facetgrade.inference.library import list_models

    for model in list_models(models):
        mark = "*" if model.active else " "
        sha256 = str(model.entry.get("sha256", ""))[:12]
        typer.echo(
            f"{mark} {model.name:<28} {sha256}  {model.entry.get('summary', '')}"
        )


@models_app.command("show")
def show_command(name: ModelName, models: ModelsFolder = None) -> None:
    """Print where a model came from: configuration, data, code, metrics."""
    from facetgrade.inference.library import model_name
    from facetgrade.inference.weights import find_model, read_metadata

    entry, path = find_model(model_name(models, name) if models else name)
    typer.echo(f"file: {path}\nsha256: {entry.sha256}")
    for key, value in sorted(read_metadata(path).items()):
        shown = value
        if value.startswith("{"):
            shown = json.dumps(json.loads(value), indent=1)
        typer.echo(f"{key}: {shown}")


@models_app.command("verify")
def verify_command(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="Names or weight files; all without."),
    ] = None,
    models: ModelsFolder = None,
) -> None:
    """Check hashes and architectures; exit code 2 at the first that is wrong."""
    from facetgrade.inference.library import list_models, verify_file, verify_model

    for name in names or [model.name for model in list_models(models)]:
        if name.endswith((".safetensors", ".pt", ".pth", ".bin")):
            verify_file(Path(name))
        else:
            verify_model(name)
        typer.echo(f"{name}: verified")


@models_app.command("install")
def install_command(
    weights: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="From facetgrade train.")
    ],
    comparison: Annotated[
        Path | None,
        typer.Option(exists=True, help="comparison.json of facetgrade compare-models."),
    ] = None,
    override: Annotated[
        str, typer.Option(help="Reason to install a worse or uncompared model.")
    ] = "",
    models: ModelsFolder = None,
) -> None:
    """Install WEIGHTS and put them to work, unless they are worse than those in use."""
    from facetgrade.inference.library import ACTIVE, install_model

    installed = install_model(weights, models, comparison, override)
    active = installed.path.parent / ACTIVE
    typer.echo(f"installed: {installed.name} ({installed.entry['compared']})")
    typer.echo(f"use it with: facetgrade grade --config {active}")


@models_app.command("rollback")
def rollback_command(models: ModelsFolder = None) -> None:
    """Go back to the models that were in use before the last installation."""
    from facetgrade.inference.library import roll_back

    for stage, name in roll_back(models).items():
        typer.echo(f"{stage}: {name}")


def compare_models(
    new: Annotated[
        str, typer.Argument(help="Weight file of facetgrade train, or a model's name.")
    ],
    manifest: Annotated[
        Path, typer.Option(exists=True, help="Annotated cases; split test is graded.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the results.")],
    current: Annotated[
        str, typer.Option(help="Model to compare with, by default the one in use.")
    ] = "",
    splits: Annotated[
        Path | None,
        typer.Option(exists=True, help="Locked splits that the training wrote."),
    ] = None,
    benchmark_studies: Annotated[
        int, typer.Option(min=0, help="Simulated studies to grade too, 0 for none.")
    ] = 0,
    simulated: Annotated[
        Path | None, typer.Option(help="Keep the simulated studies here.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(exists=True, help="What differs from compare_models.toml."),
    ] = None,
    device: Device = "auto",
    models: ModelsFolder = None,
) -> None:
    """Grade held-out studies with a NEW and the current model, and judge the change."""
    from facetgrade.config import read_shipped
    from facetgrade.evaluate.compare_models import Comparison
    from facetgrade.evaluate.compare_models import compare_models as compare
    from facetgrade.evaluate.model_settings import CompareModelsSettings

    asked = Comparison(
        new=new,
        current=current,
        models=models,
        manifest=manifest,
        splits=splits,
        benchmark_studies=benchmark_studies,
        simulated=simulated,
        device=device,
    )
    settings = read_shipped(
        "configs/compare_models.toml", CompareModelsSettings, config
    )
    result = compare(asked, settings, out, _print_progress)
    for reason in result["reasons"]:
        typer.echo(reason)
    typer.echo(f"verdict: {result['verdict']}")
    typer.echo(f"comparison: {out / 'comparison.json'}, {out / 'comparison.html'}")


def _print_progress(done: int, total: int, text: str) -> None:
    """Tell how far the comparison is."""
    typer.echo(f"[{done}/{total}] {text}")
