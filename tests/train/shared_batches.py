"""Train a tiny segmenter on drawn joints; torchrun starts it in several processes.

Usage: shared_batches.py OUT BATCH STEPS [ACCUMULATE]
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from facetgrade.config import read_settings, shipped_path
from facetgrade.networks import JointSegmenter
from facetgrade.train.loop import run
from facetgrade.train.losses import lesion_loss, partial_class_loss
from facetgrade.train.processes import process_group, rank
from facetgrade.train.settings import TrainSettings
from facetgrade.train.weak_loss import grade_loss

SHAPE = (10, 16, 16)


class Joints(Dataset):
    """Noise with labels; every third joint has a grade only."""

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int):
        rng = torch.Generator().manual_seed(index)
        weak = index % 3 == 0
        known = torch.ones(13, dtype=torch.bool)
        known[3 + index % 5 :] = index % 2 == 0
        seen = torch.ones((4, *SHAPE), dtype=torch.bool)
        return {
            "stacks": torch.randn((2, 3, *SHAPE), generator=rng),
            "contrast": torch.tensor([1, 2]),
            "present": torch.ones(2, dtype=torch.bool),
            "structures": torch.randint(0, 3, SHAPE, generator=rng),
            "lesions": (torch.rand((4, *SHAPE), generator=rng) > 0.9).float(),
            "reached": torch.rand(SHAPE, generator=rng) > 0.1 * index % 1,
            "valid": seen & torch.tensor(not weak),
            "seen": seen,
            "known": known,
            "grade": torch.tensor(index % 5 if weak else -1),
        }


class JointTask:
    """The segmenter's losses on a network that is small enough for a test."""

    def __init__(self, killed_at: int = 0) -> None:
        torch.manual_seed(0)
        self.killed_at = killed_at
        self.network: nn.Module = JointSegmenter(channels=(8, 8, 8))
        self.dataset = Joints()
        self.losses: list[float] = []

    def loss(self, batch):
        logits = self.network(batch["stacks"], batch["contrast"], batch["present"])
        logits = logits.float()
        total = (
            partial_class_loss(
                logits[:, :13], batch["structures"], batch["reached"], batch["known"]
            )
            + lesion_loss(logits[:, 13:], batch["lesions"], batch["valid"])
            + grade_loss(logits, batch["grade"], batch["seen"])
        )
        self.losses.append(float(total.detach()))
        if len(self.losses) == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return total

    def validate(self, network):
        del network
        return {"score": 0.0}

    def finish(self, network, before=None) -> None:
        pass


def settings(batch: int, steps: int, accumulate: int = 1) -> TrainSettings:
    """Return settings of a short run in float32."""
    shipped = read_settings(
        shipped_path("configs/train_segmenter.toml"), TrainSettings
    ).model_dump()
    shipped["run"] |= {
        "steps": steps,
        "threads": 1,
        "workers": 0,
        "checkpoint_every": 3,
        "validate_every": 4,
    }
    shipped["optimizer"] |= {
        "batch": batch,
        "bfloat16": False,
        "warmup_steps": 2,
        "accumulate": accumulate,
    }
    return TrainSettings.model_validate(shipped)


def train(out: Path, chosen: TrainSettings, killed_at: int = 0) -> list[float]:
    """Run, keep the curve of the first process in OUT/losses.pt, and return it."""
    with process_group("cpu") as device:
        task = JointTask(killed_at)
        state = run(task, chosen, out, device)
        is_first = rank() == 0
    if is_first:
        weights = torch.cat([p.flatten() for p in state.averaged().parameters()])
        torch.save({"losses": task.losses, "weights": weights.detach()}, out / "end.pt")
    return task.losses


if __name__ == "__main__":
    train(Path(sys.argv[1]), settings(*(int(text) for text in sys.argv[2:])))
