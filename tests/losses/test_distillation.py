import pytest
import torch
from torch.nn import functional as F

from videxp.losses import distillation

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, -1.0]])


def test_a_network_that_answers_as_its_teacher_loses_nothing():
    assert distillation(TEACHER + 5, TEACHER, temperature=3.0).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_is_hintons_formula_written_out(temperature):
    p, q = (torch.exp(x / temperature) for x in (TEACHER, LOGITS))
    p, q = p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)
    wanted = temperature**2 * (p * (p / q).log()).sum(1).mean()
    assert distillation(LOGITS, TEACHER, temperature=temperature).item() == pytest.approx(wanted.item(), rel=1e-5)


def test_at_temperature_one_its_gradient_is_that_of_cross_entropy_with_the_teachers_answers():
    one, other = (LOGITS.clone().requires_grad_() for _ in range(2))
    distillation(one, TEACHER, temperature=1.0).backward()
    F.cross_entropy(other, TEACHER.softmax(1)).backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_hot_gradients_are_as_large_as_those_of_matching_logits():
    """Equation 4 of the paper: for a high temperature the gradient is that of (z - v)^2 / (2 K), without means."""
    logits = (LOGITS - LOGITS.mean(1, keepdim=True)).requires_grad_()
    teacher = TEACHER - TEACHER.mean(1, keepdim=True)
    distillation(logits, teacher, temperature=1000.0).backward()
    torch.testing.assert_close(logits.grad, (logits.detach() - teacher) / 3 / 2, rtol=0.01, atol=1e-3)
