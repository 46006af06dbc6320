"""One protocol out of the ranges, for repeat scans that differ in position only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from facetgrade.simulate.settings import SimulateSettings


def one_protocol(
    config: SimulateSettings, rng: np.random.Generator
) -> SimulateSettings:
    """Draw one protocol from the ranges, so that two scans share it.

    Position, slice placement, noise and artifacts stay free.
    """
    protocols = {
        name: ranges.model_copy(
            update={
                "fat_suppression": (_one(ranges.fat_suppression, rng),),
                "matrix": (_one(ranges.matrix, rng),),
                "slices": (int(rng.integers(ranges.slices[0], ranges.slices[1] + 1)),)
                * 2,
                **{
                    key: (float(rng.uniform(*getattr(ranges, key))),) * 2
                    for key in (
                        "tr_ms",
                        "te_ms",
                        "echo_train_length",
                        "slice_thickness_mm",
                        "gap_mm",
                        "fov_mm",
                    )
                },
            }
        )
        for name, ranges in config.protocols.items()
    }
    study = config.study
    fixed = study.model_copy(
        update={
            "sometimes": {
                name: float(rng.random() < share)
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


def _one(choices: Sequence[Any], rng: np.random.Generator) -> Any:
    return choices[int(rng.integers(len(choices)))]
