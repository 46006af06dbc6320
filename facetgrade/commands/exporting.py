"""The command `facetgrade export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WriteBids = Annotated[
    bool,
    typer.Option("--bids", help="Also write a BIDS derivatives dataset, OUT/bids."),
]


def export(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", exists=True, help="joints.csv, or the folder with it."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the files.")],
    bids: WriteBids = False,
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
    if bids:
        echo_bids(results if results.is_dir() else results.parent, out)


def echo_bids(results: Path, out: Path) -> None:
    """Write a BIDS dataset of the results into OUT and say where it is."""
    from facetgrade.exchange.bids import FOLDER, write_bids

    summary = write_bids(results, out / FOLDER)
    typer.echo(
        f"{out / FOLDER}: {summary.studies} studies of {summary.participants} "
        "participants"
    )
    if summary.without_probabilities:
        typer.echo(
            f"{summary.without_probabilities} studies were graded by a version that "
            "kept no probabilities; grade them again with --force to have them"
        )
