from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from facetgrade.anatomy import Lesion, Structure
from facetgrade.config import read_settings, shipped_path
from facetgrade.train.mask_size import match_mask_size
from facetgrade.train.segmenter import SegmenterTask
from facetgrade.train.settings import TrainSettings

SHAPE = (8, 30, 30)
STRUCTURES, LESIONS = len(Structure), len(Lesion)


class Marker(nn.Module):
    """Marks where the first stack is bright, the more the higher its bias is."""

    def __init__(self, bias: float) -> None:
        super().__init__()
        self.head = nn.Linear(1, STRUCTURES + LESIONS)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, stacks, *_):
        logits = stacks[:, 0, :1].expand(-1, STRUCTURES + LESIONS, -1, -1, -1)
        return logits + self.head.bias[:, None, None, None]

    def marked(self, item) -> list[int]:
        logits = self(item["stacks"][None])[0, STRUCTURES:]
        return [int((one > 0).sum()) for one in logits]


@pytest.fixture
def item():
    torch.manual_seed(3)
    brightness = torch.randn(SHAPE)
    lesions = torch.zeros(LESIONS, *SHAPE)
    lesions[0] = brightness > 0.25  # about 40 % of 7200 voxels
    lesions[1, 0] = 1.0  # 900, too few to tell
    return {
        "stacks": brightness[None, None],
        "contrast": torch.zeros(1),
        "present": torch.ones(1, dtype=torch.bool),
        "lesions": lesions,
        "valid": torch.ones(LESIONS, *SHAPE, dtype=torch.bool),
    }


def test_masks_become_as_large_as_the_truth(item):
    network = Marker(1.0)
    before = network.marked(item)

    match_mask_size(network, [item])

    true = int(item["lesions"][0].sum())
    assert before[0] > 1.5 * true
    assert network.marked(item) == [true, *before[1:]]


def test_masks_become_as_large_as_those_of_another_network(item):
    network, start = Marker(1.0), Marker(-0.4)

    match_mask_size(network, [item], start)

    assert network.marked(item) == start.marked(item)
    assert (network.head.bias[:STRUCTURES] == 1.0).all()


@pytest.mark.parametrize("like_start", [True, False])
def test_a_run_follows_its_start_on_simulated_patients_alone(item, like_start):
    network, start = Marker(1.0), Marker(-0.4)
    task = SimpleNamespace(
        _like_start=like_start,
        _annotated=[item | {"lesions": torch.ones(LESIONS, *SHAPE)}],
        _validation=[item],
    )

    SegmenterTask.finish(task, network, start.state_dict())

    everywhere = item["stacks"].numel() - 1  # the shift leaves the last voxel at 0.5
    expected = start.marked(item) if like_start else [everywhere] * LESIONS
    assert network.marked(item) == expected


def test_without_items_nothing_changes():
    network = Marker(1.0)
    match_mask_size(network, [])
    assert (network.head.bias == 1.0).all()


@pytest.mark.parametrize(
    ("section", "change"),
    [
        ("run", {"start": "", "blend": 1.0}),
        ("run", {"architecture": "spine-localizer"}),
        ("cases", {"validation": {}}),
        ("cases", {"validation": {"parametric": 0}}),
    ],
)
def test_the_size_of_the_start_needs_a_segmenter_a_start_and_patients(section, change):
    path = shipped_path("configs/retrain_segmenter.toml")
    values = read_settings(path, TrainSettings).model_dump()
    assert values["run"]["mask_size"] == "start"
    values[section] |= change

    with pytest.raises(ValidationError, match=r"run\.mask_size"):
        TrainSettings.model_validate(values)
