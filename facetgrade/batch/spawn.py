"""Start worker processes, with nothing heavy to import before the first one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facetgrade.batch.settings import BatchSettings


def spawn_worker(threads: int) -> subprocess.Popen[bytes]:
    """Start one worker process, which imports and then waits for its setup.

    Parameters
    ----------
    threads : int
        Of its networks, 0 for all cores.
    """
    # Threads that spin while they wait for each other take the time of those that
    # read and write.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "facetgrade.batch.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


@contextmanager
def spawn_early(settings: BatchSettings) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start the workers of a run; those that nobody takes end with the block.

    Yields
    ------
    list of Popen
        A worker pool removes those that it takes, and ends them itself.
    """
    spawned: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(settings.workers):
            spawned.append(spawn_worker(settings.threads_each))
        yield spawned
    finally:
        for process in spawned:
            process.kill()
        for process in spawned:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
