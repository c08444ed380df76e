import math

import pytest
import torch
from torch.nn import functional as F

from videxp.losses import cross_entropy

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
LABEL = torch.tensor([0, 2])


def test_equal_logits_cost_the_log_of_the_number_of_classes():
    assert cross_entropy(torch.zeros(2, 3), LABEL).item() == pytest.approx(math.log(3))


def test_without_mixing_it_is_torchs():
    for smoothing in (0.0, 0.1):
        assert torch.equal(
            cross_entropy(LOGITS, LABEL, label_smoothing=smoothing),
            F.cross_entropy(LOGITS, LABEL, label_smoothing=smoothing),
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_mixed_pair_equals_the_soft_target(smoothing):
    target = torch.tensor([[0.7, 0.3, 0.0], [0.6, 0.0, 0.4]])  # items 0 and 1 keep shares 0.7 and 0.4
    loss = cross_entropy(
        LOGITS,
        LABEL,
        label_smoothing=smoothing,
        mix_label=torch.tensor([1, 0]),
        mix_weight=torch.tensor([0.7, 0.4]),
    )
    assert loss.item() == pytest.approx(F.cross_entropy(LOGITS, target, label_smoothing=smoothing).item())


def test_clips_of_an_item_share_its_label():
    twice = LOGITS.repeat_interleave(2, dim=0)
    mix = {"mix_label": torch.tensor([1, 0]), "mix_weight": torch.tensor([0.7, 0.4])}
    assert torch.allclose(cross_entropy(twice, LABEL), cross_entropy(LOGITS, LABEL))
    assert torch.allclose(cross_entropy(twice, LABEL, **mix), cross_entropy(LOGITS, LABEL, **mix))


def test_half_a_mix_and_odd_lengths_are_refused():
    with pytest.raises(ValueError, match="go together"):
        cross_entropy(LOGITS, LABEL, mix_label=LABEL)
    with pytest.raises(ValueError, match="3 rows of logits are not a multiple of 2 labels"):
        cross_entropy(torch.zeros(3, 3), LABEL)
