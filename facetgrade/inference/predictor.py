"""A network on its device, called with arrays, in the precision that pays there."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16")
CPU_BATCH = 1  # more at a time is slower there and takes more memory

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True)
class Predictor:
    """A network in evaluation mode that reads and answers arrays.

    Attributes
    ----------
    network : torch.nn.Module
        On its device.
    precision : torch.dtype
        Of convolutions; sums, normalizations and answers stay float32.
    """

    network: torch.nn.Module
    precision: torch.dtype = torch.float32

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    def __call__(self, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        """Return the network's answer to a batch of inputs.

        A GPU takes the whole batch at once; when its memory is not enough, it takes
        halves of it.

        Raises
        ------
        torch.OutOfMemoryError
            If the memory of a GPU is not enough for one item.
        """
        items = len(inputs[0])
        if self.device.type == "cpu" and items > CPU_BATCH:
            return self._in_parts(inputs, CPU_BATCH)
        try:
            return self._answer(inputs)
        except torch.OutOfMemoryError:
            if items == 1:
                raise
        log.warning("%s: no memory for %d joints at once", self.device, items)
        torch.cuda.empty_cache()
        return self._in_parts(inputs, (items + 1) // 2)

    def on_cpu(self, precision: torch.dtype) -> Predictor:
        """Return a copy on the CPU."""
        return Predictor(copy.deepcopy(self.network).cpu(), precision)

    def _in_parts(
        self, inputs: tuple[NDArray[Any], ...], size: int
    ) -> NDArray[np.float32]:
        """Answer a batch in parts of one size."""
        starts = range(0, len(inputs[0]), size)
        return np.concatenate(
            [self(*(one[start : start + size] for one in inputs)) for start in starts]
        )

    def _answer(self, inputs: tuple[NDArray[Any], ...]) -> NDArray[np.float32]:
        """Run the network once."""
        device = self.device
        with (
            torch.inference_mode(),
            torch.autocast(
                device.type,
                self.precision,
                enabled=self.precision is not torch.float32,
            ),
        ):
            tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in inputs]
            answer: torch.Tensor = self.network(
                *(_to_device(tensor, device) for tensor in tensors)
            )
            plain = torch.contiguous_format  # as arrays are read, channel by channel
            return _to_host(answer.to(torch.float32, memory_format=plain))


def make_predictor(network: torch.nn.Module, precision: torch.dtype) -> Predictor:
    """Lay a network out for fast convolutions and make it ready to answer."""
    network.eval().requires_grad_(False)
    network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return Predictor(network, precision)


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Choose the precision of convolutions.

    Parameters
    ----------
    name : str
        ``float32``, ``bfloat16``, or ``auto``: bfloat16 where the hardware
        multiplies it, else float32.
    device : torch.device
        Where the networks run.
    """
    if name != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if _fast_features(device) else torch.float32


def explain_precision(name: str, device: torch.device) -> str:
    """Say in a few words why `choose_precision` chooses what it does."""
    if name != "auto":
        return "as configured"
    if device.type == "cuda":
        yes = torch.cuda.is_bf16_supported()
        return f"the GPU {'multiplies' if yes else 'does not multiply'} bfloat16"
    if device.type == "mps":
        return "bfloat16 is not tried on Apple GPUs"
    found = ", ".join(_fast_features(device))
    if found:
        return f"the processor multiplies bfloat16 ({found})"
    return "the processor does not multiply bfloat16"


def _fast_features(device: torch.device) -> list[str]:
    """Return the features by which a processor multiplies bfloat16."""
    found = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return [feature for feature in FAST_BFLOAT16 if found.get(feature, False)]


def _to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Copy to the device; to a GPU from pinned memory, without waiting."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def _to_host(answer: torch.Tensor) -> NDArray[np.float32]:
    """Copy to the host; from a GPU into pinned memory."""
    if answer.device.type == "cuda":
        pinned = torch.empty(answer.shape, dtype=answer.dtype, pin_memory=True)
        pinned.copy_(answer, non_blocking=True)
        torch.cuda.synchronize(answer.device)
        answer = pinned
    result: NDArray[np.float32] = answer.cpu().numpy()
    return result
