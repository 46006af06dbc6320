"""The commands `facetgrade models list|show|verify|install|rollback`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

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
    from facetgrade.inference.library import model_name, read_metadata
    from facetgrade.inference.weights import find_model

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
    import torch

    from facetgrade.inference.library import list_models, verify_file
    from facetgrade.inference.weights import load_weights

    for name in names or [model.name for model in list_models(models)]:
        if name.endswith((".safetensors", ".pt", ".pth", ".bin")):
            verify_file(Path(name))
        else:
            load_weights(name, torch.device("cpu"))
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
