"""TransNetV2's loss, beside its formula written out, and its L2 term beside SGD's weight decay."""

import math

import pytest
import torch
from torch import nn

from videxp.losses.transitions import transition_loss


def by_hand(logits: list[float], target: list[int], weight: float) -> float:
    terms = [
        (weight if y else 1) * -math.log(1 / (1 + math.exp(-x if y else x)))
        for x, y in zip(logits, target, strict=True)
    ]
    return sum(terms) / len(terms)


def test_it_is_the_formula_over_frames():
    one_hot_logits, many_hot_logits = [0.3, -1.0, 2.0, -0.5], [1.0, 0.0, -2.0, 0.7]
    one_hot, many_hot = [0, 1, 0, 0], [1, 1, 1, 0]
    rows = [torch.tensor([row], dtype=torch.float64) for row in (one_hot_logits, many_hot_logits, one_hot, many_hot)]
    expected = by_hand(one_hot_logits, one_hot, 5) + 0.1 * by_hand(many_hot_logits, many_hot, 1)
    assert transition_loss(*rows).item() == pytest.approx(expected, abs=1e-12)
    weighted_mean = nn.BCEWithLogitsLoss(weight=1 + 4 * rows[2], reduction="sum")(rows[0], rows[2]) / 8
    assert weighted_mean.item() != pytest.approx(by_hand(one_hot_logits, one_hot, 5), rel=0.1)  # another's mean
    plain = transition_loss(*rows, positive_weight=1, many_hot_weight=0)
    assert plain.item() == pytest.approx(by_hand(one_hot_logits, one_hot, 1), abs=1e-12)
    assert transition_loss(*rows[:2], *(row.long() for row in rows[2:])).item() == pytest.approx(expected, abs=1e-12)


def test_the_l2_term_over_all_weights_is_weight_decay():
    def network() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    video, target = torch.rand(6, 3), torch.randint(2, (6, 2)).float()
    added, decayed = network(), network()
    for net, decay in ((added, 0.0), (decayed, 1e-2)):
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
        for _ in range(3):
            logits = net(video)
            loss = transition_loss(logits, logits, target, target)
            if net is added:
                loss = loss + 1e-2 * sum(w.square().sum() / 2 for w in net.parameters())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for ours, theirs in zip(decayed.parameters(), added.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
