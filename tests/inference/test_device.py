import pytest
import torch

from facetgrade.errors import ConfigError
from facetgrade.inference import choose_device, describe_device


def test_auto_prefers_cuda_then_mps_then_cpu(monkeypatch):
    for available in (torch.cuda, torch.backends.mps):
        monkeypatch.setattr(available, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda:0")


def test_cuda_alone_means_the_first_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda") == torch.device("cuda:0")
    assert choose_device("cuda:1") == torch.device("cuda:1")


def test_an_absent_cuda_device_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="device cuda:1: 1 CUDA devices are visible"):
        choose_device("cuda:1")


def test_absent_mps_is_refused(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no Apple GPU"):
        choose_device("mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "CPU", "cuda:-1", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ConfigError, match="device must be auto, cpu"):
        choose_device(name)


def test_the_cpu_is_described_with_its_threads():
    threads = torch.get_num_threads()
    assert describe_device(torch.device("cpu")) == f"cpu ({threads} threads)"
