import pytest
import torch
from torch.nn import functional as F

from videxp.losses import binary_cross_entropy, binary_distillation

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
TARGET = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
TEACHER = torch.tensor([[1.0, 1.0, 0.0], [0.0, 3.0, -1.0]])


def test_it_is_torchs_over_clips_that_share_their_videos_labels():
    twice = LOGITS.repeat_interleave(2, dim=0)
    expected = F.binary_cross_entropy_with_logits(LOGITS, TARGET)
    torch.testing.assert_close(binary_cross_entropy(LOGITS, TARGET), expected)
    torch.testing.assert_close(binary_cross_entropy(twice, TARGET), expected)
    with pytest.raises(ValueError, match="3 rows of logits are not a multiple of 2"):
        binary_cross_entropy(torch.zeros(3, 3), TARGET)


def test_smoothed_targets_lie_nearer_to_one_half():
    by_hand = F.binary_cross_entropy_with_logits(LOGITS, torch.where(TARGET > 0, 0.95, 0.05))
    torch.testing.assert_close(binary_cross_entropy(LOGITS, TARGET, label_smoothing=0.1), by_hand)


def test_a_mixed_clip_has_the_labels_of_both_in_their_shares():
    partner, weight = TARGET.roll(1, dims=0), torch.tensor([0.75, 0.5])
    mixed = torch.tensor([[0.75, 0.0, 0.75], [0.5, 0.0, 0.5]])
    expected = F.binary_cross_entropy_with_logits(LOGITS, mixed)
    torch.testing.assert_close(binary_cross_entropy(LOGITS, TARGET, mix_target=partner, mix_weight=weight), expected)
    with pytest.raises(ValueError, match="go together"):
        binary_cross_entropy(LOGITS, TARGET, mix_weight=weight)


def test_distillation_is_nothing_for_one_who_answers_alike_and_has_the_gradient_of_its_teachers_answers():
    assert binary_distillation(TEACHER, TEACHER, temperature=3.0).item() == pytest.approx(0, abs=1e-7)
    one, other = (LOGITS.clone().requires_grad_() for _ in range(2))
    binary_distillation(one, TEACHER, temperature=1.0).backward()
    F.binary_cross_entropy_with_logits(other, TEACHER.sigmoid()).backward()
    torch.testing.assert_close(one.grad, other.grad)


def test_distillation_is_the_divergence_of_coins_at_a_temperature():
    p, q = (torch.distributions.Bernoulli(logits=x / 4) for x in (TEACHER, LOGITS))
    wanted = 16 * torch.distributions.kl_divergence(p, q).mean()
    torch.testing.assert_close(binary_distillation(LOGITS, TEACHER, temperature=4.0), wanted)
