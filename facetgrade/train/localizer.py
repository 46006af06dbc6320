"""The training task of the localizer: heatmaps and rank votes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from facetgrade.networks import SpineLocalizer, build
from facetgrade.simulate.anatomy import build_scene
from facetgrade.train.cases import (
    PlannedCase,
    case_rng,
    prepare_cases,
    read_anatomy_settings,
    read_scanner_settings,
)
from facetgrade.train.localizer_cases import make_case, write_case
from facetgrade.train.localizer_pictures import LocalizerDataset
from facetgrade.train.losses import class_loss, heatmap_loss
from facetgrade.train.processes import device_of, prepare_alone, to_device
from facetgrade.train.settings import CaseSettings, TrainSettings

BODY_SPACING_MM, COLUMN_SPACING_MM = 2.0, 1.0
VALIDATION_PICTURES = 24
NEAR_VOXELS = 2.5


class LocalizerTask:
    """Network, pictures, loss and validation of the localizer."""

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        cases = prepare_alone(
            lambda: prepare_cases(
                settings.cases,
                folder / "cases",
                make_localizer_case,
                processes=settings.run.threads,
            )
        )
        scanner = read_scanner_settings(settings.cases)
        torch.manual_seed(settings.run.seed)
        self.network: nn.Module = build(settings.run.architecture, **settings.network)
        self.dataset: Dataset[dict[str, Tensor]] = LocalizerDataset(
            cases["sources"], settings.render, scanner, settings.run.seed
        )
        held_out = LocalizerDataset(
            cases["validation"], settings.render, scanner, settings.run.seed + 1
        )
        self._validation = [held_out[index] for index in range(VALIDATION_PICTURES)]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return heatmap loss plus rank loss of one batch."""
        logits = self.network(batch["image"]).float()
        split = SpineLocalizer.heatmaps
        seen = batch["seen"]
        return 10.0 * heatmap_loss(
            logits[:, :split],
            batch["heatmaps"],
            seen[:, None].expand_as(batch["heatmaps"]),
        ) + 0.5 * class_loss(logits[:, split:], batch["rank"], seen)

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return recall of points and accuracy of rank votes on held-out patients."""
        network.eval()
        found: list[float] = []
        ranked: list[float] = []
        for start in range(0, len(self._validation), 4):
            batch = default_collate(self._validation[start : start + 4])
            batch = to_device(batch, device_of(network))
            with torch.inference_mode():
                logits = network(batch["image"]).float().cpu()
            batch = to_device(batch, logits.device)
            for item in range(len(logits)):
                one = {key: value[item] for key, value in batch.items()}
                found += _points_found(logits[item], one)
                ranked += _ranks_right(logits[item], one)
        recall, ranks = float(np.mean(found)), float(np.mean(ranked))
        return {"score": recall * ranks, "recall": recall, "ranks": ranks}

    def finish(
        self, network: nn.Module, before: Mapping[str, Tensor] | None = None
    ) -> None:
        """Leave the weights as they are."""


def make_localizer_case(settings: CaseSettings, case: PlannedCase) -> None:
    """Simulate one patient and write what the localizer learns from."""
    anatomy = read_anatomy_settings(
        settings,
        body_spacing_mm=BODY_SPACING_MM,
        column_spacing_mm=COLUMN_SPACING_MM,
    )
    scene = build_scene(
        anatomy, case.source, case_rng(case), data_folder=settings.data_folder
    )
    write_case(make_case(scene), case.folder / "case.npz")


def _points_found(logits: Tensor, case: Mapping[str, Tensor]) -> list[float]:
    """Tell for each true point in view whether the heatmap peaks near it."""
    found = []
    for kind in range(SpineLocalizer.heatmaps):
        truth = case["heatmaps"][kind] * case["seen"]
        heat = logits[kind].sigmoid() * case["seen"]
        pooled = nn.functional.max_pool3d(truth[None], 3, 1, 1)[0]
        for index in ((truth == pooled) & (truth > 0.8)).nonzero():
            low = (index - 3).clamp(min=0)
            block = heat[
                tuple(
                    slice(int(a), int(b) + 4) for a, b in zip(low, index, strict=True)
                )
            ]
            peak = (
                torch.tensor(np.unravel_index(int(block.argmax()), block.shape)) + low
            )
            near = (peak - index).float().norm() <= NEAR_VOXELS
            found.append(float(near and float(block.max()) > 0.3))
    return found


def _ranks_right(logits: Tensor, case: Mapping[str, Tensor]) -> list[float]:
    """Tell for each body in view whether the vote at its center is right."""
    votes = logits[SpineLocalizer.heatmaps + 1 :].argmax(0) + 1
    rank, seen = case["rank"], case["seen"]
    right = []
    for value in set(rank.flatten().tolist()):
        inside = (rank == value) & seen
        if value and int(inside.sum()) > 40:
            right.append(float((votes[inside] == value).float().mean() > 0.5))
    return right
