"""The shipped networks and recipes, made small and short, run twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facetgrade.config import read_settings, shipped_path
from facetgrade.geometry import VolumeGeometry
from facetgrade.localize.canonical import AXES
from facetgrade.segment.patches import GRID_SHAPE, contrast_index
from facetgrade.simulate.scene import Tissue
from facetgrade.study import Sequence
from facetgrade.train import localizer
from facetgrade.train.checkpoint import TrainState
from facetgrade.train.joint_views import ScannedJoint, write_joint
from facetgrade.train.localizer import LocalizerTask
from facetgrade.train.localizer_cases import LocalizerCase, write_case
from facetgrade.train.loop import run
from facetgrade.train.segmenter import SegmenterTask
from facetgrade.train.settings import TrainSettings

SEEN = (Sequence.T2, Sequence.T2_FS, Sequence.T1_FS_POST)


def recipe(
    name: str, network: dict[str, Any], seed: int, **counts: int
) -> TrainSettings:
    """Return a shipped recipe with a small network, few steps and one patient."""
    shipped = read_settings(shipped_path(f"configs/{name}"), TrainSettings).model_dump()
    shipped["run"] |= {"seed": seed, "steps": 2, "start": "", "threads": 1}
    shipped["run"] |= {"workers": 0, "checkpoint_every": 2, "validate_every": 2}
    shipped["network"] = network
    shipped["optimizer"]["batch"] = 1
    shipped["cases"] |= {"sources": {"parametric": 1}, "validation": counts}
    return TrainSettings.model_validate(shipped)


def finished_patient(folder: Path, split: str) -> Path:
    """Return the folder of the first patient of a split, marked as made."""
    patient = folder / "cases" / split / "00000"
    patient.mkdir(parents=True)
    (patient / "done").touch()
    return patient


def write_noise(patient: Path) -> None:
    """Write noise with a structure and lesions, on the grid of the segmenter."""
    rng = np.random.default_rng(5)
    structures = np.zeros(GRID_SHAPE, np.uint8)
    structures[10:20, 20:40, 20:40] = rng.integers(1, 13, (10, 20, 20))
    joint = ScannedJoint(
        stacks=rng.random((len(SEEN), 3, *GRID_SHAPE)).astype(np.float16),
        contrasts=np.array([contrast_index(one) for one in SEEN], np.uint8),
        pose=np.zeros(len(SEEN), np.uint8),
        structures=structures[None],
        lesions=rng.integers(0, 256, (1, 4, *GRID_SHAPE)).astype(np.uint8),
    )
    write_joint(joint, patient / "joint0-view0.npz")


def write_spine(patient: Path) -> None:
    """Write a column of fat in air with two bodies and two facet joints."""
    geometry = VolumeGeometry.centered(
        center_lps_mm=[0.0, 20.0, -40.0],
        axes=AXES,
        spacing_mm=[4.0, 4.0, 4.0],
        shape=(30, 65, 45),
    )
    tissue = np.full(geometry.shape, Tissue.AIR, np.uint8)
    tissue[10:20, 10:50, 15:35] = Tissue.SUBCUTANEOUS_FAT
    rank = np.zeros(geometry.shape, np.uint8)
    rank[12:18, 20:28, 20:30] = 3
    bodies = np.array([[0.0, 0.0, -40.0], [0.0, 0.0, -75.0]])
    facets = np.array([[24.0, 40.0, -60.0]]), np.array([[-24.0, 40.0, -60.0]])
    case = LocalizerCase(
        geometry=geometry, tissue=tissue, rank=rank, points=(bodies, *facets)
    )
    write_case(case, patient / "case.npz")


def weights(state: TrainState) -> torch.Tensor:
    """Return all weights of a run in one row."""
    return torch.cat([p.flatten() for p in state.averaged().parameters()]).detach()


def trained_segmenter(folder: Path, seed: int) -> torch.Tensor:
    write_noise(finished_patient(folder, "sources"))
    chosen = recipe("train_segmenter.toml", {"channels": [4, 8, 8, 8]}, seed)
    return weights(run(SegmenterTask(chosen, folder), chosen, folder))


def trained_localizer(folder: Path, seed: int) -> torch.Tensor:
    for split in ("sources", "validation"):
        write_spine(finished_patient(folder, split))
    sizes = {"channels": [8, 8, 8], "ranks": 11}
    chosen = recipe("train_localizer.toml", sizes, seed, parametric=1)
    return weights(run(LocalizerTask(chosen, folder), chosen, folder))


@pytest.mark.parametrize("trained", [trained_segmenter, trained_localizer])
def test_the_same_seed_gives_the_same_weights(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(localizer, "VALIDATION_PICTURES", 1)

    first = trained(tmp_path / "first", 7)
    second = trained(tmp_path / "second", 7)
    other = trained(tmp_path / "other", 8)

    assert torch.isfinite(first).all()
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
