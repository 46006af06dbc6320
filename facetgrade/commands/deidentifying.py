"""The command `facetgrade deidentify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facetgrade.errors import ConfigError


def deidentify(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", exists=True, help="Folder, archive or file."),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the copies.")],
    key: Annotated[
        Path | None,
        typer.Option(help="Secret file behind pseudonyms, UIDs and date shifts."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(exists=True, help="Whole file like configs/deidentify.toml."),
    ] = None,
) -> None:
    """Copy MR images without patient attributes, after DICOM PS3.15.

    Dates move back by a secret number of days for each patient, so that the time
    between studies stays. Keep the secret (--key) apart from the copies.
    """
    from importlib.metadata import version

    from facetgrade.config import read_settings, shipped_path
    from facetgrade.deidentify import (
        REPORT,
        DeidentifySettings,
        deidentify_folder,
        report_record,
    )
    from facetgrade.ingest import read_key, shipped_settings, user_key
    from facetgrade.report.atomic import write_json

    if key and key.resolve().is_relative_to(out.resolve()):
        raise ConfigError("the key must be kept apart from OUT")
    path = config or shipped_path("configs/deidentify.toml")
    result = deidentify_folder(
        source,
        out,
        key=read_key(key) if key else user_key(),
        settings=read_settings(path, DeidentifySettings),
        ingest=shipped_settings(),
    )
    write_json(out / REPORT, report_record(result, version("facetgrade")))
    subjects = len({subject for subject, _, _ in result.written})
    typer.echo(f"{result.images} images of {subjects} subjects written to {out}")
    for reason, count in sorted(result.left_out.items()):
        typer.echo(f"left out: {count} files, {reason}")
    typer.echo(f"report: {out / REPORT}")
