"""Settings of a batch that no grade depends on."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BATCH = "configs/batch.toml"

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class ClusterSettings(BaseModel):
    """What to ask a cluster for.

    Attributes
    ----------
    jobs : int
        Workers.
    cores, memory_gb : int, float
        Of each worker.
    start_limit_s : float
        Longest wait for the first worker.
    queue, account, walltime : str
        For Slurm; empty ones are left out.
    image, namespace : str
        For Kubernetes.
    hosts : tuple of str
        For ssh: the scheduler, then one worker each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    jobs: Count
    cores: Count
    memory_gb: Positive
    start_limit_s: Positive
    queue: str
    account: str
    walltime: str
    image: str
    namespace: str
    hosts: tuple[str, ...]


class BatchSettings(BaseModel):
    """How the studies of a run are spread over processes, and their limits.

    Attributes
    ----------
    workers : int
        Processes on this machine, each with networks of its own.
    threads : int
        Threads of the networks in each worker; 0 takes all cores for one worker and
        one for each of several.
    studies_in_hand : int
        Studies given to one worker at a time; bounds its memory.
    attempts : int
        How often a study is tried when disk, memory or machine may be to blame.
    retry_pause_s : float
        Before the second attempt; doubles with each further one.
    time_limit_s : float
        Working time of one study.
    memory_limit_mb : float
        Resident memory of one worker.
    cluster : ClusterSettings
        For `--cluster`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: Count
    threads: Annotated[int, Field(ge=0)]
    studies_in_hand: Count
    attempts: Count
    retry_pause_s: Annotated[float, Field(ge=0.0)]
    time_limit_s: Positive
    memory_limit_mb: Positive
    cluster: ClusterSettings

    @property
    def threads_each(self) -> int:
        """Threads of one worker, 0 to leave the choice to torch."""
        return self.threads or (0 if self.workers == 1 else 1)
