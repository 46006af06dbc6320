"""The command `facetgrade grade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.commands.exporting import WriteBids, echo_bids
from facetgrade.commands.options import (
    TRIAL_LEVELS,
    AcceptAssumedLevels,
    AnchorTable,
    Device,
    Force,
    KeepPatientId,
    KeyFile,
    LevelNames,
    MaskUids,
    make_privacy,
    parse_levels,
    read_anchor_options,
)
from facetgrade.commands.terminal import ConfigFile, open_console
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from facetgrade.exchange.settings import DicomSettings


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
    device: Device = "auto",
    levels: LevelNames = TRIAL_LEVELS,
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="L5=X,Y,Z",
            help="LPS mm inside a vertebral body of the only study; may be repeated.",
        ),
    ] = None,
    anchors: AnchorTable = None,
    accept_assumed_levels: AcceptAssumedLevels = False,
    key: KeyFile = None,
    keep_patient_id: KeepPatientId = False,
    mask_uids: MaskUids = False,
    mask_source: Annotated[
        bool,
        typer.Option("--mask-source", help="Show a number instead of folder names."),
    ] = False,
    mask_dates: Annotated[
        bool,
        typer.Option("--mask-dates", help="Show days since the subject's first study."),
    ] = False,
    dicom: Annotated[
        bool,
        typer.Option("--dicom", help="Also write DICOM SEG and SR for the archive."),
    ] = False,
    bids: WriteBids = False,
    force: Force = False,
) -> None:
    """Grade the facet joints of every study found in INPUT.

    Exit code 0: every study finished, 1: bug, 2: nothing could be processed or bad
    option, 3: some studies failed, 130: interrupted.
    """
    chosen_levels = parse_levels(levels)
    labels = _dicom_settings(mask_uids=mask_uids) if dicom else None
    console = open_console(out)

    from facetgrade.batch import BatchJob, grade_batch
    from facetgrade.batch.console import BatchConsole, print_summary
    from facetgrade.batch.grader import Grader
    from facetgrade.batch.interrupts import remember_interrupts
    from facetgrade.batch.masking import Masking
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
        anchors=read_anchor_options(anchor or [], anchors),
        privacy=make_privacy(key, keep_patient_id=keep_patient_id, mask_uids=mask_uids),
        force=force,
        dicom=labels,
        masking=Masking(sources=mask_source, dates=mask_dates),
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
    if bids and summary.entries:
        echo_bids(out, out)
    console.print(f"report: {out / 'index.html'}", highlight=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


def _dicom_settings(*, mask_uids: bool) -> DicomSettings:
    """Read the labels of DICOM output, which needs the UIDs of the study."""
    if mask_uids:
        raise ConfigError(
            "--dicom writes objects that file with the study by its UIDs; leave out "
            "--mask-uids, or run facetgrade deidentify first"
        )
    from facetgrade.config import read_settings, shipped_path
    from facetgrade.exchange.settings import ExchangeSettings

    return read_settings(shipped_path("configs/exchange.toml"), ExchangeSettings).dicom
