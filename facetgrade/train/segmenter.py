"""The training task of the segmenter: structures and lesions of single joints."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, default_collate

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.grade.settings import GradeSettings
from facetgrade.networks import build
from facetgrade.simulate.anatomy import build_scene
from facetgrade.simulate.pathology import add_pathology, draw_grades
from facetgrade.train.annotated import prepare_annotated, read_annotated
from facetgrade.train.cases import (
    PlannedCase,
    case_rng,
    prepare_cases,
    read_anatomy_settings,
    read_pathology_settings,
    read_scanner_settings,
)
from facetgrade.train.joint_views import write_joint
from facetgrade.train.losses import class_loss, lesion_loss, partial_class_loss
from facetgrade.train.manifest import read_manifest
from facetgrade.train.mask_size import STRUCTURES, match_mask_size
from facetgrade.train.mixed_cases import (
    AnnotatedDataset,
    MixedDataset,
    draw_annotated,
    only_reader,
)
from facetgrade.train.processes import device_of, prepare_alone, to_device
from facetgrade.train.segmenter_cases import SegmenterDataset, acquire_joint
from facetgrade.train.settings import CaseSettings, DataSettings, TrainSettings
from facetgrade.train.splits import lock_splits
from facetgrade.train.weak_loss import grade_loss

BODY_SPACING_MM, COLUMN_SPACING_MM = 2.0, 0.6
VALIDATION_ITEMS = 48


class SegmenterTask:
    """Network, joints, loss and validation of the segmenter."""

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        cases = prepare_alone(
            lambda: prepare_cases(
                settings.cases,
                folder / "cases",
                make_segmenter_case,
                processes=settings.run.threads,
            )
        )
        torch.manual_seed(settings.run.seed)
        self.network: nn.Module = build(settings.run.architecture, **settings.network)
        simulated = SegmenterDataset(
            cases["sources"], settings.run.seed, settings.render
        )
        self.dataset: Dataset[dict[str, Tensor]] = simulated
        self._validation: list[dict[str, Tensor]] = []
        if cases["validation"]:
            held_out = SegmenterDataset(cases["validation"], settings.run.seed + 1)
            self._validation = [held_out[index] for index in range(VALIDATION_ITEMS)]
        self._weak_weight = 0.0
        self._like_start = settings.run.mask_size == "start"
        self._annotated: list[dict[str, Tensor]] = []
        if settings.data is not None:
            views = prepare_alone(
                lambda: read_annotated_cases(settings.data, settings, folder)
            )
            own = AnnotatedDataset(
                views["train"],
                settings.run.seed,
                cache_share_mb(settings),
                settings.render,
            )
            share = settings.data.share if cases["sources"] else 1.0
            self.dataset = MixedDataset(simulated, own, share)
            self._weak_weight = settings.data.weak_weight
            self._annotated = validation_items(views["validation"], settings.run.seed)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Return structure loss plus lesion loss of one batch, and the grades' loss."""
        logits = self.network(batch["stacks"], batch["contrast"], batch["present"])
        logits = logits.float()
        structures, lesions = logits[:, :STRUCTURES], logits[:, STRUCTURES:]
        lesion_part = lesion_loss(lesions, batch["lesions"], batch["valid"])
        if "known" not in batch:
            outlined = class_loss(structures, batch["structures"], batch["reached"])
            return outlined + lesion_part
        outlined = partial_class_loss(
            structures, batch["structures"], batch["reached"], batch["known"]
        )
        weak = grade_loss(logits, batch["grade"], batch["seen"])
        return outlined + lesion_part + self._weak_weight * weak

    def validate(self, network: nn.Module) -> Mapping[str, float]:
        """Return Dice of structures and lesions on held-out patients.

        With annotated validation cases the score is theirs; what the simulated ones
        say stands beside it.
        """
        network.eval()
        simulated = dice_metrics(network, self._validation) if self._validation else {}
        if not self._annotated:
            return simulated or {"score": 0.0}
        own = annotated_metrics(network, self._annotated)
        named = {f"simulated_{key}": value for key, value in simulated.items()}
        return {**own, **named}

    def finish(
        self, network: nn.Module, before: Mapping[str, Tensor] | None = None
    ) -> None:
        """Shift each lesion's logit so that masks are as large as they should be.

        As large as the truth of the validation cases, own ones where there are any. Or,
        where the run says so, as large as with the weights that it started from:
        thresholds and correction of the pipeline were fitted to these, on simulated
        patients. Size is what passes 0.5.
        """
        like = None
        if self._like_start and before is not None:
            like = copy.deepcopy(network)
            like.load_state_dict(before)
        own = [item for item in self._annotated if bool(item["valid"].any())]
        simulated = like is not None or not own
        match_mask_size(network, self._validation if simulated else own, like)


def dice_metrics(
    network: nn.Module, items: list[dict[str, Tensor]]
) -> dict[str, float]:
    """Return the score, and Dice of structures and lesions."""
    overlap = np.zeros(STRUCTURES + len(Lesion))
    size = np.zeros_like(overlap)
    for start in range(0, len(items), 4):
        batch = default_collate(items[start : start + 4])
        batch = to_device(batch, device_of(network))
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


def annotated_metrics(
    network: nn.Module, items: list[dict[str, Tensor]]
) -> dict[str, float]:
    """Return Dice on outlined cases and minus the loss of the grades on the others."""
    outlined = [item for item in items if int(item["grade"]) < 0]
    graded = [item for item in items if int(item["grade"]) >= 0]
    metrics = dice_metrics(network, outlined) if outlined else {"score": 0.0}
    losses = []
    for item in graded:
        batch = to_device(default_collate([item]), device_of(network))
        with torch.inference_mode():
            logits = network(batch["stacks"], batch["contrast"], batch["present"])
        loss = grade_loss(logits.float(), batch["grade"], batch["seen"])
        losses.append(float(loss))
    if losses:
        metrics["grade_loss"] = float(np.mean(losses))
        metrics["score"] -= metrics["grade_loss"]
    return metrics


def validation_items(views: list[Path], seed: int) -> list[dict[str, Tensor]]:
    """Draw the first view of every joint once for each of its readers."""
    first = [path for path in views if path.stem.endswith("-view0")]
    items = []
    for number, path in enumerate(first):
        view = read_annotated(path)
        for reader in range(len(view.grades)):
            rng = np.random.default_rng([seed, number, reader])
            items.append(draw_annotated(only_reader(view, reader), rng))
    return items


def read_annotated_cases(
    data: DataSettings | None, settings: TrainSettings, folder: Path
) -> dict[str, list[Path]]:
    """Lock the splits of the manifest and cut out its joints.

    Raises
    ------
    ConfigError
        If no case is left to train on.
    FacetGradeError
        If a case cannot be used.
    """
    if data is None:
        raise ValueError("settings must have a section data")
    manifest = read_manifest(data.manifest)
    splits = lock_splits(manifest, data)
    views = prepare_annotated(
        manifest,
        splits,
        folder / "annotated",
        views=data.views_per_joint,
        seed=settings.run.seed,
    )
    if not views["train"]:
        raise ConfigError(f"{data.manifest}: no case is in the split train")
    return views


def cache_share_mb(settings: TrainSettings) -> float:
    """Return the memory of each worker's cache."""
    budget_mb = settings.data.cache_mb if settings.data else 0.0
    return budget_mb / max(1, settings.run.workers)


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
            write_joint(
                acquire_joint(
                    scene, joint, scanner, rng, tissue_spread=settings.tissue_spread
                ),
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
