"""One or several training processes, as torchrun starts them, that share each batch."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed, nn

from facetgrade.inference.device import choose_device

LONGEST_PREPARATION = timedelta(days=2)  # others wait while the first simulates cases
Prepared = TypeVar("Prepared")


@contextmanager
def process_group(device: str) -> Iterator[torch.device]:
    """Join the group that torchrun announces, if any, and choose the device.

    Parameters
    ----------
    device : str
        As for `facetgrade grade`. With several processes each takes the GPU of its
        local rank, or all take the CPU and the backend gloo.

    Yields
    ------
    torch.device
        Where this process trains.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield choose_device(device)
        return
    chosen = choose_device(device)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=LONGEST_PREPARATION)
    has_more_to_do = rank() == 0
    try:
        yield chosen
    finally:
        distributed.destroy_process_group()
    if backend == "gloo" and not has_more_to_do:
        atexit.register(_end_at_once)


def _end_at_once() -> None:
    """End a process that has done its part, without taking the interpreter apart.

    A thread of gloo may still be letting go of a tensor; when Python is gone by then,
    the process aborts and torchrun calls the whole run failed. The first process goes
    on to write the weights, may fail there, and ends as usual.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def to_device(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Copy a batch to where the network is."""
    return {key: value.to(device, non_blocking=True) for key, value in batch.items()}


def device_of(network: nn.Module) -> torch.device:
    """Return where a network is."""
    return next(network.parameters()).device


def world_size() -> int:
    """Return the number of training processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Return the number of this process, 0 for the one that writes."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def wait_for_all() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        distributed.barrier()


def prepare_alone(prepare: Callable[[], Prepared]) -> Prepared:
    """Let the first process make files that the others then find."""
    if rank() > 0:
        wait_for_all()
        return prepare()
    made = prepare()
    wait_for_all()
    return made


def agree(value: float) -> float:
    """Return what the first process says."""
    if world_size() == 1:
        return value
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    told = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(told, src=0)
    return float(told)


def batch_sum(value: Tensor) -> Tensor:
    """Add up a tensor over all processes.

    The gradient is that of the own summand alone: `sum_gradients` adds the rest.
    """
    if world_size() == 1:
        return value
    total: Tensor = _BatchSum.apply(value)  # type: ignore[no-untyped-call]
    return total


def sum_gradients(network: nn.Module) -> None:
    """Add up the gradients of all processes, in one message."""
    if world_size() == 1:
        return
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    parts = torch.split(flat, [gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


class _BatchSum(torch.autograd.Function):
    """Sum over processes whose backward pass stays in the process."""

    @staticmethod
    def forward(context: Any, value: Tensor) -> Tensor:
        """Add up a copy."""
        del context
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Pass the gradient on."""
        del context
        return gradient
