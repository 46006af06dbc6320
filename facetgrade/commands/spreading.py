"""Options that spread a batch over processes and machines, and what they turn into."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from subprocess import Popen

    from facetgrade.batch.cluster import DaskGrader
    from facetgrade.batch.pool import WorkerPool
    from facetgrade.batch.settings import BatchSettings
    from facetgrade.config import PipelineConfig

BatchFile = Annotated[
    Path | None,
    typer.Option(
        "--batch",
        help="TOML file with what differs from configs/batch.toml: limits, cluster.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes on this machine, each with its own networks."),
]
ShardText = Annotated[
    str,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Grade part I of N only. Shards may share OUT, one after the other or at "
        "the same time on several machines; the last to end writes complete tables.",
    ),
]
Scheduler = Annotated[
    str,
    typer.Option(
        metavar="tcp://HOST:8786",
        help="Grade on the workers of this Dask scheduler; they must see INPUT and OUT "
        "under the same paths.",
    ),
]
Cluster = Annotated[
    str,
    typer.Option(help="Start Dask workers by slurm, kubernetes, ssh or local."),
]
RetryQuarantined = Annotated[
    bool,
    typer.Option(
        "--retry-quarantined", help="Try studies again that ended a worker before."
    ),
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Where a batch runs, as the options say: here, or on one kind of cluster."""

    settings: BatchSettings
    scheduler: str
    cluster: str

    @property
    def is_local(self) -> bool:
        """Whether the workers are processes of this run."""
        return not (self.scheduler or self.cluster)


def read_spread(
    batch: Path | None, workers: int | None, scheduler: str, cluster: str
) -> Spread:
    """Read the options that spread a batch; nothing heavy is imported.

    Raises
    ------
    ConfigError
        If options exclude each other or a setting is impossible.
    """
    from facetgrade.batch.settings import BATCH, BatchSettings
    from facetgrade.config_files import read_shipped

    if sum(bool(one) for one in (scheduler, cluster, workers)) > 1:
        raise ConfigError("give one of --workers, --scheduler and --cluster")
    settings = read_shipped(BATCH, BatchSettings, batch)
    if workers is not None:
        settings = settings.model_copy(update={"workers": workers})
    return Spread(settings=settings, scheduler=scheduler, cluster=cluster)


def spawn_local(spread: Spread) -> AbstractContextManager[list[Popen[bytes]]]:
    """Start the workers of a local run, which import beside it."""
    from facetgrade.batch.spawn import spawn_early

    return spawn_early(spread.settings) if spread.is_local else nullcontext([])


def open_graders(
    spread: Spread,
    config: PipelineConfig,
    device: str,
    on_stage: Callable[[str], None],
    spawned: list[Popen[bytes]],
) -> WorkerPool | DaskGrader:
    """Choose who grades: processes here, those of `spawn_local` first, or a cluster.

    Raises
    ------
    ConfigError
        If a cluster cannot be had.
    """
    settings = spread.settings
    if spread.is_local:
        from facetgrade.batch.pool import WorkerPool

        return WorkerPool(config, device, settings, on_stage, spawned)
    from facetgrade.batch.cluster import DaskGrader, connect_scheduler
    from facetgrade.batch.launch import start_cluster

    if spread.scheduler:
        return DaskGrader(
            partial(connect_scheduler, spread.scheduler), config, device, settings
        )
    connect = partial(start_cluster, spread.cluster, settings.cluster)
    return DaskGrader(connect, config, device, settings)
