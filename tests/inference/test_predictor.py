import numpy as np
import pytest
import torch

from facetgrade.inference.predictor import Predictor, choose_precision, make_predictor

CPU = torch.device("cpu")


def test_a_predictor_maps_arrays_to_float32_arrays():
    network = torch.nn.Conv3d(1, 1, 1)
    torch.nn.init.constant_(network.weight, 2.0)
    torch.nn.init.zeros_(network.bias)
    answer = make_predictor(network, torch.float32)(np.ones((1, 1, 2, 2, 2), "f4"))
    assert answer.dtype == np.float32
    assert (answer == 2.0).all()


def test_bfloat16_rounds_products_but_answers_in_float32():
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 1.001)
    exact = Predictor(network)(np.ones((1, 1), "f4"))
    rounded = Predictor(network, torch.bfloat16)(np.ones((1, 1), "f4"))
    assert exact[0, 0] == pytest.approx(1.001)
    assert rounded.dtype == np.float32
    assert rounded[0, 0] == 1.0


def test_the_copy_on_the_cpu_keeps_the_weights():
    network = torch.nn.Linear(1, 1)
    copy = Predictor(network, torch.bfloat16).on_cpu(torch.float32)
    assert copy.network is not network
    assert copy.precision is torch.float32
    assert torch.equal(copy.network.weight, network.weight)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    monkeypatch, capabilities, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", CPU) is expected


def test_a_named_precision_is_taken_as_it_is():
    assert choose_precision("float32", CPU) is torch.float32
    assert choose_precision("bfloat16", CPU) is torch.bfloat16


class Counting(torch.nn.Module):
    """Doubles its input, runs out of memory above a batch size."""

    def __init__(self, most):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(2.0))
        self.most, self.batches = most, []

    def forward(self, values):
        self.batches.append(len(values))
        if len(values) > self.most:
            raise torch.OutOfMemoryError("full")
        return values * self.weight


def column(count):
    return np.arange(count, dtype=np.float32)[:, None]


def test_a_batch_too_large_for_the_memory_is_halved(caplog, monkeypatch):
    monkeypatch.setattr("facetgrade.inference.predictor.CPU_BATCH", 100)
    network = Counting(2)

    answer = Predictor(network)(column(7))

    np.testing.assert_array_equal(answer, 2 * column(7))
    # 7 fails, then 4 (fails, 2 + 2) and 3 (fails, 2 + 1)
    assert network.batches == [7, 4, 2, 2, 3, 2, 1]
    assert "no memory for 7 joints at once" in caplog.text


def test_a_single_item_too_large_for_the_memory_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        Predictor(Counting(0))(column(1))


def test_the_cpu_takes_one_item_at_a_time():
    network = Counting(4)
    np.testing.assert_array_equal(Predictor(network)(column(3)), 2 * column(3))
    assert network.batches == [1, 1, 1]


def test_answers_lie_in_memory_as_arrays_are_read():
    network = make_predictor(torch.nn.Conv3d(1, 3, 1), torch.float32)

    answer = network(np.zeros((1, 1, 4, 5, 6), np.float32))

    assert answer.flags.c_contiguous


def test_the_copy_of_a_compiled_network_is_a_plain_one():
    network = torch.nn.Linear(1, 1)
    network.compile(backend="eager")
    copy = Predictor(network).on_cpu(torch.float32)
    assert copy.network._compiled_call_impl is None
    assert copy(column(2)).shape == (2, 1)
