"""Time the networks on this machine and compare with what its arithmetic allows.

    python scripts/benchmark_inference.py [--results FILE] [--rounds 5] [--compile]

All backends take turns in each round; the table has medians of processor seconds over
the number of threads, which on an idle machine are those of the clock, and which a busy
one changes little. Fractions are of the rate of a matrix product, measured in the same
rounds. The roofline adds, over all layers, the larger of arithmetic and memory time.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from facetgrade.config import read_config
from facetgrade.inference import Predictor, keep_freed_memory, load_weights
from facetgrade.inference.predictor import make_predictor
from facetgrade.localize.canonical import CROP_SHAPE
from facetgrade.segment.patches import GRID_SHAPE

MATRIX = 1024
COPY_FLOATS = 2**24
JOINTS, STACKS = 4, 4
CPU = torch.device("cpu")
Call = Callable[[], Any]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--onnx", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    calls = _calls(compiled=options.compile, onnx=options.onnx)
    seconds = _medians(calls, options.rounds)
    result = {
        "command": f"scripts/benchmark_inference.py --rounds {options.rounds}",
        "date": datetime.date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "seconds": {name: round(value, 4) for name, value in seconds.items()},
        **_rates(seconds),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.results:
        options.results.write_text(text + "\n")


def _calls(*, compiled: bool, onnx: bool) -> dict[str, Call]:
    """Return what is timed, by name."""
    config = read_config()
    matrix = {t: torch.ones(MATRIX, MATRIX, dtype=t) for t in (torch.float32, _HALF)}
    source = torch.ones(COPY_FLOATS)
    target = torch.empty_like(source)
    calls: dict[str, Call] = {
        "gemm float32": lambda: matrix[torch.float32] @ matrix[torch.float32],
        "gemm bfloat16": lambda: matrix[_HALF] @ matrix[_HALF],
        "copy": lambda: target.copy_(source),
    }
    for role, weights in (
        ("localizer", config.localize.weights),
        ("segmenter", config.segment.weights),
    ):
        inputs = INPUTS[role]
        for precision in (torch.float32, _HALF):
            network = make_predictor(load_weights(weights, CPU), precision)
            name = f"{role} torch {str(precision).removeprefix('torch.')}"
            calls[name] = _asked(network, inputs)
        if compiled:
            network = make_predictor(load_weights(weights, CPU), torch.float32)
            network.network.compile()
            calls[f"{role} torch.compile float32"] = _asked(network, inputs)
    if onnx:
        calls["localizer onnxruntime float32"] = _onnx(config.localize.weights)
    return calls


def _asked(network: Predictor, inputs: tuple[np.ndarray, ...]) -> Call:
    """Bind a network to its inputs."""
    return lambda: network(*inputs)


def _onnx(weights: str) -> Call:
    """Export the localizer and open it with ONNX Runtime on the CPU."""
    import onnxruntime

    (image,) = INPUTS["localizer"]
    program = io.BytesIO()
    torch.onnx.export(
        load_weights(weights, CPU), (torch.from_numpy(image),), program, dynamo=False
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        program.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    (name,) = (one.name for one in session.get_inputs())
    return lambda: session.run(None, {name: image})


def _medians(calls: dict[str, Call], rounds: int) -> dict[str, float]:
    """Time all calls in turn, after one that warms them up."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            start_s = time.process_time()
            call()
            used_s = time.process_time() - start_s
            if number:
                seconds[name].append(used_s / torch.get_num_threads())
    return {name: statistics.median(values) for name, values in seconds.items()}


def _rates(seconds: dict[str, float]) -> dict[str, Any]:
    """Turn seconds into rates, fractions of the peak and of the roofline."""
    bytes_per_s = 2 * 4 * COPY_FLOATS / seconds["copy"]
    peak = {t: 2 * MATRIX**3 / seconds[f"gemm {t}"] for t in ("float32", "bfloat16")}
    table = {}
    config = read_config()
    names = {"localizer": config.localize.weights, "segmenter": config.segment.weights}
    for name, value in seconds.items():
        role, _, rest = name.partition(" ")
        if role not in names:
            continue
        kind = "bfloat16" if rest.endswith("bfloat16") else "float32"
        flops, bound_s = _roofline(role, names[role], peak[kind], bytes_per_s)
        table[name] = {
            "gflop": round(flops / 1e9, 2),
            "fraction_of_gemm": round(flops / value / peak[kind], 3),
            "roofline_s": round(bound_s, 4),
            "fraction_of_roofline": round(bound_s / value, 3),
        }
    return {
        "gemm_gflops": {t: round(rate / 1e9, 1) for t, rate in peak.items()},
        "copy_gb_per_s": round(bytes_per_s / 1e9, 1),
        "networks": table,
    }


def _roofline(
    role: str, weights: str, flops_per_s: float, bytes_per_s: float
) -> tuple[float, float]:
    """Count arithmetic, and the seconds that arithmetic and memory take at least.

    Layers read their input and write their output once, in float32; each convolution
    is followed by a normalization and an activation that read and write once more.
    """
    network = load_weights(weights, CPU)
    least_s = 0.0

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...], out: Any) -> None:
        nonlocal least_s
        moved = 4 * (inputs[0].numel() + out.numel())
        flops = 0.0
        if isinstance(module, nn.Conv3d):
            kernel = module.weight.numel() / module.out_channels
            flops = 2.0 * out.numel() * kernel
            moved += 4 * 2 * out.numel()
        least_s += max(flops / flops_per_s, moved / bytes_per_s)

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.GroupNorm):
            module.register_forward_hook(note)
    inputs = [torch.from_numpy(one) for one in INPUTS[role]]
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(*inputs)
    return float(counter.get_total_flops()), least_s


def _inputs() -> dict[str, tuple[np.ndarray, ...]]:
    """Make inputs of the sizes of an ordinary study."""
    rng = np.random.default_rng(0)
    localizer = rng.random((1, 2, *CROP_SHAPE)).astype(np.float32)
    stacks = rng.random((JOINTS, STACKS, 3, *GRID_SHAPE)).astype(np.float32)
    contrast = np.tile(np.arange(STACKS), (JOINTS, 1))
    present = np.ones((JOINTS, STACKS), bool)
    return {"localizer": (localizer,), "segmenter": (stacks, contrast, present)}


_HALF = torch.bfloat16
INPUTS = _inputs()

if __name__ == "__main__":
    main()
