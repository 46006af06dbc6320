import pytest
import torch

from facetgrade.networks import JointSegmenter, SpineLocalizer, average_stacks, build


def small_segmenter() -> JointSegmenter:
    torch.manual_seed(0)
    return JointSegmenter(channels=(4, 8, 8), structures=13, lesions=4)


def test_localizer_answers_on_the_4_mm_grid():
    network = SpineLocalizer(channels=(8, 8, 8), ranks=11)

    logits = network(torch.zeros(1, 2, 8, 32, 32))

    assert logits.shape == (1, 3 + 11, 8, 16, 16)


def test_segmenter_answers_on_the_grid_of_the_stacks():
    stacks = torch.zeros(2, 3, 3, 6, 20, 20)
    contrast = torch.zeros(2, 3, dtype=torch.long)
    present = torch.ones(2, 3, dtype=torch.bool)

    assert small_segmenter()(stacks, contrast, present).shape == (2, 17, 6, 20, 20)


def test_order_of_stacks_and_padding_do_not_matter():
    torch.manual_seed(1)
    network = small_segmenter().eval()
    stacks = torch.randn(1, 2, 3, 6, 20, 20)
    contrast = torch.tensor([[0, 2]])
    present = torch.ones(1, 2, dtype=torch.bool)
    padded = torch.cat([stacks.flip(1), torch.randn(1, 1, 3, 6, 20, 20)], dim=1)

    first = network(stacks, contrast, present)
    second = network(
        padded, torch.tensor([[2, 0, 1]]), torch.tensor([[True, True, False]])
    )

    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)


def test_stacks_are_averaged_joint_by_joint():
    features = torch.rand(5, 4, 2, 3, 3)
    weight = torch.rand(5, 1, 2, 3, 3)

    averages = average_stacks(features, weight, [2, 3])

    share = weight[2:].softmax(dim=0)
    torch.testing.assert_close(averages[1], (features[2:] * share).sum(dim=0))


def test_every_weight_of_the_segmenter_gets_a_gradient():
    network = small_segmenter()
    stacks = torch.randn(1, 2, 3, 6, 20, 20)
    present = torch.ones(1, 2, dtype=torch.bool)

    network(stacks, torch.tensor([[0, 1]]), present).square().mean().backward()

    silent = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not weight.grad.abs().sum() > 0
    ]
    # the bias of a weight map shifts all stacks alike and cancels in the softmax
    assert [n for n in silent if not n.startswith("weights.") or "bias" not in n] == []


def test_segmenter_overfits_one_tiny_case():
    network = small_segmenter()
    torch.manual_seed(2)
    stacks = torch.randn(1, 1, 3, 4, 16, 16)
    target = (stacks[:, 0, 0] > 0.5).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    for _ in range(120):
        logits = network(
            stacks, torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1) > 0
        )
        loss = torch.nn.functional.cross_entropy(logits[:, :2], target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    assert float(loss.detach()) < 0.05


def test_an_unknown_architecture_is_refused():
    with pytest.raises(ValueError, match="architecture must be one of"):
        build("transformer")
