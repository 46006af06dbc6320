"""The command `facetgrade read-sr`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def read_sr(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT",
            exists=True,
            help="DICOM SR and SEG files of facetgrade, or folders with them.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for joints.csv and NIfTI masks."),
    ] = None,
) -> None:
    """Print grades and measurements that DICOM SR hold, or write them with masks."""
    from facetgrade.exchange.read_back import read_back, table_text, write_back

    found = read_back(inputs)
    for problem in found.problems:
        typer.echo(f"not read: {problem}", err=True)
    if out is None:
        typer.echo(table_text(found.joints), nl=False)
        return
    written = write_back(found, out)
    typer.echo(f"{len(found.joints)} joints, {len(found.segments)} segments")
    typer.echo(f"table: {written[0]}")
