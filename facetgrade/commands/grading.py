"""The command `facetgrade grade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.batch.shard import parse_shard
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
from facetgrade.commands.spreading import (
    BatchFile,
    Cluster,
    RetryQuarantined,
    Scheduler,
    ShardText,
    Spread,
    Workers,
    open_graders,
    read_spread,
    spawn_local,
)
from facetgrade.commands.terminal import ConfigFile, open_console
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from subprocess import Popen

    from rich.console import Console

    from facetgrade.batch.job import BatchJob, BatchSummary
    from facetgrade.batch.task import Executor
    from facetgrade.config import PipelineConfig
    from facetgrade.exchange.settings import DicomSettings
    from facetgrade.report import ReportContext

NEEDS_UIDS = (
    "--dicom writes objects that file with the study by its UIDs; leave out "
    "--mask-uids, or run facetgrade deidentify first"
)


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
    workers: Workers = None,
    shard: ShardText = "1/1",
    scheduler: Scheduler = "",
    cluster: Cluster = "",
    batch: BatchFile = None,
    retry_quarantined: RetryQuarantined = False,
) -> None:
    """Grade the facet joints of every study found in INPUT.

    Exit code 0: every study finished, 1: bug, 2: nothing could be processed or bad
    option, 3: some studies failed, 130: interrupted.
    """
    chosen_levels = parse_levels(levels)
    spread = read_spread(batch, workers, scheduler, cluster)
    known, part = read_anchor_options(anchor or [], anchors), parse_shard(shard)
    if dicom and mask_uids:
        raise ConfigError(NEEDS_UIDS)
    console = open_console(out)
    with spawn_local(spread) as spawned:
        from facetgrade.batch.job import BatchJob
        from facetgrade.batch.masking import Masking
        from facetgrade.config import read_config
        from facetgrade.request import Request

        settings = read_config(config)
        labels = _dicom_settings() if dicom else None
        job = BatchJob(
            inputs=tuple(inputs),
            out=out,
            config=settings,
            context=_own_context(settings),
            request=Request(
                levels=chosen_levels, accept_assumed_levels=accept_assumed_levels
            ),
            anchors=known,
            privacy=make_privacy(
                key, keep_patient_id=keep_patient_id, mask_uids=mask_uids
            ),
            force=force,
            dicom=labels,
            masking=Masking(sources=mask_source, dates=mask_dates),
            shard=part,
            retry_quarantined=retry_quarantined,
        )
        summary = _grade_all(job, spread, device, console, spawned)
    if bids and summary.entries:
        echo_bids(out, out)
    console.print(f"report: {out / 'index.html'}", highlight=False, soft_wrap=True)
    raise typer.Exit(summary.exit_code)


def _grade_all(
    job: BatchJob,
    spread: Spread,
    device: str,
    console: Console,
    spawned: list[Popen[bytes]],
) -> BatchSummary:
    """Start the graders, run the batch, print what came of it."""
    from facetgrade.batch.console import BatchConsole, print_summary
    from facetgrade.batch.interrupts import remember_interrupts
    from facetgrade.batch.runner import run_batch
    from facetgrade.stopwatch import Stopwatch

    def start(job: BatchJob) -> tuple[BatchJob, Executor]:
        ready, executor = graders.start(job)
        console.print(f"device: {ready.context.device}", highlight=False)
        return ready, executor

    try:
        with (
            remember_interrupts() as interrupts,
            BatchConsole(console) as watcher,
            open_graders(spread, job.config, device, watcher.stage, spawned) as graders,
        ):
            summary = run_batch(job, start, watcher, Stopwatch())
        if interrupts:
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        console.print("interrupted; the same command goes on with what is missing")
        raise
    print_summary(console, summary.entries, summary.failures)
    return summary


def _own_context(settings: PipelineConfig) -> ReportContext:
    """Describe what this process knows; device and models come from the graders."""
    from importlib.metadata import version

    from facetgrade.config import config_values
    from facetgrade.report import ReportContext

    return ReportContext(
        version=version("facetgrade"),
        config=config_values(settings),
        model_sha256={},
        device="",
    )


def _dicom_settings() -> DicomSettings:
    """Read the labels of DICOM output."""
    from facetgrade.config_files import read_settings, shipped_path
    from facetgrade.exchange.settings import ExchangeSettings

    return read_settings(shipped_path("configs/exchange.toml"), ExchangeSettings).dicom
