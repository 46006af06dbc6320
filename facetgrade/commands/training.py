"""The commands around training: train, check-dataset, export-annotation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facetgrade.commands.options import TRIAL_LEVELS, Device, LevelNames, parse_levels
from facetgrade.commands.terminal import ConfigFile

FOUND_SOMETHING = 3


def train(
    config: Annotated[
        Path, typer.Argument(help="TOML file such as configs/retrain_segmenter.toml.")
    ],
) -> None:
    """Train a network as CONFIG says, or go on where a run stopped."""
    from facetgrade.train import train as train_network

    typer.echo(f"weights: {train_network(config)}")


def check_dataset(
    manifest: Annotated[
        Path, typer.Argument(exists=True, help="CSV or JSON with annotated cases.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for findings.html and findings.json."),
    ] = None,
) -> None:
    """Look for what would spoil a training on MANIFEST.

    Exit code 0: nothing was found, 2: the manifest cannot be read, 3: findings.
    """
    from facetgrade.datasets import check_dataset as check

    findings = check(manifest, out, _print_progress)
    for one in findings:
        rows = ",".join(map(str, one.rows))
        typer.echo(f"row {rows}: {one.kind.value}: {one.sentence} {one.advice}")
    typer.echo(f"findings: {len(findings)}")
    if out is not None:
        typer.echo(f"page: {out / 'findings.html'}")
    raise typer.Exit(FOUND_SOMETHING if findings else 0)


def export_annotation(
    study: Annotated[
        Path, typer.Argument(exists=True, help="One study: folder, archive or images.")
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for images and masks.")
    ],
    reader: Annotated[str, typer.Option(help="Who will correct the masks.")] = "",
    levels: LevelNames = TRIAL_LEVELS,
    config: ConfigFile = None,
    device: Device = "auto",
) -> None:
    """Write images and proposed masks of STUDY for 3D Slicer and ITK-SNAP."""
    from facetgrade.config import read_config
    from facetgrade.datasets.proposals import export_annotation as export
    from facetgrade.errors import IngestError
    from facetgrade.inference import choose_device, load_models
    from facetgrade.ingest import Privacy, find_studies, load_study, user_key
    from facetgrade.pipeline import Request, grade_study

    settings = read_config(config)
    found = find_studies(study, settings=settings.ingest)
    if len(found) != 1:
        raise IngestError(f"{study}: holds {len(found)} studies, expected one")
    privacy = Privacy(key=user_key(), keep_patient_id=False, mask_uids=True)
    read = load_study(found[0], settings.ingest, privacy)
    models = load_models(settings, choose_device(device))
    request = Request(levels=parse_levels(levels), accept_assumed_levels=True)
    report = grade_study(read, models, settings, request=request)
    for path in export(read, report.outcomes, out, source=study, reader=reader):
        typer.echo(path)


def _print_progress(done: int, total: int, text: str) -> None:
    """Tell how far the check is."""
    typer.echo(f"[{done}/{total}] {text}")
