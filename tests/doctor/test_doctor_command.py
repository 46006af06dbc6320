import subprocess
import sys

import pytest
import safetensors.torch
import torch

from facetgrade.config import read_config
from facetgrade.doctor import State, checks, examine, machine
from facetgrade.errors import ConfigError
from facetgrade.inference import Models


def doctor(*options):
    return subprocess.run(
        [sys.executable, "-m", "facetgrade", "doctor", "--device", "cpu", *options],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_a_healthy_installation_passes():
    run = doctor()
    assert run.returncode == 0, run.stdout + run.stderr
    assert "self-test     PASS in" in run.stdout
    assert run.stdout.count("has the SHA-256 of its manifest") == 2
    assert "failed" not in run.stdout


def test_an_altered_model_fails_and_is_named(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(
        safetensors.torch.save({"x": torch.zeros(1)})
    )
    (tmp_path / "manifest.toml").write_text(
        f'[a]\nfile = "a.safetensors"\nsha256 = "{"0" * 64}"\nlicense = "x"\n'
        'input = "x"\narchitecture = "spine-localizer"\nsizes = {}\n'
    )
    config = read_config()
    localize = config.localize.model_copy(update={"weights": f"{tmp_path}/a"})
    found = list(examine(config.model_copy(update={"localize": localize}), "cpu"))
    failed = [check for check in found if check.state is State.FAILED]
    assert [check.name for check in failed] == ["model", "self-test"]
    assert all("the file was altered" in check.text for check in failed)


def test_an_absent_device_is_a_bad_option():
    with pytest.raises(ConfigError, match="device must be"):
        list(examine(read_config(), "tpu"))


def test_missing_packages_of_extras_are_named(monkeypatch):
    monkeypatch.setattr(machine, "_version", lambda name: "" if name == "d" else "1")
    monkeypatch.setattr(
        machine, "requires", lambda _: ['d>=1; extra == "pacs"', 'e; extra == "bids"']
    )
    assert machine.missing_extras() == {"pacs": "d"}


def test_an_idle_nvidia_driver_is_told(monkeypatch):
    monkeypatch.setattr(checks, "nvidia_driver_seen", lambda: True)
    monkeypatch.setattr(checks, "missing_extras", dict)
    (advice,) = checks._advice("cpu", "float32")
    assert "install the CUDA build" in advice.text


def test_models_are_reduced_unless_float32_on_the_cpu():
    from facetgrade.inference import Predictor

    def models(precision):
        predictor = Predictor(torch.nn.Linear(1, 1), precision)
        return Models(localizer=predictor, segmenter=predictor, hashes={})

    assert not models(torch.float32).is_reduced
    assert models(torch.bfloat16).is_reduced
