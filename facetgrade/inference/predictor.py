"""A network on its device, called with arrays, in the precision that pays there."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16")


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

        Raises
        ------
        torch.OutOfMemoryError
            If the memory of a GPU is not enough.
        """
        device = self.device
        pinned = device.type == "cuda"
        with (
            torch.inference_mode(),
            torch.autocast(
                device.type,
                self.precision,
                enabled=self.precision is not torch.float32,
            ),
        ):
            tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in inputs]
            if pinned:
                tensors = [tensor.pin_memory() for tensor in tensors]
            answer: torch.Tensor = self.network(
                *(tensor.to(device, non_blocking=pinned) for tensor in tensors)
            )
            result: NDArray[np.float32] = answer.float().cpu().numpy()
        return result

    def on_cpu(self, precision: torch.dtype) -> Predictor:
        """Return a copy on the CPU."""
        return Predictor(copy.deepcopy(self.network).cpu(), precision)


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
    capabilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    fast = any(capabilities.get(feature, False) for feature in FAST_BFLOAT16)
    return torch.bfloat16 if fast else torch.float32
