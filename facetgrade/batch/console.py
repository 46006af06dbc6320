"""What a batch shows on the terminal: progress, one line per study, a table."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from facetgrade.errors import one_line
from facetgrade.report import Failure, StudyEntry
from facetgrade.report.context import Row

STAGES = ("read", "localize", "segment", "grade", "report")
MOST_STUDIES_IN_TABLE = 12
MOST_PROBLEMS = 10
TELL_EVERY_S = 60.0

log = logging.getLogger(__name__)


class BatchConsole:
    """Live progress and lines of a batch; use it as a context manager.

    Parameters
    ----------
    console : Console
        Where to print; the progress bar shows on terminals only.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[left]}", style="dim", markup=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("searching", total=None, left="")
        self._count = self._number = self._worked = 0
        self._since_s = self._told_s = time.monotonic()

    def __enter__(self) -> Self:
        """Start the progress bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the progress bar."""
        self._progress.stop()

    def problems(self, sentences: Sequence[str]) -> None:
        """Print files that could not be used, the first of them if there are many."""
        for sentence in sentences[:MOST_PROBLEMS]:
            self._print(Text.assemble(("not used: ", "yellow"), one_line(sentence)))
        if len(sentences) > MOST_PROBLEMS:
            more = len(sentences) - MOST_PROBLEMS
            self._print(Text(f"{more} more files are listed in facetgrade.log"))

    def found(self, count: int) -> None:
        """Tell how many studies there are."""
        self._count = count
        self._since_s = self._told_s = time.monotonic()
        self._progress.update(self._task, total=count * len(STAGES))

    def stage(self, name: str) -> None:
        """Tell that the current study enters a stage."""
        if name not in STAGES:
            return
        self._progress.update(
            self._task,
            description=f"study {self._number + 1} of {self._count}: {name}",
            completed=self._number * len(STAGES) + STAGES.index(name),
        )

    def finished(self, entry: StudyEntry) -> None:
        """Print the line of a study that was graded or kept."""
        seconds = sum(entry.stage_seconds.values())
        how = "done before" if entry.skipped else f"{seconds:.1f} s"
        self._worked += not entry.skipped
        self._line(entry.source, f"{study_line(entry.rows)}  ({how})", style="")

    def failed(self, failure: Failure) -> None:
        """Print the line of a study that could not be graded."""
        self._line(failure.source, f"failed: {failure.message}", style="red")

    def _line(self, source: str, text: str, *, style: str) -> None:
        self._number += 1
        now_s = time.monotonic()
        left = time_left(
            now_s - self._since_s, self._worked, self._count - self._number
        )
        self._progress.update(
            self._task, completed=self._number * len(STAGES), left=left
        )
        if left and now_s - self._told_s > TELL_EVERY_S:
            self._told_s = now_s
            log.info("%d of %d studies, %s", self._number, self._count, left)
            if not self._console.is_terminal:
                self._print(Text(f"{self._number} of {self._count} studies, {left}"))
        name = (f"{one_line(source)}: ", "bold")
        self._print(Text.assemble(name, (one_line(text), style)))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


def time_left(elapsed_s: float, worked: int, remaining: int) -> str:
    """Estimate the rest of a batch from the studies that this run graded.

    Parameters
    ----------
    elapsed_s : float
        Since the first study.
    worked : int
        Studies graded in that time; those of an earlier run take none.
    remaining : int
        Studies that are left.
    """
    if not worked or not remaining:
        return ""
    left_s = elapsed_s / worked * remaining
    if left_s < 90.0:
        return f"about {left_s:.0f} s left"
    if left_s < 5400.0:
        return f"about {left_s / 60.0:.0f} min left"
    return f"about {left_s / 3600.0:.1f} h left"


def study_line(rows: Sequence[Row]) -> str:
    """Put the grades of one study into one line."""
    levels: dict[str, list[str]] = {}
    for row in rows:
        result = f"{row['side']} {row['grade'] or row['reason']}"
        levels.setdefault(row["level"], []).append(result)
    return "; ".join(f"{level} {', '.join(text)}" for level, text in levels.items())


def print_summary(
    console: Console, entries: Sequence[StudyEntry], failures: Sequence[Failure]
) -> None:
    """Print the joints of a small batch, the counts of a large one.

    Parameters
    ----------
    console : Console
        Where to print.
    entries : sequence of StudyEntry
        Studies of this run.
    failures : sequence of Failure
        Inputs that could not be processed.
    """
    rows = [row for entry in entries for row in entry.rows]
    if len(entries) > MOST_STUDIES_IN_TABLE:
        console.print(_count_table(rows))
    elif rows:
        console.print(_joint_table(rows))
    noun = "study" if len(entries) == 1 else "studies"
    parts = [f"{len(entries)} {noun} finished"]
    kept = sum(entry.skipped for entry in entries)
    if kept:
        parts.append(f"{kept} of them by an earlier run")
    if failures:
        parts.append(f"{len(failures)} failed")
    console.print(", ".join(parts))


def _joint_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Facet joints, volumes in mm3", box=SIMPLE)
    table.add_column("study", overflow="fold")
    table.add_column("joint", no_wrap=True)
    for name in ("grade", "perimeter", "effusion", "edema"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("remarks", overflow="fold")
    for row in rows:
        remarks = (row["reason"], row["extension"], row["flags"])
        cells = (
            one_line(row["source"]),
            f"{row['level']} {row['side']}",
            row["grade"] or "-",
            *(row[key] for key in ("perimeter_fraction", "effusion_mm3", "edema_mm3")),
            " ".join(filter(None, remarks)).replace(";", " "),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _count_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Facet joints", box=SIMPLE)
    table.add_column("level")
    names = ("0", "1", "2", "3", "4", "ungradable")
    for name in names:
        table.add_column(name if name == "ungradable" else f"grade {name}")
    counts = Counter((row["level"], row["grade"] or "ungradable") for row in rows)
    for level in sorted({row["level"] for row in rows}):
        table.add_row(level, *(str(counts[level, name]) for name in names))
    return table
