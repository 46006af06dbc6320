from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.utils.data import Dataset

from facetgrade.config import read_settings, shipped_path
from facetgrade.errors import ConfigError
from facetgrade.train.loop import learning_rate_factor, run
from facetgrade.train.settings import TrainSettings


class Line(Dataset):
    """Points of y = 2 x, drawn from their index."""

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int):
        x = torch.rand(4, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": 2 * x}


class LineTask:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network: nn.Module = nn.Linear(4, 4)
        self.dataset = Line()

    def loss(self, batch):
        return (self.network(batch["x"]) - batch["y"]).square().mean()

    def validate(self, network):
        with torch.inference_mode():
            case = self.dataset[999]
            error = (network(case["x"][None]) - case["y"]).abs().mean()
        return {"score": -float(error)}


def settings(steps: int, minutes: float = 0.0) -> TrainSettings:
    shipped = read_settings(
        shipped_path("configs/train_localizer.toml"), TrainSettings
    ).model_dump()
    shipped["run"] |= {
        "steps": steps,
        "minutes": minutes,
        "threads": 1,
        "workers": 0,
        "checkpoint_every": 5,
        "validate_every": 10,
    }
    shipped["optimizer"] |= {"bfloat16": False, "warmup_steps": 2}
    return TrainSettings.model_validate(shipped)


def weights(state) -> torch.Tensor:
    return torch.cat([p.flatten() for p in state.averaged().parameters()]).detach()


def test_a_run_that_was_stopped_ends_with_the_weights_of_one_that_was_not(tmp_path):
    whole = run(LineTask(), settings(20), tmp_path / "whole")

    class StoppedError(Exception):
        pass

    class StoppingTask(LineTask):
        calls = 0

        def loss(self, batch):
            self.calls += 1
            if self.calls > 13:
                raise StoppedError
            return super().loss(batch)

    with pytest.raises(StoppedError):
        run(StoppingTask(), settings(20), tmp_path / "parts")
    resumed = run(LineTask(), settings(20), tmp_path / "parts")

    assert torch.equal(weights(whole), weights(resumed))


def test_equal_seeds_give_equal_weights(tmp_path):
    first = run(LineTask(), settings(10), tmp_path / "first")
    second = run(LineTask(), settings(10), tmp_path / "second")

    assert torch.equal(weights(first), weights(second))


def test_a_time_budget_becomes_a_number_of_steps(tmp_path):
    state = run(LineTask(), settings(0, minutes=0.001), tmp_path)

    assert state.step == state.steps > 0


def test_curves_have_a_row_per_validation(tmp_path):
    run(LineTask(), settings(20), tmp_path)

    rows = (Path(tmp_path) / "curves.csv").read_text().splitlines()
    assert rows[0] == "step,loss,score"
    assert [row.split(",")[0] for row in rows[1:]] == ["10", "20"]


def test_learning_rate_warms_up_and_ends_at_zero():
    assert learning_rate_factor(0, 100, 10) == pytest.approx(0.1)
    assert learning_rate_factor(10, 100, 10) == pytest.approx(1.0)
    assert learning_rate_factor(100, 100, 10) == pytest.approx(0.0)


def test_what_is_read_after_the_last_step_may_change(tmp_path):
    before = with_fit(least_gain=0.01)
    trained = run(LineTask(), before, tmp_path / "run")

    again = run(LineTask(), with_fit(least_gain=0.5), tmp_path / "run")
    other = before.model_copy(
        update={"run": before.run.model_copy(update={"seed": before.run.seed + 1})}
    )

    assert torch.equal(weights(trained), weights(again))
    with pytest.raises(ConfigError, match="made with other settings"):
        run(LineTask(), other, tmp_path / "run")


def with_fit(*, least_gain: float) -> TrainSettings:
    """Ten steps of the template for own cases."""
    template = read_settings(
        shipped_path("configs/retrain_segmenter.toml"), TrainSettings
    ).model_dump()
    template["run"] |= settings(10).run.model_dump()
    template["optimizer"] |= {"bfloat16": False, "warmup_steps": 2}
    template["fit"]["least_gain"] = least_gain
    template["data"]["manifest"] = shipped_path("data_samples/cases.csv")
    return TrainSettings.model_validate(template)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"effusion": {"treshold": [0.3]}}, "treshold"),
        ({"effusion": {"threshold": [1.5]}}, "less than 1"),
        ({"oedema": {"threshold": [0.5]}}, "lesions"),
    ],
)
def test_only_possible_values_are_tried(change, problem):
    template = with_fit(least_gain=0.01).model_dump()
    template["fit"]["lesions"] = change

    with pytest.raises(ValidationError, match=problem):
        TrainSettings.model_validate(template)


@pytest.mark.parametrize(
    "change",
    [
        {"scale": [1.2, 0.8]},
        {"scale": [0.0, 1.0]},
        {"bend_mm": 9.0},
        {"gamma": [2.0, 0.5]},
        {"shape_share": 1.5},
        {"blur_mm": -1.0},
    ],
)
def test_shapes_that_cannot_be_drawn_are_refused(change):
    values = settings(1).model_dump()
    values["render"] |= change

    with pytest.raises(ValidationError, match="render"):
        TrainSettings.model_validate(values)
