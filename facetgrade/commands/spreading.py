"""Options that spread a batch over processes and machines, and what they turn into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from facetgrade.batch.cluster import DaskGrader
    from facetgrade.batch.pool import WorkerPool
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
    """Where a batch runs, as the options say."""

    batch: Path | None
    workers: int | None
    scheduler: str
    cluster: str


def open_graders(
    spread: Spread,
    config: PipelineConfig,
    device: str,
    on_stage: Callable[[str], None],
) -> WorkerPool | DaskGrader:
    """Choose who grades: processes here, or a cluster.

    Raises
    ------
    ConfigError
        If options exclude each other or a setting is impossible.
    """
    from facetgrade.batch.pool import WorkerPool
    from facetgrade.batch.settings import BATCH, BatchSettings
    from facetgrade.config import read_shipped

    settings = read_shipped(BATCH, BatchSettings, spread.batch)
    if spread.workers is not None:
        settings = settings.model_copy(update={"workers": spread.workers})
    chosen = [spread.scheduler, spread.cluster, spread.workers]
    if sum(bool(one) for one in chosen) > 1:
        raise ConfigError("give one of --workers, --scheduler and --cluster")
    if not (spread.scheduler or spread.cluster):
        return WorkerPool(config, device, settings, on_stage)
    from facetgrade.batch.cluster import DaskGrader, connect_scheduler
    from facetgrade.batch.launch import start_cluster

    if spread.scheduler:
        return DaskGrader(
            partial(connect_scheduler, spread.scheduler), config, device, settings
        )
    connect = partial(start_cluster, spread.cluster, settings.cluster)
    return DaskGrader(connect, config, device, settings)
