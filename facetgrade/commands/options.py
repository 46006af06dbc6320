"""Options that more than one command has, and what they turn into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.anatomy import Level
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from facetgrade.batch.anchors import Anchors
    from facetgrade.ingest import Privacy

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
LevelNames = Annotated[str, typer.Option(help="Levels to grade, from L1-L2 to L5-S1.")]
AnchorTable = Annotated[
    Path | None,
    typer.Option(help="CSV file with columns source, level, x_mm, y_mm, z_mm."),
]
AcceptAssumedLevels = Annotated[
    bool,
    typer.Option("--accept-assumed-levels", help="Grade with uncertain levels."),
]
KeyFile = Annotated[
    Path | None, typer.Option(help="Secret file that makes the pseudonyms.")
]
KeepPatientId = Annotated[
    bool, typer.Option("--keep-patient-id", help="Write PatientID as subject.")
]
MaskUids = Annotated[
    bool, typer.Option("--mask-uids", help="Replace DICOM UIDs in all outputs.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Grade again what is done, by any settings.")
]
TRIAL_LEVELS = "L3-L4,L4-L5"


def parse_levels(text: str) -> tuple[Level, ...]:
    """Read a list of levels such as ``L3-L4,L5-S1``.

    Raises
    ------
    ConfigError
        If a name is unknown or there is none.
    """
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - {level.value for level in Level})
    if unknown or not names:
        known = ", ".join(Level)
        raise ConfigError(f"--levels has {unknown or 'nothing'}; known are {known}")
    return tuple(sorted({Level(name) for name in names}))


def read_anchor_options(for_one: list[str], table: Path | None) -> Anchors:
    """Read anchors of the only study, or a table of many."""
    from facetgrade.batch.anchors import Anchors, parse_anchor, read_anchors

    if for_one and table:
        raise ConfigError("give --anchor or --anchors, not both")
    return Anchors(
        only_study=dict(parse_anchor(text) for text in for_one),
        by_source=read_anchors(table) if table else {},
    )


def make_privacy(
    key: Path | None, *, keep_patient_id: bool, mask_uids: bool
) -> Privacy:
    """Choose how patients and UIDs are named, with the user's secret or a given one."""
    from facetgrade.ingest import Privacy
    from facetgrade.ingest.privacy import read_key, user_key

    return Privacy(
        key=read_key(key) if key else user_key(),
        keep_patient_id=keep_patient_id,
        mask_uids=mask_uids,
    )
