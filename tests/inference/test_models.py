import pytest
import torch

from facetgrade.inference import Models, Predictor, run_with_cpu_fallback


def tiny_models():
    return Models(
        localizer=Predictor(torch.nn.Linear(1, 1)),
        segmenter=Predictor(torch.nn.Linear(1, 1)),
        hashes={"a": "1"},
    )


def test_models_know_their_device():
    assert tiny_models().device == torch.device("cpu")


def test_a_study_that_exceeds_gpu_memory_is_repeated_on_the_cpu(caplog):
    models = tiny_models()
    tried = []

    def run(given):
        tried.append(given)
        if given is models:
            raise torch.OutOfMemoryError("full")
        return "done"

    assert run_with_cpu_fallback(run, models) == "done"
    assert [m.device.type for m in tried] == ["cpu", "cpu"]
    assert "this study runs on the CPU" in caplog.text


def test_other_errors_are_not_repeated():
    with pytest.raises(KeyError):
        run_with_cpu_fallback(lambda _: {}["missing"], tiny_models())
