import hashlib
import json
import pickle

import pytest
import safetensors.torch
import torch

from facetgrade.config import read_config, read_settings, shipped_path
from facetgrade.errors import ModelError
from facetgrade.inference.library import (
    active_models,
    install_model,
    list_models,
    roll_back,
    verify_file,
)
from facetgrade.inference.weights import find_model, load_weights, read_metadata
from facetgrade.networks import build
from facetgrade.train.install import install_weights
from facetgrade.train.settings import TrainSettings

SIZES = {"channels": [4, 8, 8]}
CPU = torch.device("cpu")
CURRENT = read_config().segment.weights


def trained(folder, name="segmenter-site", seed=0, fitted=None):
    """Write the weights of a tiny segmenter as a run does."""
    settings = read_settings(
        shipped_path("configs/train_segmenter.toml"), TrainSettings
    )
    settings = settings.model_copy(
        update={
            "network": SIZES,
            "card": settings.card.model_copy(update={"weights": name}),
        }
    )
    torch.manual_seed(seed)
    folder.mkdir(exist_ok=True)
    network = build("joint-segmenter", **SIZES)
    return install_weights(
        network, settings, folder, steps=3, metrics={"score": 1.5}, fitted=fitted or {}
    )


def comparison(folder, weights, *, verdict="not worse", current=CURRENT):
    path = folder / "comparison.json"
    values = {
        "new": {"sha256": hashlib.sha256(weights.read_bytes()).hexdigest()},
        "current": {"sha256": find_model(current)[0].sha256},
        "verdict": verdict,
        "reasons": ["kappa -0.20 (-0.30 to -0.10)"],
    }
    path.write_text(json.dumps(values))
    return path


def test_weights_say_where_they_came_from(tmp_path):
    path = trained(tmp_path / "run")

    said = read_metadata(path)

    assert json.loads(said["metrics"]) == {"score": 1.5}
    assert json.loads(said["config"])["run"]["seed"] == int(said["seed"])
    assert (said["license"], said["steps"]) == ("Apache-2.0", "3")
    assert "Research only" in said["intended_use"]
    assert "torch" in json.loads(said["environment"])
    card = path.with_suffix(".md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in card


def test_an_edited_card_is_kept(tmp_path):
    card = trained(tmp_path / "run").with_suffix(".md")
    card.write_text("edited")

    trained(tmp_path / "run")

    assert card.read_text() == "edited"


def test_a_better_model_is_put_to_work_and_taken_back(tmp_path):
    own = tmp_path / "models"
    path = trained(tmp_path / "run")

    installed = install_model(path, own, comparison(tmp_path, path), "")

    assert active_models(own)["segment"] == installed.name == f"{own}/segmenter-site"
    config = read_config(own / "active.toml")
    assert config.segment.weights == installed.name
    load_weights(installed.name, CPU)
    assert [m.name for m in list_models(own) if m.active] == [
        config.localize.weights,
        installed.name,
    ]
    assert roll_back(own)["segment"] == CURRENT
    assert active_models(own)["segment"] == CURRENT
    load_weights(installed.name, CPU)
    with pytest.raises(ModelError, match="nothing was installed"):
        roll_back(own)


def test_a_worse_or_uncompared_model_needs_a_reason(tmp_path):
    own = tmp_path / "models"
    path = trained(tmp_path / "run")
    worse = comparison(tmp_path, path, verdict="worse")

    with pytest.raises(ModelError, match=rf"is worse than {CURRENT} \(kappa -0.20"):
        install_model(path, own, worse, "")
    with pytest.raises(ModelError, match="give --comparison FILE"):
        install_model(path, own, None, "")
    assert not own.exists()

    installed = install_model(path, own, worse, "only model for our coil")
    assert installed.entry["override"] == "only model for our coil"


def test_a_comparison_of_other_models_does_not_count(tmp_path):
    path = trained(tmp_path / "run")
    other = comparison(tmp_path, trained(tmp_path / "other", seed=1))

    with pytest.raises(ModelError, match="compares another new model"):
        install_model(path, tmp_path / "models", other, "")
    with pytest.raises(ModelError, match="compares with another model than"):
        install_model(
            path,
            tmp_path / "models",
            comparison(tmp_path, path, current="localizer-2"),
            "",
        )


def test_a_tampered_file_is_refused_in_one_line(tmp_path):
    path = trained(tmp_path / "run")
    tensors = safetensors.torch.load_file(path)
    tensors["head.bias"][0] += 1.0
    said = read_metadata(path)
    safetensors.torch.save_file(tensors, path, metadata=said)

    with pytest.raises(ModelError, match="the manifest says"):
        verify_file(path)
    (tmp_path / "run" / "manifest.toml").unlink()
    with pytest.raises(ModelError, match="were altered after the training") as caught:
        verify_file(path)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_refused(tmp_path):
    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}))

    with pytest.raises(ModelError, match="a pickle can run any code"):
        verify_file(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"architecture": "unet"}, "architecture 'unet' is not one of"),
        ({"architecture": "spine-localizer"}, "cannot build|tensors are not those"),
        ({"sizes": '{"channels": [4, 8, 16]}'}, "the tensors are not those"),
    ],
)
def test_another_architecture_is_refused(tmp_path, change, problem):
    path = trained(tmp_path / "run")
    said = read_metadata(path) | change
    tensors = safetensors.torch.load_file(path)
    (tmp_path / "run" / "manifest.toml").unlink()
    safetensors.torch.save_file(tensors, path, metadata=said)

    with pytest.raises(ModelError, match=problem):
        verify_file(path)


def test_a_file_without_provenance_is_refused(tmp_path):
    path = tmp_path / "bare.safetensors"
    safetensors.torch.save_file({"a": torch.ones(2)}, path)

    with pytest.raises(ModelError, match="has no provenance"):
        verify_file(path)


def test_a_name_stays_with_one_model(tmp_path):
    own = tmp_path / "models"
    first = trained(tmp_path / "run")
    install_model(first, own, None, "first")
    second = trained(tmp_path / "other", seed=1)

    with pytest.raises(ModelError, match="has another model named 'segmenter-site'"):
        install_model(second, own, None, "second")
