"""The command `facetgrade export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", exists=True, help="joints.csv, or the folder with it."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the files.")],
) -> None:
    """Write joints.csv as Parquet, and as REDCap records with data dictionary."""
    from facetgrade.exchange.tables import (
        parquet_bytes,
        read_joints_csv,
        redcap_dictionary,
        redcap_records,
    )
    from facetgrade.report.atomic import write_bytes

    rows = read_joints_csv(results / "joints.csv" if results.is_dir() else results)
    for name, content in (
        ("joints.parquet", parquet_bytes(rows)),
        ("redcap_records.csv", redcap_records(rows).encode()),
        ("redcap_dictionary.csv", redcap_dictionary(rows).encode()),
    ):
        write_bytes(out / name, content)
        typer.echo(out / name)
