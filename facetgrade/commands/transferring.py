"""The commands `facetgrade pull`, `push` and `listen`."""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.commands.options import (
    TRIAL_LEVELS,
    AcceptAssumedLevels,
    Device,
    KeyFile,
    LevelNames,
    make_privacy,
    parse_levels,
)
from facetgrade.commands.terminal import ConfigFile, open_console
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from facetgrade.batch.job import BatchJob
    from facetgrade.ingest import Privacy
    from facetgrade.pacs import PacsSettings, StudyQuery
    from facetgrade.pacs.listen import GradeStudy
    from facetgrade.request import Request

_NEEDED = ("pynetdicom", "dicomweb_client", "requests", "keyring", "tenacity")

NodesFile = Annotated[
    Path | None,
    typer.Option(
        "--nodes",
        help="TOML file that names archives, ~/.config/facetgrade/pacs.toml unless "
        "given; configs/pacs.toml explains the keys.",
    ),
]


def pull(
    node: Annotated[str, typer.Argument(metavar="NODE", help="Name of the archive.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the studies.")],
    first_day: Annotated[
        str, typer.Option("--from", metavar="YYYY-MM-DD", help="First study date.")
    ] = "",
    last_day: Annotated[
        str, typer.Option("--to", metavar="YYYY-MM-DD", help="Last study date.")
    ] = "",
    description: Annotated[
        str, typer.Option(help="Study description, with * and ? for anything.")
    ] = "",
    modality: Annotated[
        list[str] | None,
        typer.Option(help="Series to fetch, MR unless given; may be repeated."),
    ] = None,
    accessions: Annotated[
        Path | None, typer.Option(help="File with one accession number a line.")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="File with one PatientID a line.")
    ] = None,
    nodes: NodesFile = None,
    key: KeyFile = None,
) -> None:
    """Fetch studies from an archive over DICOMweb or DIMSE into folders for grade.

    The same command goes on where it stopped. Folders are named by pseudonyms.
    Exit code 0: every study is complete, 1: bug, 2: nothing could be done or bad
    option, 3: some studies are missing, 130: interrupted.
    """
    settings = _read_nodes(nodes)
    from facetgrade.pacs import Patience, Places, PullJob, open_archive, pull_studies

    query = _query(
        settings,
        (first_day, last_day),
        description=description,
        modalities=modality,
        accessions=accessions,
        patients=patients,
    )
    privacy = make_privacy(key, keep_patient_id=False, mask_uids=False)
    archive = open_archive(node, settings)
    console = open_console(out)
    job = PullJob(
        archive=archive,
        query=query,
        out=out,
        places=Places(privacy),
        patience=Patience(settings.retry),
    )
    summary = pull_studies(job, _teller(console))
    megabytes = summary.bytes / 1e6
    _print(
        console,
        f"{_studies(summary.complete)} complete, {summary.fetched} images fetched "
        f"({megabytes:.1f} MB), {len(summary.failures)} failed",
    )
    raise typer.Exit(summary.exit_code)


def push(
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", exists=True, help="Folder of grade --dicom."),
    ],
    node: Annotated[str, typer.Option("--to", help="Name of the archive.")],
    nodes: NodesFile = None,
) -> None:
    """Send the DICOM SEG and SR of graded studies to an archive, each only once.

    Exit code 0: every study was taken, 1: bug, 2: nothing could be done or bad option,
    3: some studies were not taken, 130: interrupted.
    """
    settings = _read_nodes(nodes)
    from facetgrade.pacs import Patience, open_archive, push_results

    archive = open_archive(node, settings)
    console = open_console(out)
    summary = push_results(
        archive, out, patience=Patience(settings.retry), tell=_teller(console)
    )
    _print(
        console,
        f"{_studies(summary.complete)} safe in {node}, {summary.fetched} objects sent, "
        f"{len(summary.failures)} failed",
    )
    raise typer.Exit(summary.exit_code)


def listen(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for images and results.")
    ],
    send_to: Annotated[
        str, typer.Option(help="Archive that gets SEG and SR of each study.")
    ] = "",
    nodes: NodesFile = None,
    config: ConfigFile = None,
    device: Device = "auto",
    levels: LevelNames = TRIAL_LEVELS,
    accept_assumed_levels: AcceptAssumedLevels = False,
    key: KeyFile = None,
) -> None:
    """Receive studies over DICOM, grade each when it has arrived, send results back.

    Runs until it is ended: SIGTERM waits for the study at hand (exit code 0), Ctrl-C
    does not (130). The next start goes on with what is unfinished.
    """
    settings, chosen = _read_nodes(nodes), parse_levels(levels)
    from facetgrade.pacs import Patience, open_archive

    name = send_to or settings.listen.destination
    destination = open_archive(name, settings) if name else None
    privacy = make_privacy(key, keep_patient_id=False, mask_uids=False)
    console = open_console(out)

    from facetgrade.pacs.listen import ListenJob
    from facetgrade.pacs.listen import listen as listen_for_studies
    from facetgrade.request import Request

    request = Request(levels=chosen, accept_assumed_levels=accept_assumed_levels)
    batch, grade = _grading(out, config, device, request, privacy)
    job = ListenJob(
        settings=settings,
        batch=batch,
        grade=grade,
        destination=destination,
        patience=Patience(settings.retry),
    )
    stop = Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    listen_for_studies(job, stop=stop, tell=_teller(console))


def _grading(
    out: Path, config: Path | None, device: str, request: Request, privacy: Privacy
) -> tuple[BatchJob, GradeStudy]:
    """Say how arriving studies are graded, always with SEG and SR."""
    from facetgrade.batch.anchors import Anchors
    from facetgrade.batch.grader import Grader
    from facetgrade.batch.job import BatchJob
    from facetgrade.config import read_config, read_settings, shipped_path
    from facetgrade.exchange.settings import ExchangeSettings
    from facetgrade.stopwatch import Stopwatch

    pipeline = read_config(config)
    labels = read_settings(shipped_path("configs/exchange.toml"), ExchangeSettings)
    grader = Grader(pipeline, device, Stopwatch())
    job = BatchJob(
        inputs=(),
        out=out,
        config=pipeline,
        context=grader.context,
        request=request,
        anchors=Anchors(),
        privacy=privacy,
        dicom=labels.dicom,
        retry_quarantined=True,
    )
    return job, grader.grade


def _read_nodes(path: Path | None) -> PacsSettings:
    """Read the user's archives, if all packages for transfers are there."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"transfers need {', '.join(missing)}; install them with "
            "pip install 'facetgrade[pacs]'"
        )
    path = path or Path.home() / ".config" / "facetgrade" / "pacs.toml"
    if not path.exists():
        raise ConfigError(
            f"{path}: there is no such file; name your archives in it as in "
            "configs/pacs.toml, or give another with --nodes"
        )
    from facetgrade.pacs import read_pacs, silence_libraries

    silence_libraries()
    return read_pacs(path)


def _query(
    settings: PacsSettings,
    days: tuple[str, str],
    *,
    description: str,
    modalities: list[str] | None,
    accessions: Path | None,
    patients: Path | None,
) -> StudyQuery:
    """Turn options into a query that does not ask for a whole archive."""
    from facetgrade.pacs import StudyQuery, read_list

    first, last = (_dicom_day(text) for text in days)
    query = StudyQuery(
        dates=f"{first}-{last}" if first or last else "",
        description=description,
        modalities=tuple(modalities or settings.pull.modalities),
        accession_numbers=read_list(accessions) if accessions else (),
        patient_ids=read_list(patients) if patients else (),
    )
    if query.is_open:
        raise ConfigError(
            "this would fetch a whole archive; give --from, --to, --description, "
            "--accessions or --patients"
        )
    return query


def _studies(count: int) -> str:
    return "1 study" if count == 1 else f"{count} studies"


def _dicom_day(text: str) -> str:
    """Turn a day such as 2021-05-04 into DICOM's 20210504."""
    try:
        return f"{date.fromisoformat(text):%Y%m%d}" if text else ""
    except ValueError:
        raise ConfigError(f"{text} is not a day such as 2021-05-04") from None


def _teller(console: Console) -> Callable[[str], None]:
    return lambda line: _print(console, line)


def _print(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)
