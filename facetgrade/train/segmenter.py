"""The training task of the segmenter: structures and lesions of single joints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_settings, shipped_path
from facetgrade.grade.settings import GradeSettings
from facetgrade.networks import build
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.pathology import add_pathology, draw_grades
from facetgrade.train.cases import (
    PlannedCase,
    case_rng,
    prepare_cases,
    read_anatomy_settings,
    read_pathology_settings,
    read_scanner_settings,
)
from facetgrade.train.losses import class_loss, lesion_loss
from facetgrade.train.segmenter_cases import SegmenterDataset, acquire_view, write_view
from facetgrade.train.settings import CaseSettings, TrainSettings

BODY_SPACING_MM, COLUMN_SPACING_MM = 2.0, 0.6
VALIDATION_ITEMS = 48
ENOUGH_VOXELS = 2000
STRUCTURES = len(Structure)


class SegmenterTask:
    """Network, joints, loss and validation of the segmenter."""

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        cases = prepare_cases(
            settings.cases,
            folder / "cases",
            make_segmenter_case,
            processes=settings.run.threads,
        )
        torch.manual_seed(settings.run.seed)
        self.network: nn.Module = build(settings.run.architecture, **settings.network)
        self.dataset: Dataset[dict[str, Tensor]] = SegmenterDataset(
            cases["sources"], settings.run.seed
        )
        held_out = SegmenterDataset(cases["validation"], settings.run.seed + 1)
        self._validation = [held_out[index] for index in range(VALIDATION_ITEMS)]

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return structure loss plus lesion loss of one batch."""
        logits = self.network(batch["stacks"], batch["contrast"], batch["present"])
        logits = logits.float()
        return class_loss(
            logits[:, :STRUCTURES], batch["structures"], batch["reached"]
        ) + lesion_loss(logits[:, STRUCTURES:], batch["lesions"], batch["valid"])

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return Dice of structures and lesions on held-out patients."""
        network.eval()
        overlap = np.zeros(STRUCTURES + len(Lesion))
        size = np.zeros_like(overlap)
        for start in range(0, len(self._validation), 4):
            batch = default_collate(self._validation[start : start + 4])
            with torch.inference_mode():
                logits = network(batch["stacks"], batch["contrast"], batch["present"])
            _count(logits.float(), batch, overlap, size)
        dice = 2 * overlap / np.maximum(size, 1)
        lesions = dict(zip(Lesion, dice[STRUCTURES:], strict=True))
        named = {
            "structures": float(dice[1:STRUCTURES].mean()),
            "joint_space": float(dice[Structure.JOINT_SPACE]),
            **{lesion.value: float(value) for lesion, value in lesions.items()},
        }
        edema = lesions[Lesion.SOFT_TISSUE_EDEMA] + lesions[Lesion.EFFUSION]
        return {"score": named["structures"] + float(edema), **named}

    def finish(self, network: nn.Module) -> None:
        """Shift each lesion's logit so that masks are as large as the truth.

        Dice makes uncertain lesions too large; on the validation patients as many
        voxels pass 0.5 after the shift as truly are abnormal.
        """
        network.eval()
        logits: list[list[Tensor]] = [[] for _ in Lesion]
        abnormal = np.zeros(len(Lesion))
        for item in self._validation:
            batch = default_collate([item])
            with torch.inference_mode():
                answer = network(batch["stacks"], batch["contrast"], batch["present"])
            for k in range(len(Lesion)):
                valid = batch["valid"][0, k]
                logits[k].append(answer[0, STRUCTURES + k][valid])
                abnormal[k] += int((batch["lesions"][0, k][valid] >= 0.5).sum())
        bias = network.get_parameter("head.bias")
        with torch.no_grad():
            for k, parts in enumerate(logits):
                if abnormal[k] >= ENOUGH_VOXELS:
                    bias[STRUCTURES + k] -= _threshold(torch.cat(parts), abnormal[k])


def _threshold(logits: Tensor, count: float) -> Tensor:
    """Return the logit that a number of voxels pass."""
    return logits.sort(descending=True).values[int(count)]


def make_segmenter_case(settings: CaseSettings, case: PlannedCase) -> None:
    """Simulate one patient with synovitis and write views of some of its joints."""
    rng = case_rng(case)
    anatomy = read_anatomy_settings(
        settings,
        body_spacing_mm=BODY_SPACING_MM,
        column_spacing_mm=COLUMN_SPACING_MM,
    )
    # The segmenter learns masks, not grades: what is painted first is good enough.
    pathology = read_pathology_settings(settings).model_copy(update={"attempts": 1})
    scanner = read_scanner_settings(settings)
    scene = build_scene(anatomy, case.source, rng, data_folder=settings.data_folder)
    joints = sorted(scene.joints)
    chosen = sorted(
        joints[i] for i in rng.permutation(len(joints))[: settings.joints_per_scene]
    )
    grades = draw_grades(rng, chosen, pathology)
    rules = read_settings(shipped_path("configs/grade.toml"), GradeSettings)
    scene = add_pathology(scene, grades, rng, pathology, rules)
    for number, joint in enumerate(chosen):
        for view in range(settings.views_per_joint):
            write_view(
                acquire_view(scene, joint, scanner, rng),
                case.folder / f"joint{number}-view{view}.npz",
            )


def _count(
    logits: Tensor,
    batch: Mapping[str, Tensor],
    overlap: np.ndarray,
    size: np.ndarray,
) -> None:
    """Add the overlap and size of every class to the running sums."""
    labels = logits[:, :STRUCTURES].argmax(1)
    for k in range(STRUCTURES):
        found = (labels == k) & batch["reached"]
        true = (batch["structures"] == k) & batch["reached"]
        overlap[k] += float((found & true).sum())
        size[k] += float(found.sum() + true.sum())
    for k in range(len(Lesion)):
        valid = batch["valid"][:, k]
        found = (logits[:, STRUCTURES + k] > 0) & valid
        true = (batch["lesions"][:, k] >= 0.5) & valid
        overlap[STRUCTURES + k] += float((found & true).sum())
        size[STRUCTURES + k] += float(found.sum() + true.sum())
