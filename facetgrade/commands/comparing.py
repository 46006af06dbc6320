"""The command `facetgrade compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from rich.console import Console

    from facetgrade.batch.grader import Grader
    from facetgrade.batch.job import BatchJob
    from facetgrade.compare.inputs import GradeInto
    from facetgrade.compare.job import CompareSummary, PairEntry
    from facetgrade.compare.run import CompareRequest
    from facetgrade.compare.settings import CompareSettings
    from facetgrade.stopwatch import Stopwatch

Place = Annotated[
    Path | None,
    typer.Argument(
        exists=True,
        help="What `grade` takes, or a folder that it wrote. BASELINE alone holds both "
        "time points, which are paired by subject and date.",
    ),
]


def compare(
    baseline: Place = None,
    followup: Place = None,
    *,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for tables and reports.")
    ],
    pairs: Annotated[
        Path | None,
        typer.Option(help="CSV file with columns baseline, followup, [pair, subject]."),
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Where images of graded folders are now."),
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write pages as PDF too.")] = False,
    config: ConfigFile = None,
    compare_config: Annotated[
        Path | None,
        typer.Option(help="TOML file with the settings of compare.toml that differ."),
    ] = None,
    device: Device = "auto",
    levels: LevelNames = TRIAL_LEVELS,
    anchors: AnchorTable = None,
    accept_assumed_levels: AcceptAssumedLevels = False,
    key: KeyFile = None,
    keep_patient_id: KeepPatientId = False,
    mask_uids: MaskUids = False,
    force: Force = False,
) -> None:
    """Compare the facet joints of patients at BASELINE and FOLLOWUP.

    Exit code 0: every pair compared, 1: bug, 2: nothing could be compared or bad
    option, 3: some pairs were refused, 130: interrupted.
    """
    if (baseline is None) == (pairs is None):
        raise ConfigError("give BASELINE and FOLLOWUP, or --pairs FILE.csv")
    chosen_levels = parse_levels(levels)
    _check_pdf(pdf)
    console = open_console(out)

    from facetgrade.batch.grader import Grader
    from facetgrade.batch.job import BatchJob
    from facetgrade.compare.run import CompareRequest
    from facetgrade.config import read_config
    from facetgrade.pipeline import Request
    from facetgrade.stopwatch import Stopwatch

    settings, stopwatch = read_config(config), Stopwatch()
    grader = Grader(settings, device, stopwatch)
    batch = BatchJob(
        inputs=(),
        out=out,
        config=settings,
        context=grader.context,
        request=Request(
            levels=chosen_levels, accept_assumed_levels=accept_assumed_levels
        ),
        anchors=read_anchor_options([], anchors),
        privacy=make_privacy(key, keep_patient_id=keep_patient_id, mask_uids=mask_uids),
        force=force,
    )
    request = CompareRequest(
        baseline=baseline,
        followup=followup,
        pairs=pairs,
        images=tuple(images or ()),
        pdf=pdf,
        settings=_settings(compare_config),
        batch=batch,
    )
    grade_into = _grading(console, batch, grader, stopwatch)
    raise typer.Exit(_run(console, request, grade_into))


def _run(console: Console, request: CompareRequest, grade_into: GradeInto) -> int:
    """Compare, print every pair and return the exit code."""
    from facetgrade.compare.run import run_comparison

    summary = run_comparison(
        request,
        grade_into=grade_into,
        finished=lambda entry: _print_pair(console, entry),
    )
    _print_end(console, summary, request.batch.out)
    return summary.exit_code


def _settings(changes: Path | None) -> CompareSettings:
    from facetgrade.compare.settings import CompareSettings
    from facetgrade.config import read_shipped

    return read_shipped("configs/compare.toml", CompareSettings, changes)


def _check_pdf(wanted: bool) -> None:
    if wanted:
        from facetgrade.compare.pdf import check_pdf

        check_pdf()


def _grading(
    console: Console, batch: BatchJob, grader: Grader, stopwatch: Stopwatch
) -> GradeInto:
    """Return what grades some places into a folder, showing progress."""
    from facetgrade.batch.console import BatchConsole
    from facetgrade.batch.runner import grade_batch

    def grade_into(places: Sequence[Path], folder: Path) -> None:
        console.print(f"device: {grader.context.device}", highlight=False)
        job = replace(batch, inputs=tuple(places), out=folder)
        with BatchConsole(console) as watcher:
            grade_batch(job, grader.grade, watcher, stopwatch)

    return grade_into


def _print_pair(console: Console, entry: PairEntry) -> None:
    """Print the courses of one pair."""
    if entry.refusal is not None:
        text = f"refused: {entry.refusal.reason}: {entry.refusal.explanation}"
    else:
        text = "; ".join(
            f"{row['level']} {row['side']} {row['grade_baseline'] or '-'} to "
            f"{row['grade_followup'] or '-'} {row['change']}"
            for row in entry.rows
        )
    console.print(
        f"{entry.pair.name}: {text}", highlight=False, soft_wrap=True, markup=False
    )


def _print_end(console: Console, summary: CompareSummary, out: Path) -> None:
    """Print what was left over and where the report is."""
    for one in summary.unpaired:
        console.print(
            f"not paired: {', '.join(one.sources)}: {one.obstacle.explanation}",
            highlight=False,
            soft_wrap=True,
            markup=False,
        )
    refused = sum(entry.refusal is not None for entry in summary.entries)
    console.print(f"{len(summary.entries) - refused} pairs compared, {refused} refused")
    console.print(f"report: {out / 'index.html'}", highlight=False, soft_wrap=True)
