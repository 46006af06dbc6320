import pytest
import torch

from facetgrade.train.losses import (
    class_loss,
    heatmap_loss,
    lesion_loss,
    partial_class_loss,
)


def test_losses_of_a_perfect_answer_are_near_zero():
    labels = torch.tensor([[[[0, 1], [1, 0]]]])
    logits = torch.nn.functional.one_hot(labels, 2).movedim(-1, 1) * 40.0 - 20.0
    seen = torch.ones(labels.shape, dtype=torch.bool)

    # Dice is smoothed by one voxel: 1 - (2 * 2 + 1) / (2 + 2 + 1) = 0
    assert float(class_loss(logits, labels, seen)) == pytest.approx(0.0, abs=1e-4)
    lesion = labels[:, None].float()
    assert float(
        lesion_loss(lesion * 40.0 - 20.0, lesion, seen[:, None])
    ) == pytest.approx(0.0, abs=1e-4)


def test_voxels_without_truth_do_not_count():
    logits = torch.full((1, 1, 1, 2, 2), 20.0)
    target = torch.ones_like(logits)
    target[..., 0, 0] = 0.0
    valid = target > 0

    assert float(heatmap_loss(logits, target, valid)) == pytest.approx(0.0, abs=1e-6)
    assert float(heatmap_loss(logits, target, valid | True)) > 0.05


def test_a_missed_peak_costs_more_than_a_false_one():
    peak = torch.tensor([[[[[1.0, 0.0, 0.0, 0.0]]]]])
    valid = torch.ones_like(peak, dtype=torch.bool)
    silent = torch.full_like(peak, -4.0)
    false = torch.where(peak > 0, 4.0, torch.tensor([-4.0, 4.0, -4.0, -4.0]))

    assert heatmap_loss(silent, peak, valid) > heatmap_loss(false, peak, valid)


def test_an_absent_lesion_has_no_dice_term():
    logits = torch.full((1, 2, 1, 2, 2), -20.0)
    target = torch.zeros_like(logits)

    loss = lesion_loss(logits, target, torch.ones_like(target, dtype=torch.bool))

    assert float(loss) == pytest.approx(0.0, abs=1e-4)


def test_partial_truth_that_is_whole_is_the_ordinary_loss():
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 2, 2, 2), generator=rng)
    labels = torch.randint(0, 3, (2, 2, 2, 2), generator=rng)
    seen = torch.rand((2, 2, 2, 2), generator=rng) > 0.2
    known = torch.ones((2, 3), dtype=torch.bool)

    whole = class_loss(logits, labels, seen)

    assert float(partial_class_loss(logits, labels, seen, known)) == pytest.approx(
        float(whole), rel=1e-5
    )


def test_a_voxel_without_label_may_be_any_class_that_was_not_looked_for():
    # only class 1 was looked for; the voxel is not of it: p0 + p2 = 0.5 + 0.25
    logits = torch.log(torch.tensor([0.5, 0.25, 0.25])).view(1, 3, 1, 1, 1)
    labels = torch.zeros((1, 1, 1, 1), dtype=torch.long)
    known = torch.tensor([[False, True, False]])

    loss = partial_class_loss(logits, labels, labels == 0, known)

    # class 1 is not held by the batch, so Dice is 0; -log(0.75) = 0.2877
    assert float(loss) == pytest.approx(0.2877, abs=1e-3)
