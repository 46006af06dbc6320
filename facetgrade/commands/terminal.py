"""What commands share: the terminal, the log, the option `--config`."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.errors import OutputError

if TYPE_CHECKING:
    from rich.console import Console

LOG_FILE = "facetgrade.log"

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with the settings that differ."),
]


def _console() -> Console:
    """Return a terminal that may be left unread: a run into `head` goes on."""
    from rich.console import Console

    class Unread(Console):
        def on_broken_pipe(self) -> None:
            self.quiet = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())

    return Unread()


def open_console(out: Path) -> Console:
    """Set up the terminal and the log: INFO to a file, warnings to the screen.

    Warnings of libraries may quote headers with the name of a patient and are dropped.
    """
    from rich.logging import RichHandler

    try:
        out.mkdir(parents=True, exist_ok=True)
        to_file = logging.FileHandler(
            out / LOG_FILE, encoding="utf-8", errors="replace"
        )
    except OSError as error:
        raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    to_file.setFormatter(logging.Formatter(line))
    console = _console()
    to_screen = RichHandler(
        logging.WARNING, console, show_time=False, show_path=False, markup=False
    )
    warnings.simplefilter("ignore")
    logging.raiseExceptions = False  # a full disk would print a traceback per line
    ours = logging.getLogger("facetgrade")
    ours.setLevel(logging.INFO)
    ours.handlers = [to_file, to_screen]
    ours.propagate = False
    return console
