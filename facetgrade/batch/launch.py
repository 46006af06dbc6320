"""Ask Slurm, Kubernetes or machines by ssh for Dask workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from facetgrade.batch.cluster import INSTALL
from facetgrade.batch.settings import ClusterSettings
from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

KINDS = ("slurm", "kubernetes", "ssh", "local")


@contextmanager
def start_cluster(kind: str, settings: ClusterSettings) -> Iterator[Client]:
    """Start a cluster for the time of the block, and connect to it.

    Parameters
    ----------
    kind : str
        One of `KINDS`; ``local`` starts the workers on this machine.
    settings : ClusterSettings
        What to ask for.

    Raises
    ------
    ConfigError
        If a package is missing or a setting is.
    """
    if kind not in KINDS:
        raise ConfigError(f"--cluster must be one of {', '.join(KINDS)}, got {kind!r}")
    try:
        from distributed import Client

        cluster = make_cluster(kind, settings)
    except ImportError as error:
        raise ConfigError(f"--cluster {kind} needs {error.name}; {INSTALL}") from error
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def make_cluster(kind: str, settings: ClusterSettings) -> Any:
    """Make a cluster with its workers asked for."""
    if kind == "slurm":
        return _slurm(settings)
    if kind == "kubernetes":
        return _kubernetes(settings)
    if kind == "ssh":
        return _ssh(settings)
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=settings.jobs,
        threads_per_worker=1,
        memory_limit=None,
        dashboard_address=None,
    )


def slurm_options(settings: ClusterSettings) -> dict[str, Any]:
    """Say what a Slurm job of one worker asks for."""
    return {
        "queue": settings.queue or None,
        "account": settings.account or None,
        "walltime": settings.walltime,
        "cores": settings.cores,
        "processes": 1,
        "memory": f"{settings.memory_gb:g}GB",
        "worker_extra_args": ["--nthreads", "1"],
    }


def _slurm(settings: ClusterSettings) -> Any:
    from dask_jobqueue import SLURMCluster

    cluster = SLURMCluster(**slurm_options(settings))
    cluster.scale(jobs=settings.jobs)
    return cluster


def _kubernetes(settings: ClusterSettings) -> Any:
    from dask_kubernetes.operator import KubeCluster

    if not settings.image:
        raise ConfigError("--cluster kubernetes needs cluster.image in the batch file")
    share = {"cpu": str(settings.cores), "memory": f"{settings.memory_gb:g}G"}
    return KubeCluster(
        name="facetgrade",
        image=settings.image,
        namespace=settings.namespace,
        n_workers=settings.jobs,
        resources={"requests": share, "limits": share},
        worker_command="dask-worker --nthreads 1",
    )


def _ssh(settings: ClusterSettings) -> Any:
    from distributed import SSHCluster

    if len(settings.hosts) < 2:
        raise ConfigError(
            "--cluster ssh needs cluster.hosts in the batch file: first the scheduler, "
            "then a worker each"
        )
    return SSHCluster(
        list(settings.hosts), worker_options={"nthreads": 1}, connect_options={}
    )
