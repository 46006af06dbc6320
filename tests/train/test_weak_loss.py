import pytest
import torch

from facetgrade.anatomy import Structure
from facetgrade.train.weak_loss import ANSWERS, grade_loss, soft_answers

SHAPE = (22, 44, 44)
EFFUSION, SOFT, MARROW = 13, 14, 15
SEEN = torch.ones((4, *SHAPE), dtype=torch.bool)


def joint() -> torch.Tensor:
    """Soft tissue all over, no lesion."""
    logits = torch.full((17, *SHAPE), -8.0)
    logits[0] = 8.0
    return logits


def ring(start_deg: float, stop_deg: float) -> torch.Tensor:
    """Voxels 7-11 mm around the joint between two angles, over all planes."""
    rows = (torch.arange(44) - 21.5) * 0.7
    posterior, lateral = torch.meshgrid(rows, rows, indexing="ij")
    radius = (posterior**2 + lateral**2).sqrt()
    angle = torch.rad2deg(torch.atan2(lateral, posterior)) % 360
    inside = (radius > 7) & (radius < 11) & (angle >= start_deg) & (angle < stop_deg)
    return inside.expand(SHAPE)


def graded(grade: int) -> torch.Tensor:
    """Lesions as the definition of the grade has them."""
    logits = joint()
    if grade >= 1:
        logits[EFFUSION, 8:14, 18:24, 20:23] = 8.0
    if grade == 2:
        logits[SOFT][ring(0, 90)] = 8.0
    if grade >= 3:
        logits[SOFT][ring(0, 270)] = 8.0
    if grade == 4:
        logits[Structure.PEDICLE, 8:14, 2:10, 2:10] = 20.0
        logits[MARROW, 8:14, 2:10, 2:10] = 8.0
    return logits


@pytest.mark.parametrize("grade", range(5))
def test_each_grade_is_answered_as_its_definition_says(grade):
    answers = soft_answers(graded(grade), SEEN)

    for answer, wanted in zip(answers.tolist(), ANSWERS[grade], strict=True):
        if wanted >= 0:
            assert answer == pytest.approx(wanted, abs=0.15)


@pytest.mark.parametrize("grade", range(5))
def test_the_true_grade_has_the_smallest_loss_among_the_others(grade):
    logits = graded(grade)[None]
    losses = [
        float(grade_loss(logits, torch.tensor([said]), SEEN[None])) for said in range(5)
    ]

    assert losses.index(min(losses)) == grade


def test_a_grade_of_zero_teaches_nothing_where_nothing_was_seen():
    logits = graded(4)[None].requires_grad_()

    loss = grade_loss(logits, torch.tensor([0]), torch.zeros_like(SEEN)[None])
    loss.backward()

    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-3)
    assert float(logits.grad.abs().max()) == 0.0


def test_without_any_grade_the_loss_is_zero():
    loss = grade_loss(graded(3)[None], torch.tensor([-1]), SEEN[None])

    assert float(loss) == 0.0
