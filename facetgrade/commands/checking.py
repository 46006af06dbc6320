"""The command `facetgrade doctor`."""

from __future__ import annotations

import typer

from facetgrade.commands.options import Device
from facetgrade.commands.terminal import ConfigFile

_SOME_FAILED = 3


def doctor(device: Device = "auto", config: ConfigFile = None) -> None:
    """Check this installation: devices, libraries, models, and a study in ten seconds.

    Exit code 0: all checks passed, 2: bad option, 3: a check failed.
    """
    import logging
    import warnings

    from facetgrade.config import read_config
    from facetgrade.doctor import State, examine

    warnings.simplefilter("ignore")
    logging.getLogger("facetgrade").setLevel(logging.ERROR)
    failed = False
    for check in examine(read_config(config), device):
        typer.echo(f"{check.state:<7}{check.name:<14}{check.text}")
        failed = failed or check.state is State.FAILED
    typer.echo("facetgrade is for research only, not for diagnosis.")
    raise typer.Exit(_SOME_FAILED if failed else 0)
