import pytest
import torch
from pydantic import ValidationError
from torch import nn

from facetgrade.config import read_settings, shipped_path
from facetgrade.train.blend import blend_weights
from facetgrade.train.settings import TrainSettings


def network(weight: float) -> nn.Module:
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for value in made.parameters():
            value.fill_(weight)
    return made


@pytest.mark.parametrize(("share", "expected"), [(0.25, 2.0), (0.5, 3.0), (1.0, 5.0)])
def test_a_share_of_the_way_is_taken(share, expected):
    trained = network(5.0)
    trained[1].num_batches_tracked.fill_(7)

    blend_weights(trained, network(1.0).state_dict(), share)

    assert all((value == expected).all() for value in trained.parameters())
    assert int(trained[1].num_batches_tracked) == 7


def test_blending_needs_weights_to_start_from():
    values = read_settings(
        shipped_path("configs/retrain_segmenter.toml"), TrainSettings
    ).model_dump()
    assert values["run"]["blend"] < 1.0
    values["run"]["start"] = ""

    with pytest.raises(ValidationError, match=r"run\.blend"):
        TrainSettings.model_validate(values)
