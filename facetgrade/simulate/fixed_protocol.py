"""One protocol out of the ranges, for repeat scans that differ in position only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facetgrade.simulate.settings import ProtocolRanges, SimulateSettings
from facetgrade.simulate.streams import side_stream

_RANGES = (
    "tr_ms",
    "te_ms",
    "echo_train_length",
    "slice_thickness_mm",
    "gap_mm",
    "fov_mm",
)


def one_protocol(
    config: SimulateSettings, rng: np.random.Generator
) -> SimulateSettings:
    """Draw one protocol from the ranges, so that two scans share it.

    Position, slice placement, noise and artifacts stay free.
    """
    aside = side_stream(rng)
    protocols = {
        name: _one_of(ranges, aside if ranges.aside or ranges.instead else rng)
        for name, ranges in config.protocols.items()
    }
    study = config.study
    fixed = study.model_copy(
        update={
            "sometimes": {
                name: float(
                    (aside if config.protocols[name].aside else rng).random() < share
                )
                for name, share in study.sometimes.items()
            },
            "blocks_probability": float(rng.random() < study.blocks_probability),
        }
    )
    scanner = config.scanner.model_copy(
        update={"field_t": (_one(config.scanner.field_t, rng),)}
    )
    return config.model_copy(
        update={"protocols": protocols, "study": fixed, "scanner": scanner}
    )


def _one_of(ranges: ProtocolRanges, rng: np.random.Generator) -> ProtocolRanges:
    """Draw one protocol from its ranges."""
    fixed: dict[str, Any] = {
        "fat_suppression": (_one(ranges.fat_suppression, rng),),
        "matrix": (_one(ranges.matrix, rng),),
        "slices": (int(rng.integers(ranges.slices[0], ranges.slices[1] + 1)),) * 2,
    }
    for key in _RANGES:
        fixed[key] = (float(rng.uniform(*getattr(ranges, key))),) * 2
    if ranges.instead is not None:
        fixed["instead_share"] = float(rng.random() < ranges.instead_share)
    if ranges.csf_null_share is not None:
        fixed["csf_null_share"] = (float(rng.uniform(*ranges.csf_null_share)),) * 2
    return ranges.model_copy(update=fixed)


def _one(choices: Sequence[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]
